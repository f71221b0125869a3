"""Dictionaries together with how strictly they are applied, compiled to memory for the kernels.

FIX.4.x has one dictionary. FIXT.1.1 has two: the transport's header, trailer and session messages,
and the application's messages.
"""

import ctypes
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tickwire.kernels import fix_layout as layout
from tickwire.kernels.fix_values import mix
from tickwire.orders.fix.dictionary import Dictionary, FieldRule, Group, Member
from tickwire.spec import fix

KINDS = {
    "CHAR": layout.CHARACTER, "BOOLEAN": layout.BOOLEAN,
    "INT": layout.INTEGER, "LENGTH": layout.INTEGER, "NUMINGROUP": layout.INTEGER,
    "SEQNUM": layout.INTEGER, "TAGNUM": layout.INTEGER,
    "FLOAT": layout.DECIMAL, "PRICE": layout.DECIMAL, "QTY": layout.DECIMAL, "AMT": layout.DECIMAL,
    "PERCENTAGE": layout.DECIMAL, "PRICEOFFSET": layout.DECIMAL, "QUANTITY": layout.DECIMAL,
    "UTCTIMESTAMP": layout.TIMESTAMP, "UTCTIMEONLY": layout.TIME,
    "UTCDATE": layout.DATE, "UTCDATEONLY": layout.DATE, "LOCALMKTDATE": layout.DATE,
    "DATE": layout.DATE, "MONTHYEAR": layout.MONTH, "DAYOFMONTH": layout.DAY,
    "DATA": layout.DATA, "XMLDATA": layout.DATA,
}
"""Form of each type that has one; any other is text."""

_MULTIPLE = ("MULTIPLEVALUESTRING", "MULTIPLECHARVALUE", "MULTIPLESTRINGVALUE")
_KNOWN_MAX = 1 << 20             # tags beyond are asked for in no table: unknown


@dataclass(frozen=True, slots=True)
class Options:
    """How strictly a dictionary is applied; names in brackets are QuickFIX's."""

    check_user_defined: bool = True    # tags from 5000 on must be known (ValidateUserDefinedFields)
    check_has_value: bool = True       # an empty value is a fault (ValidateFieldsHaveValues)
    check_order: bool = True           # header, body, trailer (ValidateFieldsOutOfOrder)
    allow_unknown: bool = False        # fields that a message has not are passed over

    @property
    def bits(self) -> int:
        """The same for kernels."""
        return (layout.CHECK_USER_DEFINED * self.check_user_defined
                | layout.CHECK_HAS_VALUE * self.check_has_value
                | layout.CHECK_ORDER * self.check_order
                | layout.ALLOW_UNKNOWN * self.allow_unknown)


class Rules:
    """What a session accepts. Immutable; any number of parsers may use one."""

    def __init__(self, session: Dictionary, application: Dictionary | None = None,
                 options: Options | None = None) -> None:
        """Compile ``session`` (header, trailer, messages) and, for FIXT, ``application``."""
        self.session, self.application = session, application or session
        self.options = options or Options()
        if not any(member.tag == fix.Tag.SEQUENCE for member in session.header):
            raise ValueError(f"{session.version} has no header with 34; "
                             "FIX.5.0 needs the dictionary of FIXT.1.1 beside it")
        self._lengths: dict[bool, dict[int, int]] = {}
        self._groups: dict[str | None, dict[int, Group]] = {}
        self._tables = _tables(_ById(self.session), _ById(self.application))
        self._memory = self._tables.memory
        self._rules = np.zeros(1, layout.RULES)
        self._rules[0] = self._tables.rules
        self._rules["options"] = self.options.bits

    @classmethod
    def own(cls, begin_string: str, options: Options | None = None) -> "Rules":
        """Return the own rules of "FIX.4.2", "FIX.4.4" or "FIXT.1.1" (with FIX.5.0SP2)."""
        application = Dictionary.own("FIX.5.0SP2") if begin_string == "FIXT.1.1" else None
        return cls(Dictionary.own(begin_string), application, options)

    @property
    def begin_string(self) -> str:
        """Value of 8."""
        return self.session.version

    @property
    def application_version(self) -> str:
        """Version of the application messages."""
        return self.application.version

    @property
    def is_fixt(self) -> bool:
        """Whether session and application have versions of their own."""
        return self.session is not self.application

    @property
    def address(self) -> int:
        """Address of the RULES row."""
        return int(self._rules.ctypes.data)

    @property
    def slots(self) -> int:
        """Members of all contexts together: stamps that a parser needs."""
        return self._tables.slots

    def dictionary(self, msg_type: str) -> Dictionary:
        """Return the dictionary that a message of ``msg_type`` belongs to."""
        return self.session if msg_type in self.session.messages else self.application

    def field(self, tag: int, msg_type: str = "") -> FieldRule | None:
        """Return the field ``tag`` as a message of ``msg_type`` has it, None when it is unknown."""
        first = self.dictionary(msg_type)
        other = self.application if first is self.session else self.session
        return first.field(tag) or other.field(tag)

    def members(self, msg_type: str) -> tuple[Member, ...]:
        """Return the members of a message's body, () when its type is unknown."""
        rule = self.dictionary(msg_type).messages.get(msg_type)
        return rule.members if rule else ()

    def lengths(self, msg_type: str) -> Mapping[int, int]:
        """Tag of the length field by the tag of its raw data, in header and body."""
        kind = msg_type in self.session.messages
        if kind not in self._lengths:
            body = self.session.lengths if kind else self.application.lengths
            self._lengths[kind] = {**self.session.lengths, **body}
        return self._lengths[kind]

    def groups(self, msg_type: str | None) -> Mapping[int, Group]:
        """Groups of a message's body by the tag of their count; of the header for None."""
        if msg_type not in self._groups:
            members = self.session.header if msg_type is None else self.members(msg_type)
            self._groups[msg_type] = {
                member.tag: member.group for member in members if member.group}
        return self._groups[msg_type]


