-- Wireshark dissector for MoldUDP64 + ITCH 5.0 and SoupBinTCP + OUCH 5.0, GLIMPSE 5.0.
-- Generated from tickwire.spec by `make spec`; edit the tables, not this file.
--
-- Use: tshark -X lua_script:tickwire.lua -r FILE, or copy it to Wireshark's plugin folder.
-- Streams are recognised by their content; ports can be set in the protocol preferences.
-- Filters: tw_mold.sequence_number, tw_itch.price, tw_soup.type, tw_ouch.user_ref_num ...
-- Numbers are raw, in venue units: tw_itch.price >= 1000000 is 100.0000 dollars and above.

local mold_table = {
    shapes = {data = "octets", length = "number", message_count = "number", sequence_number = "number", session = "text"},
    frames = {
        ["downstream_header"] =
            {title = "Downstream Packet header", size = 20, least = 20, open = false, fields = {
                    {name = "session", offset = 0, size = 10, kind = "ascii"},
                    {name = "sequence_number", offset = 10, size = 8, kind = "uint"},
                    {name = "message_count", offset = 18, size = 2, kind = "uint", codes = {["0"] = "heartbeat", ["65535"] = "end of session"}},
                }},
        ["message_block"] =
            {title = "Message Block", size = 2, least = 2, open = true, counted = 0, fields = {
                    {name = "length", offset = 0, size = 2, kind = "uint"},
                    {name = "data", offset = 2, size = 0, kind = "octets"},
                }},
        ["request"] =
            {title = "Request Packet", size = 20, least = 20, open = false, fields = {
                    {name = "session", offset = 0, size = 10, kind = "ascii"},
                    {name = "sequence_number", offset = 10, size = 8, kind = "uint"},
                    {name = "message_count", offset = 18, size = 2, kind = "uint"},
                }},
    },
}

