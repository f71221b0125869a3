"""Wireshark dissector in Lua: MoldUDP64 with ITCH 5.0 on UDP, SoupBinTCP with OUCH 5.0 on TCP.

GLIMPSE and ITCH over SoupBinTCP are told from OUCH by their lengths. The Lua below holds the
behaviour; every offset, size, name and code comes from the tables.
"""

import json
from collections.abc import Iterable

from . import glimpse50, itch50, moldudp64, ouch50, soupbintcp
from .wire import Field, Message

PATH = "docs/tickwire.lua"
_TIMES = frozenset({"timestamp", "near_time"})


def _text(value: str) -> str:
    return json.dumps(value)


def _kind(field: Field) -> str:
    """How the Lua side shows a field."""
    if field.name in _TIMES:
        return "time"
    return "uint" if field.kind == "length" else field.kind


def _shape(field: Field) -> str:
    return {"ascii": "text", "octets": "octets", "int": "signed"}.get(field.kind, "number")


def _abbreviations(messages: Iterable[Message]) -> dict[tuple[str, str], str]:
    """Filter names: a name that has several shapes gets the shape as a suffix from the second on."""
    found: dict[tuple[str, str], str] = {}
    for message in messages:
        for field in message.fields:
            key = field.name, _shape(field)
            if key not in found:
                taken = any(name == field.name for name, _ in found)
                found[key] = f"{field.name}_{key[1]}" if taken else field.name
    return found


def _field(field: Field, offset: int, abbreviations: dict[tuple[str, str], str]) -> str:
    parts = [f"name = {_text(abbreviations[field.name, _shape(field)])}", f"offset = {offset}",
             f"size = {field.size}", f"kind = {_text(_kind(field))}"]
    if field.kind == "price":
        parts.append(f"decimals = {field.decimals}")
    if field.codes:
        codes = ", ".join(f"[{_text(str(key))}] = {_text(meaning)}"
                          for key, meaning in field.codes.items())
        parts.append(f"codes = {{{codes}}}")
    return f"{{{', '.join(parts)}}}"


def _message(message: Message, abbreviations: dict[tuple[str, str], str], indent: str) -> str:
    head = [f"title = {_text(message.title)}", f"size = {message.size}",
            f"least = {message.size_min}", f"open = {str(message.is_open_ended).lower()}"]
    counted = next((offset for field, offset in message.placed() if field.kind == "length"), None)
    if counted is not None:
        head.append(f"counted = {counted}")
    fields = (f"{indent}        {_field(field, offset, abbreviations)},"
              for field, offset in message.placed())
    return "\n".join([f"{indent}{{{', '.join(head)}, fields = {{", *fields, f"{indent}    }}}},"])


def _protocol(name: str, groups: dict[str, Iterable[Message]]) -> str:
    """Lua table of a protocol: its field names with their shapes, and its messages by group and type."""
    messages = [message for group in groups.values() for message in group]
    abbreviations = _abbreviations(messages)
    shapes = ", ".join(f"{abbreviation} = {_text(shape)}"
                       for (_, shape), abbreviation in sorted(abbreviations.items()))
    lines = [f"local {name} = {{", f"    shapes = {{{shapes}}},"]
    for group, members in groups.items():
        lines.append(f"    {group} = {{")
        for message in members:
            key = _text(message.tag or message.name)
            lines.append(f"        [{key}] =")
            lines.append(_message(message, abbreviations, "            "))
        lines.append("    },")
    return "\n".join([*lines, "}"])


def _options() -> str:
    messages = [Message(field.name, "", field.name, "", (field,)) for field in ouch50.OPTIONS.values()]
    abbreviations = _abbreviations(messages)
    shapes = ", ".join(f"{abbreviation} = {_text(shape)}"
                       for (_, shape), abbreviation in sorted(abbreviations.items()))
    rows = (f"    [{tag}] = {_field(field, 0, abbreviations)}," for tag, field in ouch50.OPTIONS.items())
    return "\n".join([f"local option_shapes = {{{shapes}}}", "local options = {", *rows, "}"])


def lua() -> str:
    """Return the whole dissector."""
    tables = (
        _protocol("mold_table", {"frames": moldudp64.MESSAGES}),
        _protocol("itch_table", {"messages": (*itch50.MESSAGES, *glimpse50.MESSAGES)}),
        _protocol("soup_table", {"packets": soupbintcp.MESSAGES}),
        _protocol("ouch_table", {"inbound": ouch50.INBOUND.values(),
                                 "outbound": ouch50.OUTBOUND.values()}),
        _options(),
        f"local END_OF_SESSION = {moldudp64.END_OF_SESSION}",
        f"local SOUP_TYPE_OFFSET = {soupbintcp.TYPE_OFFSET}",
    )
    return _HEAD + "\n\n".join(tables) + "\n" + _BEHAVIOUR