@dataclass(frozen=True)
class _ById:
    """A dictionary as a key: compiled once a process, whatever options it is used with."""

    dictionary: Dictionary

    def __hash__(self) -> int:
        return id(self.dictionary)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.dictionary is self.dictionary


@functools.lru_cache(maxsize=32)
def _tables(session: _ById, application: _ById) -> "_Tables":
    return _Tables(session.dictionary, application.dictionary)


class _Tables:
    """Compiled form of one or two dictionaries."""

    def __init__(self, session: Dictionary, application: Dictionary) -> None:
        self.memory: list[np.ndarray] = []     # keeps what the rows point to
        self.slots = 0
        self._values: dict[tuple[int, int], int] = {}
        self._contexts: dict[int, int] = {}
        self.rules = np.zeros(1, layout.RULES)[0]
        self.rules["header"] = self._context(session, session.header)
        self.rules["trailer"] = self._context(session, session.trailer)
        self.rules["nothing"] = self._context(session, ())
        self.rules["session_tags"], self.rules["session_tags_end"] = self._known(session)
        (self.rules["application_tags"],
         self.rules["application_tags_end"]) = self._known(application)
        owners = {kind: application for kind in application.messages}
        owners.update({kind: session for kind in session.messages})
        rows = []
        for kind, owner in owners.items():
            packed = _pack(kind.encode("latin-1"))
            context = self._context(owner, owner.messages[kind].members)
            rows.append((packed, (packed, context, owner is session)))
        types = _hashed(layout.MESSAGE_TYPE, rows)
        self.rules["types"], self.rules["types_mask"] = self._keep(types), len(types) - 1
        self.rules["slots"] = self.slots

    def _keep(self, rows: np.ndarray) -> int:
        self.memory.append(rows)
        return int(rows.ctypes.data)

    def _known(self, dictionary: Dictionary) -> tuple[int, int]:
        tags = [tag for tag in dictionary.fields if tag < _KNOWN_MAX]
        end = max(tags, default=0) + 1
        words = np.zeros(end // 64 + 1, np.uint64)
        for tag in tags:
            words[tag >> 6] |= np.uint64(1 << (tag & 63))
        return self._keep(words), end

    def _context(self, dictionary: Dictionary, members: tuple[Member, ...],
                 group: Group | None = None) -> int:
        """Compile members and return the address of their context; once, wherever they are used."""
        if id(members) in self._contexts:
            return self._contexts[id(members)]
        announces = dictionary.announced
        rows = []
        for member in members:
            tag, rule, inner, values = member.tag, dictionary.fields[member.tag], 0, 0
            slot, self.slots = self.slots, self.slots + 1
            if member.group is not None:
                inner = self._context(dictionary, member.group.members, member.group)
            if rule.values and not rule.is_open and tag != fix.Tag.MESSAGE_TYPE:
                values = self._value_set(dictionary, tag)
            rows.append((tag, (tag, slot, inner, values, announces.get(tag, 0),
                               KINDS.get(rule.type, layout.TEXT), rule.type in _MULTIPLE, 0)))
        table = _hashed(layout.MEMBER, rows)
        base = self._keep(table)
        required = sorted(member.tag for member in members if member.is_required)
        places = {tag: base + i * layout.MEMBER.itemsize
                  for i, tag in enumerate(table["tag"].tolist())}
        context = np.zeros(1, layout.CONTEXT)
        context["members"], context["mask"] = base, len(table) - 1
        addresses = np.array([places[tag] for tag in required] or [0], np.int64)
        context["required"] = self._keep(addresses)
        context["required_count"] = len(required)
        context["delimiter"] = group.delimiter if group else 0
        self._contexts[id(members)] = self._keep(context)
        return self._contexts[id(members)]

    def _value_set(self, dictionary: Dictionary, tag: int) -> int:
        key = id(dictionary), tag
        if key not in self._values:
            codes = [code.encode("latin-1", "replace") for code in dictionary.fields[tag].values]
            values = np.zeros(1, layout.VALUES)
            singles = values[0]["singles"]
            for code in codes:
                if len(code) == 1:
                    bits = (int(singles[code[0] >> 6]) | 1 << (code[0] & 63)) & (1 << 64) - 1
                    singles[code[0] >> 6] = bits - (bits >> 63 << 64)
            rows = []
            for code in (code for code in codes if len(code) > 1):
                text = np.frombuffer(code + bytes(8), np.uint8).copy()
                packed = _pack(code)
                rows.append((packed + len(code), (packed, len(code), 0, self._keep(text))))
            if rows:
                table = _hashed(layout.WORD, rows)
                values["words"], values["mask"] = self._keep(table), len(table) - 1
            self._values[key] = self._keep(values)
        return self._values[key]


def _pack(octets: bytes) -> int:
    return ctypes.c_int64(int.from_bytes(octets[:8], "little")).value


def _hashed(dtype: np.dtype, rows: Sequence[tuple[int, tuple[int, ...]]]) -> np.ndarray:
    """Open-addressed table of ``rows`` by their keys, at most half full."""
    size = 1 << max(1, (2 * len(rows)).bit_length())
    table, taken = np.zeros(size, dtype), [False] * size
    for key, row in rows:
        index = int(mix(ctypes.c_int64(key).value)) & size - 1
        while taken[index]:
            index = (index + 1) & size - 1
        table[index], taken[index] = row, True
    return table