local itch_table = {
    shapes = {action = "text", attribution = "text", authenticity = "text", breached_level = "text", canceled_shares = "number", cross_price = "number", cross_type = "text", etp_flag = "text", etp_leverage = "number", event_code = "text", executed_shares = "number", execution_price = "number", extension = "number", far_price = "number", financial_status = "text", imbalance_direction = "text", imbalance_shares = "number", interest_flag = "text", inverse = "text", ipo_flag = "text", ipo_price = "number", issue_classification = "text", issue_sub_type = "text", level_1 = "number", level_2 = "number", level_3 = "number", lower_collar = "number", lower_price = "number", luld_tier = "text", market_category = "text", market_code = "text", market_maker_mode = "text", match_number = "number", maximum_price = "number", minimum_price = "number", mpid = "text", near_price = "number", near_time = "number", new_reference = "number", open_eligibility = "text", order_reference = "number", original_reference = "number", paired_shares = "number", participant_state = "text", price = "number", price_variation = "text", primary_market_maker = "text", printable = "text", reason = "text", reference_price = "number", reg_sho_action = "text", release_qualifier = "text", release_time = "number", reserved = "text", round_lot_size = "number", round_lots_only = "text", sequence_number = "text", shares = "number", short_sale_threshold = "text", side = "text", stock = "text", stock_locate = "number", timestamp = "number", tracking_number = "number", trading_state = "text", upper_collar = "number", upper_price = "number"},
    messages = {
        ["S"] =
            {title = "System Event", size = 12, least = 12, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "event_code", offset = 11, size = 1, kind = "ascii", codes = {["O"] = "start of messages", ["S"] = "start of system hours", ["Q"] = "start of market hours", ["M"] = "end of market hours", ["E"] = "end of system hours", ["C"] = "end of messages"}},
                }},
        ["R"] =
            {title = "Stock Directory", size = 39, least = 39, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "stock", offset = 11, size = 8, kind = "ascii"},
                    {name = "market_category", offset = 19, size = 1, kind = "ascii", codes = {["Q"] = "Nasdaq Global Select", ["G"] = "Nasdaq Global Market", ["S"] = "Nasdaq Capital Market", ["N"] = "NYSE", ["A"] = "NYSE American", ["P"] = "NYSE Arca", ["Z"] = "Cboe BZX", ["V"] = "IEX", ["M"] = "NYSE Texas", [" "] = "unknown"}},
                    {name = "financial_status", offset = 20, size = 1, kind = "ascii", codes = {["D"] = "deficient", ["E"] = "delinquent", ["Q"] = "bankrupt", ["S"] = "suspended", ["G"] = "deficient and bankrupt", ["H"] = "deficient and delinquent", ["J"] = "delinquent and bankrupt", ["K"] = "deficient, delinquent and bankrupt", ["C"] = "creations or redemptions suspended", ["N"] = "normal", [" "] = "unknown"}},
                    {name = "round_lot_size", offset = 21, size = 4, kind = "uint"},
                    {name = "round_lots_only", offset = 25, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no"}},
                    {name = "issue_classification", offset = 26, size = 1, kind = "ascii", codes = {["A"] = "American depositary share", ["B"] = "bond", ["C"] = "common stock", ["F"] = "depositary receipt", ["I"] = "144A", ["L"] = "limited partnership", ["N"] = "notes", ["O"] = "ordinary share", ["P"] = "preferred stock", ["Q"] = "other", ["R"] = "right", ["S"] = "shares of beneficial interest", ["T"] = "convertible debenture", ["U"] = "unit", ["V"] = "units of beneficial interest", ["W"] = "warrant"}},
                    {name = "issue_sub_type", offset = 27, size = 2, kind = "ascii"},
                    {name = "authenticity", offset = 29, size = 1, kind = "ascii", codes = {["P"] = "live", ["T"] = "test"}},
                    {name = "short_sale_threshold", offset = 30, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no", [" "] = "not available"}},
                    {name = "ipo_flag", offset = 31, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no", [" "] = "not available", ["Z"] = "not applicable"}},
                    {name = "luld_tier", offset = 32, size = 1, kind = "ascii", codes = {["1"] = "tier 1", ["2"] = "tier 2", [" "] = "not applicable"}},
                    {name = "etp_flag", offset = 33, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no", [" "] = "not available"}},
                    {name = "etp_leverage", offset = 34, size = 4, kind = "uint"},
                    {name = "inverse", offset = 38, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no"}},
                }},
        ["H"] =
            {title = "Stock Trading Action", size = 25, least = 25, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "stock", offset = 11, size = 8, kind = "ascii"},
                    {name = "trading_state", offset = 19, size = 1, kind = "ascii", codes = {["H"] = "halted", ["P"] = "paused", ["Q"] = "quotation only", ["T"] = "trading"}},
                    {name = "reserved", offset = 20, size = 1, kind = "ascii"},
                    {name = "reason", offset = 21, size = 4, kind = "ascii"},
                }},
        ["Y"] =
            {title = "Reg SHO Restriction", size = 20, least = 20, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "stock", offset = 11, size = 8, kind = "ascii"},
                    {name = "reg_sho_action", offset = 19, size = 1, kind = "ascii", codes = {["0"] = "none", ["1"] = "in force since an intraday drop", ["2"] = "remains in force"}},
                }},
        ["L"] =
            {title = "Market Participant Position", size = 26, least = 26, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "mpid", offset = 11, size = 4, kind = "ascii"},
                    {name = "stock", offset = 15, size = 8, kind = "ascii"},
                    {name = "primary_market_maker", offset = 23, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no"}},
                    {name = "market_maker_mode", offset = 24, size = 1, kind = "ascii", codes = {["N"] = "normal", ["P"] = "passive", ["S"] = "syndicate", ["R"] = "pre-syndicate", ["L"] = "penalty"}},
                    {name = "participant_state", offset = 25, size = 1, kind = "ascii", codes = {["A"] = "active", ["E"] = "excused", ["W"] = "withdrawn", ["S"] = "suspended", ["D"] = "deleted"}},
                }},
        ["V"] =
            {title = "MWCB Decline Level", size = 35, least = 35, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "level_1", offset = 11, size = 8, kind = "price", decimals = 8},
                    {name = "level_2", offset = 19, size = 8, kind = "price", decimals = 8},
                    {name = "level_3", offset = 27, size = 8, kind = "price", decimals = 8},
                }},
        ["W"] =
            {title = "MWCB Status", size = 12, least = 12, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "breached_level", offset = 11, size = 1, kind = "ascii", codes = {["1"] = "level 1", ["2"] = "level 2", ["3"] = "level 3"}},
                }},
        ["K"] =
            {title = "IPO Quoting Period Update", size = 28, least = 28, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "stock", offset = 11, size = 8, kind = "ascii"},
                    {name = "release_time", offset = 19, size = 4, kind = "uint"},
                    {name = "release_qualifier", offset = 23, size = 1, kind = "ascii", codes = {["A"] = "anticipated", ["C"] = "cancelled or postponed: time and price are 0"}},
                    {name = "ipo_price", offset = 24, size = 4, kind = "price", decimals = 4},
                }},
        ["J"] =
            {title = "LULD Auction Collar", size = 35, least = 35, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "stock", offset = 11, size = 8, kind = "ascii"},
                    {name = "reference_price", offset = 19, size = 4, kind = "price", decimals = 4},
                    {name = "upper_price", offset = 23, size = 4, kind = "price", decimals = 4},
                    {name = "lower_price", offset = 27, size = 4, kind = "price", decimals = 4},
                    {name = "extension", offset = 31, size = 4, kind = "uint"},
                }},
        ["h"] =
            {title = "Operational Halt", size = 21, least = 21, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "stock", offset = 11, size = 8, kind = "ascii"},
                    {name = "market_code", offset = 19, size = 1, kind = "ascii", codes = {["Q"] = "Nasdaq", ["B"] = "BX", ["X"] = "PSX"}},
                    {name = "action", offset = 20, size = 1, kind = "ascii", codes = {["H"] = "halted", ["T"] = "resumed"}},
                }},
        ["A"] =
            {title = "Add Order", size = 36, least = 36, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "order_reference", offset = 11, size = 8, kind = "uint"},
                    {name = "side", offset = 19, size = 1, kind = "ascii", codes = {["B"] = "buy", ["S"] = "sell"}},
                    {name = "shares", offset = 20, size = 4, kind = "uint"},
                    {name = "stock", offset = 24, size = 8, kind = "ascii"},
                    {name = "price", offset = 32, size = 4, kind = "price", decimals = 4},
                }},
        ["F"] =
            {title = "Add Order with MPID", size = 40, least = 40, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "order_reference", offset = 11, size = 8, kind = "uint"},
                    {name = "side", offset = 19, size = 1, kind = "ascii", codes = {["B"] = "buy", ["S"] = "sell"}},
                    {name = "shares", offset = 20, size = 4, kind = "uint"},
                    {name = "stock", offset = 24, size = 8, kind = "ascii"},
                    {name = "price", offset = 32, size = 4, kind = "price", decimals = 4},
                    {name = "attribution", offset = 36, size = 4, kind = "ascii"},
                }},
        ["E"] =
            {title = "Order Executed", size = 31, least = 31, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "order_reference", offset = 11, size = 8, kind = "uint"},
                    {name = "executed_shares", offset = 19, size = 4, kind = "uint"},
                    {name = "match_number", offset = 23, size = 8, kind = "uint"},
                }},
        ["C"] =
            {title = "Order Executed with Price", size = 36, least = 36, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "order_reference", offset = 11, size = 8, kind = "uint"},
                    {name = "executed_shares", offset = 19, size = 4, kind = "uint"},
                    {name = "match_number", offset = 23, size = 8, kind = "uint"},
                    {name = "printable", offset = 31, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no"}},
                    {name = "execution_price", offset = 32, size = 4, kind = "price", decimals = 4},
                }},
        ["X"] =
            {title = "Order Cancel", size = 23, least = 23, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "order_reference", offset = 11, size = 8, kind = "uint"},
                    {name = "canceled_shares", offset = 19, size = 4, kind = "uint"},
                }},
        ["D"] =
            {title = "Order Delete", size = 19, least = 19, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "order_reference", offset = 11, size = 8, kind = "uint"},
                }},
        ["U"] =
            {title = "Order Replace", size = 35, least = 35, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "original_reference", offset = 11, size = 8, kind = "uint"},
                    {name = "new_reference", offset = 19, size = 8, kind = "uint"},
                    {name = "shares", offset = 27, size = 4, kind = "uint"},
                    {name = "price", offset = 31, size = 4, kind = "price", decimals = 4},
                }},
        ["P"] =
            {title = "Trade (non-cross)", size = 44, least = 44, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "order_reference", offset = 11, size = 8, kind = "uint"},
                    {name = "side", offset = 19, size = 1, kind = "ascii", codes = {["B"] = "buy", ["S"] = "sell"}},
                    {name = "shares", offset = 20, size = 4, kind = "uint"},
                    {name = "stock", offset = 24, size = 8, kind = "ascii"},
                    {name = "price", offset = 32, size = 4, kind = "price", decimals = 4},
                    {name = "match_number", offset = 36, size = 8, kind = "uint"},
                }},
        ["Q"] =
            {title = "Cross Trade", size = 40, least = 40, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "shares", offset = 11, size = 8, kind = "uint"},
                    {name = "stock", offset = 19, size = 8, kind = "ascii"},
                    {name = "cross_price", offset = 27, size = 4, kind = "price", decimals = 4},
                    {name = "match_number", offset = 31, size = 8, kind = "uint"},
                    {name = "cross_type", offset = 39, size = 1, kind = "ascii", codes = {["O"] = "opening", ["C"] = "closing", ["H"] = "halt or IPO", ["I"] = "intraday or post-close", ["A"] = "extended close"}},
                }},
        ["B"] =
            {title = "Broken Trade", size = 19, least = 19, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "match_number", offset = 11, size = 8, kind = "uint"},
                }},
        ["I"] =
            {title = "Net Order Imbalance Indicator", size = 50, least = 50, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "paired_shares", offset = 11, size = 8, kind = "uint"},
                    {name = "imbalance_shares", offset = 19, size = 8, kind = "uint"},
                    {name = "imbalance_direction", offset = 27, size = 1, kind = "ascii", codes = {["B"] = "buy", ["S"] = "sell", ["N"] = "none", ["O"] = "not enough orders", ["P"] = "paused"}},
                    {name = "stock", offset = 28, size = 8, kind = "ascii"},
                    {name = "far_price", offset = 36, size = 4, kind = "price", decimals = 4},
                    {name = "near_price", offset = 40, size = 4, kind = "price", decimals = 4},
                    {name = "reference_price", offset = 44, size = 4, kind = "price", decimals = 4},
                    {name = "cross_type", offset = 48, size = 1, kind = "ascii", codes = {["O"] = "opening", ["C"] = "closing", ["H"] = "halt or IPO", ["I"] = "intraday or post-close", ["A"] = "extended close"}},
                    {name = "price_variation", offset = 49, size = 1, kind = "ascii", codes = {["L"] = "below 1 %", ["1"] = "1 to 2 %", ["2"] = "2 to 3 %", ["3"] = "3 to 4 %", ["4"] = "4 to 5 %", ["5"] = "5 to 6 %", ["6"] = "6 to 7 %", ["7"] = "7 to 8 %", ["8"] = "8 to 9 %", ["9"] = "9 to 10 %", ["A"] = "10 to 20 %", ["B"] = "20 to 30 %", ["C"] = "30 % or more", [" "] = "not computable"}},
                }},
        ["N"] =
            {title = "Retail Price Improvement Indicator", size = 20, least = 20, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "stock", offset = 11, size = 8, kind = "ascii"},
                    {name = "interest_flag", offset = 19, size = 1, kind = "ascii", codes = {["B"] = "buy", ["S"] = "sell", ["A"] = "both", ["N"] = "none"}},
                }},
        ["O"] =
            {title = "Direct Listing with Capital Raise", size = 48, least = 48, open = false, fields = {
                    {name = "stock_locate", offset = 1, size = 2, kind = "uint"},
                    {name = "tracking_number", offset = 3, size = 2, kind = "uint"},
                    {name = "timestamp", offset = 5, size = 6, kind = "time"},
                    {name = "stock", offset = 11, size = 8, kind = "ascii"},
                    {name = "open_eligibility", offset = 19, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no"}},
                    {name = "minimum_price", offset = 20, size = 4, kind = "price", decimals = 4},
                    {name = "maximum_price", offset = 24, size = 4, kind = "price", decimals = 4},
                    {name = "near_price", offset = 28, size = 4, kind = "price", decimals = 4},
                    {name = "near_time", offset = 32, size = 8, kind = "time"},
                    {name = "lower_collar", offset = 40, size = 4, kind = "price", decimals = 4},
                    {name = "upper_collar", offset = 44, size = 4, kind = "price", decimals = 4},
                }},
        ["G"] =
            {title = "End of Snapshot", size = 21, least = 21, open = false, fields = {
                    {name = "sequence_number", offset = 1, size = 20, kind = "ascii"},
                }},
    },
}