_HEAD = """\
-- Wireshark dissector for MoldUDP64 + ITCH 5.0 and SoupBinTCP + OUCH 5.0, GLIMPSE 5.0.
-- Generated from tickwire.spec by `make spec`; edit the tables, not this file.
--
-- Use: tshark -X lua_script:tickwire.lua -r FILE, or copy it to Wireshark's plugin folder.
-- Streams are recognised by their content; ports can be set in the protocol preferences.
-- Filters: tw_mold.sequence_number, tw_itch.price, tw_soup.type, tw_ouch.user_ref_num ...
-- Numbers are raw, in venue units: tw_itch.price >= 1000000 is 100.0000 dollars and above.

"""

_BEHAVIOUR = r"""
local FIELD_MAKERS = {
    number = ProtoField.uint64, signed = ProtoField.int32,
    text = ProtoField.string, octets = ProtoField.bytes,
}

-- Declare the fields of a protocol from its table; every one has the type octet as well.
local function declare(proto, prefix, shapes)
    local fields = {type = ProtoField.string(prefix .. ".type", "type")}
    for name, shape in pairs(shapes) do
        fields[name] = FIELD_MAKERS[shape](prefix .. "." .. name, name)
    end
    local list = {}
    for _, field in pairs(fields) do list[#list + 1] = field end
    proto.fields = list
    local expert = ProtoExpert.new(prefix .. ".malformed", "Malformed",
                                   expert.group.MALFORMED, expert.severity.ERROR)
    proto.experts = {expert}
    return fields, expert
end

local mold = Proto("tw_mold", "MoldUDP64 (tickwire)")
local itch = Proto("tw_itch", "TotalView-ITCH 5.0 (tickwire)")
local soup = Proto("tw_soup", "SoupBinTCP (tickwire)")
local ouch = Proto("tw_ouch", "OUCH 5.0 (tickwire)")
for name, shape in pairs(option_shapes) do ouch_table.shapes["option_" .. name] = shape end
local mold_fields, mold_malformed = declare(mold, "tw_mold", mold_table.shapes)
local itch_fields, itch_malformed = declare(itch, "tw_itch", itch_table.shapes)
local soup_fields, soup_malformed = declare(soup, "tw_soup", soup_table.shapes)
local ouch_fields, ouch_malformed = declare(ouch, "tw_ouch", ouch_table.shapes)

-- Decimal text of an unsigned integer with the point set, exact for all 64 bits.
local function decimal(number, decimals)
    local digits = tostring(number)
    digits = string.rep("0", decimals + 1 - #digits) .. digits
    return digits:sub(1, #digits - decimals) .. "." .. digits:sub(-decimals)
end

local function time_of_day(number)
    local digits = decimal(number, 9)
    local seconds = tonumber(digits:match("^(%d+)%."))
    return string.format("%02d:%02d:%02d%s", math.floor(seconds / 3600),
                         math.floor(seconds / 60) % 60, seconds % 60, digits:match("%.%d+$"))
end

local function add_field(tree, fields, row, range)
    local field = fields[row.name]
    if row.kind == "ascii" then
        local text = range:string()
        local code = row.codes and row.codes[text]
        local item = tree:add(field, range, (text:gsub("^ +", ""):gsub(" +$", "")))
        if code then item:append_text(" (" .. code .. ")") end
        return text
    elseif row.kind == "octets" then
        tree:add(field, range)
        return nil
    elseif row.kind == "int" then
        tree:add(field, range, range:int())
        return tostring(range:int())
    end
    local number = range:uint64()
    local item = tree:add(field, range, number)
    local code = row.codes and row.codes[tostring(number)]
    local shown = tostring(number)
    if row.kind == "price" then
        shown = decimal(number, row.decimals)
        item:append_text(" (" .. shown .. ")")
    elseif row.kind == "time" then
        shown = time_of_day(number)
        item:append_text(" (" .. shown .. ")")
    elseif code then
        item:append_text(" (" .. code .. ")")
    end
    return shown
end

local function add_fields(tree, fields, message, tvb)
    for _, row in ipairs(message.fields) do
        local size = row.size > 0 and row.size or tvb:len() - row.offset
        if size > 0 and row.offset + size <= tvb:len() then
            add_field(tree, fields, row, tvb(row.offset, size))
        end
    end
end

-- Whether `tvb` has a legal length for `message`, its own length field included.
local function fits(message, tvb)
    if not message then return false end
    local size = tvb:len()
    if size == message.least and message.least < message.size then return true end
    if not message.open then return size == message.size end
    return size >= message.size
        and (not message.counted or tvb(message.counted, 2):uint() == size - message.counted - 2)
end

local function add_appendage(tree, tvb, start)
    local offset = start
    while offset < tvb:len() do
        local size = tvb(offset, 1):uint()
        if size < 1 or offset + 1 + size > tvb:len() then
            tree:add_proto_expert_info(ouch_malformed,
                "Appendage element at offset " .. offset .. " has length " .. size)
            return
        end
        local row = options[tvb(offset + 1, 1):uint()]
        if row and size == row.size + 1 then
            local copy = {name = "option_" .. row.name, kind = row.kind,
                          decimals = row.decimals, codes = row.codes}
            add_field(tree, ouch_fields, copy, tvb(offset + 2, row.size))
        else
            tree:add(tvb(offset, size + 1), "Option " .. tvb(offset + 1, 1):uint())
        end
        offset = offset + 1 + size
    end
end

local function dissect_message(proto, fields, malformed, message, tvb, pinfo, tree)
    local kind = tvb(0, 1):string()
    local branch = tree:add(proto, tvb(), proto.description .. ", " ..
                            (message and message.title or "unknown type " .. kind))
    branch:add(fields.type, tvb(0, 1))
    if not message then
        branch:add_proto_expert_info(malformed, "No message has type " .. kind)
    elseif not fits(message, tvb) then
        branch:add_proto_expert_info(malformed, message.title .. " has " .. message.size ..
                                     " octets, not " .. tvb:len())
    else
        add_fields(branch, fields, message, tvb)
        if message.open and tvb:len() > message.size then
            add_appendage(branch, tvb, message.size)
        end
        pinfo.cols.info:append(" " .. message.title .. ";")
    end
end

function itch.dissector(tvb, pinfo, tree)
    if tvb:len() == 0 then return 0 end
    dissect_message(itch, itch_fields, itch_malformed,
                    itch_table.messages[tvb(0, 1):string()], tvb, pinfo, tree)
    return tvb:len()
end

-- A request and an empty downstream packet look the same: a bare header whose count is neither
-- heartbeat nor end of session is a request.
local function is_request(tvb)
    local count = tvb(18, 2):uint()
    return tvb:len() == mold_table.frames.request.size and count > 0 and count < END_OF_SESSION
end

-- Octets that the blocks take, or nil where they do not fit the datagram.
local function mold_end(tvb)
    local header = mold_table.frames.downstream_header
    if tvb:len() < header.size then return nil end
    local count, offset = tvb(18, 2):uint(), header.size
    if count == END_OF_SESSION or is_request(tvb) then return offset end
    for _ = 1, count do
        if offset + 2 > tvb:len() then return nil end
        offset = offset + 2 + tvb(offset, 2):uint()
    end
    return offset <= tvb:len() and offset or nil
end

function mold.dissector(tvb, pinfo, tree)
    local header = mold_table.frames.downstream_header
    if tvb:len() < header.size then return 0 end
    pinfo.cols.protocol = "MoldUDP64"
    local branch = tree:add(mold, tvb(), mold.description)
    add_fields(branch, mold_fields, header, tvb(0, header.size):tvb())
    local count, offset = tvb(18, 2):uint(), header.size
    local first = tvb(10, 8):uint64()
    if is_request(tvb) then
        pinfo.cols.info = "Request " .. tostring(first) .. " + " .. count
        return tvb:len()
    elseif count == 0 then
        pinfo.cols.info = "Heartbeat, next " .. tostring(first)
        return tvb:len()
    elseif count == END_OF_SESSION then
        pinfo.cols.info = "End of session, next " .. tostring(first)
        return tvb:len()
    end
    pinfo.cols.info = tostring(first) .. " + " .. count .. ":"
    for number = 0, count - 1 do
        local size = offset + 2 <= tvb:len() and tvb(offset, 2):uint()
        if not size or offset + 2 + size > tvb:len() then
            branch:add_proto_expert_info(mold_malformed,
                "Block " .. number .. " at offset " .. offset .. " does not fit the datagram")
            return tvb:len()
        end
        local block = branch:add(mold, tvb(offset, 2 + size),
                                 "Message " .. tostring(first + UInt64(number)))
        block:add(mold_fields.length, tvb(offset, 2), UInt64(size))
        if size > 0 then itch.dissector(tvb(offset + 2, size):tvb(), pinfo, block) end
        offset = offset + 2 + size
    end
    if offset < tvb:len() then
        branch:add_proto_expert_info(mold_malformed,
            (tvb:len() - offset) .. " octets follow the last block")
    end
    return tvb:len()
end

-- The message of a data packet: OUCH in its direction, else ITCH or GLIMPSE, by length.
local function dissect_payload(kind, tvb, pinfo, tree)
    local tag = tvb(0, 1):string()
    local orders = kind == "U" and ouch_table.inbound or ouch_table.outbound
    if not fits(orders[tag], tvb) and fits(itch_table.messages[tag], tvb) then
        pinfo.cols.protocol = "ITCH 5.0"
        itch.dissector(tvb, pinfo, tree)
    else
        pinfo.cols.protocol = "OUCH 5.0"
        dissect_message(ouch, ouch_fields, ouch_malformed, orders[tag], tvb, pinfo, tree)
    end
end

local function soup_size(tvb, _, offset)
    return tvb(offset, 2):uint() + 2
end

local function soup_packet(tvb, pinfo, tree)
    pinfo.cols.protocol = "SoupBinTCP"
    local branch = tree:add(soup, tvb(), soup.description)
    if tvb:len() <= SOUP_TYPE_OFFSET then
        branch:add_proto_expert_info(soup_malformed, "A packet has a type octet at least")
        return tvb:len()
    end
    local kind = tvb(SOUP_TYPE_OFFSET, 1):string()
    local packet = soup_table.packets[kind]
    branch:add(soup_fields.type, tvb(SOUP_TYPE_OFFSET, 1))
    if not packet or not fits(packet, tvb) then
        branch:add_proto_expert_info(soup_malformed, packet
            and packet.title .. " has " .. packet.size .. " octets, not " .. tvb:len()
            or "No packet has type " .. kind)
        return tvb:len()
    end
    branch:append_text(", " .. packet.title)
    add_fields(branch, soup_fields, packet, tvb)
    if (kind == "S" or kind == "U") and tvb:len() > packet.size then
        dissect_payload(kind, tvb(packet.size):tvb(), pinfo, tree)
    else
        pinfo.cols.info:append(" " .. packet.title .. ";")
    end
    return tvb:len()
end

function soup.dissector(tvb, pinfo, tree)
    pinfo.cols.info = ""
    dissect_tcp_pdus(tvb, tree, SOUP_TYPE_OFFSET, soup_size, soup_packet)
    return tvb:len()
end

-- A segment that begins with a packet of a known type and a legal length, data packets only with
-- a message that some table knows.
local function looks_like_soup(tvb)
    if tvb:len() <= SOUP_TYPE_OFFSET then return false end
    local size, kind = tvb(0, 2):uint() + 2, tvb(SOUP_TYPE_OFFSET, 1):string()
    local packet = soup_table.packets[kind]
    if not packet or size > tvb:len() then return false end
    if not packet.open then return size == packet.size end
    if size == packet.size or kind == "+" then return false end
    local payload = tvb(packet.size, size - packet.size):tvb()
    local tag = payload(0, 1):string()
    return fits(ouch_table.inbound[tag], payload) or fits(ouch_table.outbound[tag], payload)
        or fits(itch_table.messages[tag], payload)
end

mold:register_heuristic("udp", function(tvb, pinfo, tree)
    local stop = mold_end(tvb)
    if not stop or stop ~= tvb:len() then return false end
    mold.dissector(tvb, pinfo, tree)
    return true
end)

soup:register_heuristic("tcp", function(tvb, pinfo, tree)
    if not looks_like_soup(tvb) then return false end
    pinfo.conversation = soup
    soup.dissector(tvb, pinfo, tree)
    return true
end)

-- Ports from the preferences.
local function follow_ports(proto, transport)
    local ports = DissectorTable.get(transport .. ".port")
    local current = ""
    proto.prefs.ports = Pref.range("Ports", "", transport:upper() .. " ports", 65535)
    function proto.prefs_changed()
        if proto.prefs.ports == current then return end
        if current ~= "" then ports:remove(current, proto) end
        current = proto.prefs.ports
        if current ~= "" then ports:add(current, proto) end
    end
    ports:add_for_decode_as(proto)
end

follow_ports(mold, "udp")
follow_ports(soup, "tcp")
"""