local soup_table = {
    shapes = {length = "number", message = "octets", password = "text", reason = "text", requested_sequence = "text", requested_session = "text", sequence_number = "text", session = "text", text = "octets", username = "text"},
    packets = {
        ["+"] =
            {title = "Debug", size = 3, least = 3, open = true, counted = 0, fields = {
                    {name = "length", offset = 0, size = 2, kind = "uint"},
                    {name = "text", offset = 3, size = 0, kind = "octets"},
                }},
        ["A"] =
            {title = "Login Accepted", size = 33, least = 33, open = false, counted = 0, fields = {
                    {name = "length", offset = 0, size = 2, kind = "uint"},
                    {name = "session", offset = 3, size = 10, kind = "ascii"},
                    {name = "sequence_number", offset = 13, size = 20, kind = "ascii"},
                }},
        ["J"] =
            {title = "Login Rejected", size = 4, least = 4, open = false, counted = 0, fields = {
                    {name = "length", offset = 0, size = 2, kind = "uint"},
                    {name = "reason", offset = 3, size = 1, kind = "ascii", codes = {["A"] = "not authorised", ["S"] = "no such session"}},
                }},
        ["S"] =
            {title = "Sequenced Data", size = 3, least = 3, open = true, counted = 0, fields = {
                    {name = "length", offset = 0, size = 2, kind = "uint"},
                    {name = "message", offset = 3, size = 0, kind = "octets"},
                }},
        ["H"] =
            {title = "Server Heartbeat", size = 3, least = 3, open = false, counted = 0, fields = {
                    {name = "length", offset = 0, size = 2, kind = "uint"},
                }},
        ["Z"] =
            {title = "End of Session", size = 3, least = 3, open = false, counted = 0, fields = {
                    {name = "length", offset = 0, size = 2, kind = "uint"},
                }},
        ["L"] =
            {title = "Login Request", size = 49, least = 49, open = false, counted = 0, fields = {
                    {name = "length", offset = 0, size = 2, kind = "uint"},
                    {name = "username", offset = 3, size = 6, kind = "ascii"},
                    {name = "password", offset = 9, size = 10, kind = "ascii"},
                    {name = "requested_session", offset = 19, size = 10, kind = "ascii"},
                    {name = "requested_sequence", offset = 29, size = 20, kind = "ascii"},
                }},
        ["U"] =
            {title = "Unsequenced Data", size = 3, least = 3, open = true, counted = 0, fields = {
                    {name = "length", offset = 0, size = 2, kind = "uint"},
                    {name = "message", offset = 3, size = 0, kind = "octets"},
                }},
        ["R"] =
            {title = "Client Heartbeat", size = 3, least = 3, open = false, counted = 0, fields = {
                    {name = "length", offset = 0, size = 2, kind = "uint"},
                }},
        ["O"] =
            {title = "Logout Request", size = 3, least = 3, open = false, counted = 0, fields = {
                    {name = "length", offset = 0, size = 2, kind = "uint"},
                }},
    },
}

local ouch_table = {
    shapes = {aiq_strategy = "text", appendage = "octets", appendage_length = "number", capacity = "text", cl_ord_id = "text", cross_type = "text", decrement_shares = "number", display = "text", event_code = "text", execution_price = "number", firm = "text", iso_eligible = "text", liquidity_flag = "text", match_number = "number", next_user_ref_num = "number", order_reference = "number", order_state = "text", orig_user_ref_num = "number", prevented_quantity = "number", price = "number", quantity = "number", reason_number = "number", reason = "text", side = "text", symbol = "text", time_in_force = "text", timestamp = "number", user_ref_num = "number"},
    inbound = {
        ["O"] =
            {title = "Enter Order", size = 47, least = 47, open = true, counted = 45, fields = {
                    {name = "user_ref_num", offset = 1, size = 4, kind = "uint"},
                    {name = "side", offset = 5, size = 1, kind = "ascii", codes = {["B"] = "buy", ["S"] = "sell", ["T"] = "sell short", ["E"] = "sell short exempt"}},
                    {name = "quantity", offset = 6, size = 4, kind = "uint"},
                    {name = "symbol", offset = 10, size = 8, kind = "ascii"},
                    {name = "price", offset = 18, size = 8, kind = "price", decimals = 4},
                    {name = "time_in_force", offset = 26, size = 1, kind = "ascii", codes = {["0"] = "day", ["3"] = "immediate or cancel", ["5"] = "extended hours", ["6"] = "until the expire time", ["E"] = "after hours"}},
                    {name = "display", offset = 27, size = 1, kind = "ascii", codes = {["Y"] = "visible", ["N"] = "hidden", ["A"] = "attributable"}},
                    {name = "capacity", offset = 28, size = 1, kind = "ascii", codes = {["A"] = "agency", ["P"] = "principal", ["R"] = "riskless principal", ["O"] = "other"}},
                    {name = "iso_eligible", offset = 29, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no"}},
                    {name = "cross_type", offset = 30, size = 1, kind = "ascii", codes = {["N"] = "continuous", ["O"] = "opening", ["C"] = "closing", ["H"] = "halt or IPO", ["S"] = "supplemental", ["R"] = "retail", ["E"] = "extended life", ["A"] = "after hours close"}},
                    {name = "cl_ord_id", offset = 31, size = 14, kind = "ascii"},
                    {name = "appendage_length", offset = 45, size = 2, kind = "uint"},
                    {name = "appendage", offset = 47, size = 0, kind = "octets"},
                }},
        ["U"] =
            {title = "Replace Order", size = 40, least = 40, open = true, counted = 38, fields = {
                    {name = "orig_user_ref_num", offset = 1, size = 4, kind = "uint"},
                    {name = "user_ref_num", offset = 5, size = 4, kind = "uint"},
                    {name = "quantity", offset = 9, size = 4, kind = "uint"},
                    {name = "price", offset = 13, size = 8, kind = "price", decimals = 4},
                    {name = "time_in_force", offset = 21, size = 1, kind = "ascii", codes = {["0"] = "day", ["3"] = "immediate or cancel", ["5"] = "extended hours", ["6"] = "until the expire time"}},
                    {name = "display", offset = 22, size = 1, kind = "ascii", codes = {["Y"] = "visible", ["N"] = "hidden", ["A"] = "attributable"}},
                    {name = "iso_eligible", offset = 23, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no"}},
                    {name = "cl_ord_id", offset = 24, size = 14, kind = "ascii"},
                    {name = "appendage_length", offset = 38, size = 2, kind = "uint"},
                    {name = "appendage", offset = 40, size = 0, kind = "octets"},
                }},
        ["X"] =
            {title = "Cancel Order", size = 11, least = 9, open = true, counted = 9, fields = {
                    {name = "user_ref_num", offset = 1, size = 4, kind = "uint"},
                    {name = "quantity", offset = 5, size = 4, kind = "uint"},
                    {name = "appendage_length", offset = 9, size = 2, kind = "uint"},
                    {name = "appendage", offset = 11, size = 0, kind = "octets"},
                }},
        ["M"] =
            {title = "Modify Order", size = 12, least = 10, open = true, counted = 10, fields = {
                    {name = "user_ref_num", offset = 1, size = 4, kind = "uint"},
                    {name = "side", offset = 5, size = 1, kind = "ascii", codes = {["B"] = "buy", ["S"] = "sell", ["T"] = "sell short", ["E"] = "sell short exempt"}},
                    {name = "quantity", offset = 6, size = 4, kind = "uint"},
                    {name = "appendage_length", offset = 10, size = 2, kind = "uint"},
                    {name = "appendage", offset = 12, size = 0, kind = "octets"},
                }},
        ["C"] =
            {title = "Mass Cancel", size = 19, least = 19, open = true, counted = 17, fields = {
                    {name = "user_ref_num", offset = 1, size = 4, kind = "uint"},
                    {name = "firm", offset = 5, size = 4, kind = "ascii"},
                    {name = "symbol", offset = 9, size = 8, kind = "ascii"},
                    {name = "appendage_length", offset = 17, size = 2, kind = "uint"},
                    {name = "appendage", offset = 19, size = 0, kind = "octets"},
                }},
        ["D"] =
            {title = "Disable Order Entry", size = 11, least = 11, open = true, counted = 9, fields = {
                    {name = "user_ref_num", offset = 1, size = 4, kind = "uint"},
                    {name = "firm", offset = 5, size = 4, kind = "ascii"},
                    {name = "appendage_length", offset = 9, size = 2, kind = "uint"},
                    {name = "appendage", offset = 11, size = 0, kind = "octets"},
                }},
        ["E"] =
            {title = "Enable Order Entry", size = 11, least = 11, open = true, counted = 9, fields = {
                    {name = "user_ref_num", offset = 1, size = 4, kind = "uint"},
                    {name = "firm", offset = 5, size = 4, kind = "ascii"},
                    {name = "appendage_length", offset = 9, size = 2, kind = "uint"},
                    {name = "appendage", offset = 11, size = 0, kind = "octets"},
                }},
        ["Q"] =
            {title = "Account Query", size = 3, least = 1, open = true, counted = 1, fields = {
                    {name = "appendage_length", offset = 1, size = 2, kind = "uint"},
                    {name = "appendage", offset = 3, size = 0, kind = "octets"},
                }},
    },
    outbound = {
        ["S"] =
            {title = "System Event", size = 10, least = 10, open = false, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "event_code", offset = 9, size = 1, kind = "ascii", codes = {["S"] = "start of day", ["E"] = "end of day"}},
                }},
        ["A"] =
            {title = "Order Accepted", size = 64, least = 64, open = true, counted = 62, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "side", offset = 13, size = 1, kind = "ascii", codes = {["B"] = "buy", ["S"] = "sell", ["T"] = "sell short", ["E"] = "sell short exempt"}},
                    {name = "quantity", offset = 14, size = 4, kind = "uint"},
                    {name = "symbol", offset = 18, size = 8, kind = "ascii"},
                    {name = "price", offset = 26, size = 8, kind = "price", decimals = 4},
                    {name = "time_in_force", offset = 34, size = 1, kind = "ascii", codes = {["0"] = "day", ["3"] = "immediate or cancel", ["5"] = "extended hours", ["6"] = "until the expire time", ["E"] = "after hours"}},
                    {name = "display", offset = 35, size = 1, kind = "ascii", codes = {["Y"] = "visible", ["N"] = "hidden", ["A"] = "attributable", ["Z"] = "conformant"}},
                    {name = "order_reference", offset = 36, size = 8, kind = "uint"},
                    {name = "capacity", offset = 44, size = 1, kind = "ascii", codes = {["A"] = "agency", ["P"] = "principal", ["R"] = "riskless principal", ["O"] = "other"}},
                    {name = "iso_eligible", offset = 45, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no"}},
                    {name = "cross_type", offset = 46, size = 1, kind = "ascii", codes = {["N"] = "continuous", ["O"] = "opening", ["C"] = "closing", ["H"] = "halt or IPO", ["S"] = "supplemental", ["R"] = "retail", ["E"] = "extended life", ["A"] = "after hours close"}},
                    {name = "order_state", offset = 47, size = 1, kind = "ascii", codes = {["L"] = "live", ["D"] = "dead: nothing follows"}},
                    {name = "cl_ord_id", offset = 48, size = 14, kind = "ascii"},
                    {name = "appendage_length", offset = 62, size = 2, kind = "uint"},
                    {name = "appendage", offset = 64, size = 0, kind = "octets"},
                }},
        ["U"] =
            {title = "Order Replaced", size = 68, least = 68, open = true, counted = 66, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "orig_user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "user_ref_num", offset = 13, size = 4, kind = "uint"},
                    {name = "side", offset = 17, size = 1, kind = "ascii", codes = {["B"] = "buy", ["S"] = "sell", ["T"] = "sell short", ["E"] = "sell short exempt"}},
                    {name = "quantity", offset = 18, size = 4, kind = "uint"},
                    {name = "symbol", offset = 22, size = 8, kind = "ascii"},
                    {name = "price", offset = 30, size = 8, kind = "price", decimals = 4},
                    {name = "time_in_force", offset = 38, size = 1, kind = "ascii", codes = {["0"] = "day", ["3"] = "immediate or cancel", ["5"] = "extended hours", ["6"] = "until the expire time", ["E"] = "after hours"}},
                    {name = "display", offset = 39, size = 1, kind = "ascii", codes = {["Y"] = "visible", ["N"] = "hidden", ["A"] = "attributable", ["Z"] = "conformant"}},
                    {name = "order_reference", offset = 40, size = 8, kind = "uint"},
                    {name = "capacity", offset = 48, size = 1, kind = "ascii", codes = {["A"] = "agency", ["P"] = "principal", ["R"] = "riskless principal", ["O"] = "other"}},
                    {name = "iso_eligible", offset = 49, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no"}},
                    {name = "cross_type", offset = 50, size = 1, kind = "ascii", codes = {["N"] = "continuous", ["O"] = "opening", ["C"] = "closing", ["H"] = "halt or IPO", ["S"] = "supplemental", ["R"] = "retail", ["E"] = "extended life", ["A"] = "after hours close"}},
                    {name = "order_state", offset = 51, size = 1, kind = "ascii", codes = {["L"] = "live", ["D"] = "dead: nothing follows"}},
                    {name = "cl_ord_id", offset = 52, size = 14, kind = "ascii"},
                    {name = "appendage_length", offset = 66, size = 2, kind = "uint"},
                    {name = "appendage", offset = 68, size = 0, kind = "octets"},
                }},
        ["C"] =
            {title = "Order Canceled", size = 20, least = 18, open = true, counted = 18, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "quantity", offset = 13, size = 4, kind = "uint"},
                    {name = "reason", offset = 17, size = 1, kind = "ascii", codes = {["D"] = "regulatory", ["E"] = "closed", ["F"] = "post only", ["G"] = "post only against displayed", ["H"] = "halted", ["I"] = "immediate or cancel", ["K"] = "market collar", ["Q"] = "self match", ["S"] = "supervisory", ["T"] = "timeout", ["U"] = "user", ["X"] = "open protection", ["Z"] = "system", ["C"] = "cross cancelled", ["e"] = "direct listing size"}},
                    {name = "appendage_length", offset = 18, size = 2, kind = "uint"},
                    {name = "appendage", offset = 20, size = 0, kind = "octets"},
                }},
        ["D"] =
            {title = "AIQ Canceled", size = 34, least = 32, open = true, counted = 32, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "decrement_shares", offset = 13, size = 4, kind = "uint"},
                    {name = "reason", offset = 17, size = 1, kind = "ascii", codes = {["Q"] = "self match"}},
                    {name = "prevented_quantity", offset = 18, size = 4, kind = "uint"},
                    {name = "execution_price", offset = 22, size = 8, kind = "price", decimals = 4},
                    {name = "liquidity_flag", offset = 30, size = 1, kind = "ascii", codes = {["A"] = "added", ["R"] = "removed", ["C"] = "closing cross", ["O"] = "opening cross", ["H"] = "halt or IPO cross", ["K"] = "halt cross", ["L"] = "closing imbalance only", ["M"] = "opening imbalance only", ["J"] = "added hidden", ["k"] = "added midpoint", ["m"] = "removed midpoint", ["N"] = "passive midpoint", ["n"] = "midpoint extended life", ["e"] = "retail added", ["i"] = "after hours close", ["u"] = "hidden reserve", ["0"] = "supplemental", ["7"] = "improved the NBBO", ["8"] = "set the venue's BBO, joining the NBBO"}},
                    {name = "aiq_strategy", offset = 31, size = 1, kind = "ascii"},
                    {name = "appendage_length", offset = 32, size = 2, kind = "uint"},
                    {name = "appendage", offset = 34, size = 0, kind = "octets"},
                }},
        ["E"] =
            {title = "Order Executed", size = 36, least = 36, open = true, counted = 34, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "quantity", offset = 13, size = 4, kind = "uint"},
                    {name = "price", offset = 17, size = 8, kind = "price", decimals = 4},
                    {name = "liquidity_flag", offset = 25, size = 1, kind = "ascii", codes = {["A"] = "added", ["R"] = "removed", ["C"] = "closing cross", ["O"] = "opening cross", ["H"] = "halt or IPO cross", ["K"] = "halt cross", ["L"] = "closing imbalance only", ["M"] = "opening imbalance only", ["J"] = "added hidden", ["k"] = "added midpoint", ["m"] = "removed midpoint", ["N"] = "passive midpoint", ["n"] = "midpoint extended life", ["e"] = "retail added", ["i"] = "after hours close", ["u"] = "hidden reserve", ["0"] = "supplemental", ["7"] = "improved the NBBO", ["8"] = "set the venue's BBO, joining the NBBO"}},
                    {name = "match_number", offset = 26, size = 8, kind = "uint"},
                    {name = "appendage_length", offset = 34, size = 2, kind = "uint"},
                    {name = "appendage", offset = 36, size = 0, kind = "octets"},
                }},
        ["B"] =
            {title = "Broken Trade", size = 38, least = 36, open = true, counted = 36, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "match_number", offset = 13, size = 8, kind = "uint"},
                    {name = "reason", offset = 21, size = 1, kind = "ascii", codes = {["E"] = "erroneous", ["C"] = "consent", ["S"] = "supervisory", ["X"] = "external"}},
                    {name = "cl_ord_id", offset = 22, size = 14, kind = "ascii"},
                    {name = "appendage_length", offset = 36, size = 2, kind = "uint"},
                    {name = "appendage", offset = 38, size = 0, kind = "octets"},
                }},
        ["J"] =
            {title = "Rejected", size = 31, least = 29, open = true, counted = 29, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "reason_number", offset = 13, size = 2, kind = "uint", codes = {["1"] = "quote unavailable", ["2"] = "destination closed", ["3"] = "display", ["4"] = "maximum floor", ["5"] = "peg type", ["6"] = "fat finger", ["7"] = "halted", ["8"] = "ISO", ["9"] = "side", ["10"] = "processing", ["11"] = "cancel pending", ["12"] = "firm", ["13"] = "minimum quantity", ["14"] = "no closing reference price", ["15"] = "other", ["16"] = "cancel not allowed", ["17"] = "pegging", ["18"] = "crossed market", ["19"] = "quantity", ["20"] = "cross order", ["21"] = "replace", ["22"] = "routing", ["23"] = "symbol", ["24"] = "test", ["25"] = "late limit on close", ["26"] = "retail", ["27"] = "midpoint post only price", ["28"] = "destination", ["29"] = "price", ["30"] = "shares", ["31"] = "notional", ["32"] = "risk: exposure", ["33"] = "risk: market impact", ["34"] = "risk: restricted stock", ["35"] = "risk: short sell restricted", ["36"] = "risk: ISO", ["37"] = "risk: average daily volume", ["38"] = "risk: fat finger", ["39"] = "risk: locate", ["40"] = "risk: symbol rate", ["41"] = "risk: port rate", ["42"] = "risk: duplicate rate", ["43"] = "risk: short sell", ["44"] = "risk: market order", ["45"] = "risk: pre-market", ["46"] = "risk: post-market", ["47"] = "risk: short exempt", ["48"] = "risk: notional", ["49"] = "risk: quantity", ["50"] = "Reg SHO state unknown", ["51"] = "risk: IPO market buy"}},
                    {name = "cl_ord_id", offset = 15, size = 14, kind = "ascii"},
                    {name = "appendage_length", offset = 29, size = 2, kind = "uint"},
                    {name = "appendage", offset = 31, size = 0, kind = "octets"},
                }},
        ["P"] =
            {title = "Cancel Pending", size = 15, least = 13, open = true, counted = 13, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "appendage_length", offset = 13, size = 2, kind = "uint"},
                    {name = "appendage", offset = 15, size = 0, kind = "octets"},
                }},
        ["I"] =
            {title = "Cancel Reject", size = 15, least = 13, open = true, counted = 13, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "appendage_length", offset = 13, size = 2, kind = "uint"},
                    {name = "appendage", offset = 15, size = 0, kind = "octets"},
                }},
        ["T"] =
            {title = "Order Priority Update", size = 32, least = 30, open = true, counted = 30, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "price", offset = 13, size = 8, kind = "price", decimals = 4},
                    {name = "display", offset = 21, size = 1, kind = "ascii", codes = {["Y"] = "visible", ["N"] = "hidden", ["A"] = "attributable", ["Z"] = "conformant"}},
                    {name = "order_reference", offset = 22, size = 8, kind = "uint"},
                    {name = "appendage_length", offset = 30, size = 2, kind = "uint"},
                    {name = "appendage", offset = 32, size = 0, kind = "octets"},
                }},
        ["M"] =
            {title = "Order Modified", size = 20, least = 18, open = true, counted = 18, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "side", offset = 13, size = 1, kind = "ascii", codes = {["B"] = "buy", ["S"] = "sell", ["T"] = "sell short", ["E"] = "sell short exempt"}},
                    {name = "quantity", offset = 14, size = 4, kind = "uint"},
                    {name = "appendage_length", offset = 18, size = 2, kind = "uint"},
                    {name = "appendage", offset = 20, size = 0, kind = "octets"},
                }},
        ["R"] =
            {title = "Order Restated", size = 16, least = 16, open = true, counted = 14, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "reason", offset = 13, size = 1, kind = "ascii", codes = {["R"] = "refresh of display", ["P"] = "update of displayed price"}},
                    {name = "appendage_length", offset = 14, size = 2, kind = "uint"},
                    {name = "appendage", offset = 16, size = 0, kind = "octets"},
                }},
        ["X"] =
            {title = "Mass Cancel Response", size = 27, least = 27, open = true, counted = 25, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "firm", offset = 13, size = 4, kind = "ascii"},
                    {name = "symbol", offset = 17, size = 8, kind = "ascii"},
                    {name = "appendage_length", offset = 25, size = 2, kind = "uint"},
                    {name = "appendage", offset = 27, size = 0, kind = "octets"},
                }},
        ["G"] =
            {title = "Disable Order Entry Response", size = 19, least = 19, open = true, counted = 17, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "firm", offset = 13, size = 4, kind = "ascii"},
                    {name = "appendage_length", offset = 17, size = 2, kind = "uint"},
                    {name = "appendage", offset = 19, size = 0, kind = "octets"},
                }},
        ["K"] =
            {title = "Enable Order Entry Response", size = 19, least = 19, open = true, counted = 17, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "firm", offset = 13, size = 4, kind = "ascii"},
                    {name = "appendage_length", offset = 17, size = 2, kind = "uint"},
                    {name = "appendage", offset = 19, size = 0, kind = "octets"},
                }},
        ["Q"] =
            {title = "Account Query Response", size = 15, least = 13, open = true, counted = 13, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "next_user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "appendage_length", offset = 13, size = 2, kind = "uint"},
                    {name = "appendage", offset = 15, size = 0, kind = "octets"},
                }},
        ["F"] =
            {title = "Trade Correction", size = 49, least = 49, open = false, fields = {
                    {name = "timestamp", offset = 1, size = 8, kind = "time"},
                    {name = "user_ref_num", offset = 9, size = 4, kind = "uint"},
                    {name = "quantity", offset = 13, size = 4, kind = "uint"},
                    {name = "price", offset = 17, size = 8, kind = "price", decimals = 4},
                    {name = "liquidity_flag", offset = 25, size = 1, kind = "ascii", codes = {["A"] = "added", ["R"] = "removed", ["C"] = "closing cross", ["O"] = "opening cross", ["H"] = "halt or IPO cross", ["K"] = "halt cross", ["L"] = "closing imbalance only", ["M"] = "opening imbalance only", ["J"] = "added hidden", ["k"] = "added midpoint", ["m"] = "removed midpoint", ["N"] = "passive midpoint", ["n"] = "midpoint extended life", ["e"] = "retail added", ["i"] = "after hours close", ["u"] = "hidden reserve", ["0"] = "supplemental", ["7"] = "improved the NBBO", ["8"] = "set the venue's BBO, joining the NBBO"}},
                    {name = "match_number", offset = 26, size = 8, kind = "uint"},
                    {name = "reason", offset = 34, size = 1, kind = "ascii"},
                    {name = "cl_ord_id", offset = 35, size = 14, kind = "ascii"},
                }},
    },
}

local option_shapes = {bbo_weight = "text", customer_type = "text", discretion_peg_offset = "signed", discretion_price = "number", discretion_price_type = "text", display_price = "number", display_quantity = "number", expire_time = "number", firm = "text", group_id = "number", handling_instruction = "text", locate_broker = "text", maximum_floor = "number", minimum_quantity = "number", peg_offset = "signed", post_only = "text", price_type = "text", random_reserves = "number", route = "text", secondary_order_reference = "number", shares_located = "text", side = "text", trade_now = "text", user_ref_index = "number"}
local options = {
    [1] = {name = "secondary_order_reference", offset = 0, size = 8, kind = "uint"},
    [2] = {name = "firm", offset = 0, size = 4, kind = "ascii"},
    [3] = {name = "minimum_quantity", offset = 0, size = 4, kind = "uint"},
    [4] = {name = "customer_type", offset = 0, size = 1, kind = "ascii", codes = {["R"] = "retail", ["N"] = "not retail", [" "] = "default of the port"}},
    [5] = {name = "maximum_floor", offset = 0, size = 4, kind = "uint"},
    [6] = {name = "price_type", offset = 0, size = 1, kind = "ascii", codes = {["L"] = "limit", ["P"] = "market peg", ["M"] = "midpoint peg", ["R"] = "primary peg", ["Q"] = "market maker peg", ["m"] = "midpoint"}},
    [7] = {name = "peg_offset", offset = 0, size = 4, kind = "int"},
    [9] = {name = "discretion_price", offset = 0, size = 8, kind = "price", decimals = 4},
    [10] = {name = "discretion_price_type", offset = 0, size = 1, kind = "ascii", codes = {["L"] = "limit", ["P"] = "market peg", ["M"] = "midpoint peg", ["R"] = "primary peg"}},
    [11] = {name = "discretion_peg_offset", offset = 0, size = 4, kind = "int"},
    [12] = {name = "post_only", offset = 0, size = 1, kind = "ascii", codes = {["P"] = "post only", ["N"] = "no"}},
    [13] = {name = "random_reserves", offset = 0, size = 4, kind = "uint"},
    [14] = {name = "route", offset = 0, size = 4, kind = "ascii"},
    [15] = {name = "expire_time", offset = 0, size = 4, kind = "uint"},
    [16] = {name = "trade_now", offset = 0, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no", [" "] = "default of the port"}},
    [17] = {name = "handling_instruction", offset = 0, size = 1, kind = "ascii", codes = {["I"] = "imbalance only", ["O"] = "retail 1", ["T"] = "retail 2", ["Q"] = "retail price improvement", ["B"] = "extended life and continuous", ["D"] = "direct listing", [" "] = "none"}},
    [18] = {name = "bbo_weight", offset = 0, size = 1, kind = "ascii"},
    [22] = {name = "display_quantity", offset = 0, size = 4, kind = "uint"},
    [23] = {name = "display_price", offset = 0, size = 8, kind = "price", decimals = 4},
    [24] = {name = "group_id", offset = 0, size = 2, kind = "uint"},
    [25] = {name = "shares_located", offset = 0, size = 1, kind = "ascii", codes = {["Y"] = "yes", ["N"] = "no"}},
    [26] = {name = "locate_broker", offset = 0, size = 4, kind = "ascii"},
    [27] = {name = "side", offset = 0, size = 1, kind = "ascii", codes = {["B"] = "buy", ["S"] = "sell", ["T"] = "sell short", ["E"] = "sell short exempt"}},
    [28] = {name = "user_ref_index", offset = 0, size = 1, kind = "uint"},
}

local END_OF_SESSION = 65535

local SOUP_TYPE_OFFSET = 2

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
