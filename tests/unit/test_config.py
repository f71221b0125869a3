"""A configuration is read whole and exactly, or refused with one sentence that names the place.

Method: literal files with the values they must give; for every key, values beside its bounds and of
every wrong type; then documents and files that hypothesis makes up, which may end in a
configuration or in a ``TickwireError`` and in nothing else.
"""

import dataclasses
import pickle
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire import config, sections
from tickwire.config import Config, SymbolSettings, demo, load, parse_override
from tickwire.errors import TickwireError
from tickwire.risk_settings import Limits

ROOT = Path(__file__).parents[2]
KEYS = sorted(key for key, _ in sections.settings(Config))


def complaint(document: str, tmp_path: Path) -> str:
    """Return the sentence that ``document`` is refused with, without the folder."""
    path = tmp_path / "my.toml"
    path.write_text(document, encoding="utf-8")
    with pytest.raises(TickwireError) as caught:
        load(path)
    return str(caught.value).replace(str(path), "my.toml")


def read(document: str, tmp_path: Path) -> Config:
    """Return the configuration that ``document`` gives."""
    path = tmp_path / "my.toml"
    path.write_text(document, encoding="utf-8")
    return load(path)


# What is right


def test_an_empty_file_is_the_defaults(tmp_path):
    assert dataclasses.replace(read("", tmp_path), source="defaults") == Config()


def test_the_demo_stays_on_this_machine_and_ends():
    found = demo()
    assert [entry.symbol for entry in found.symbols] == ["AAPL", "MSFT", "NVDA", "SPY"]
    assert found.run.seconds == 20
    assert {found.feed.interface, found.feed.request_host, found.orders.host} == {"127.0.0.1"}
    ports = [found.feed.port_a, found.feed.port_b, found.feed.request_port, found.orders.port]
    assert len(set(ports)) == 4
    assert found.feed.group_a.startswith("239.") and found.feed.group_b.startswith("239.")


def test_every_section_is_read(tmp_path):
    found = read("""
        symbols = ["AAPL", { symbol = "BRK.B", tick = "0.005" }]
        [device]
        core = 3
        priority = 50
        busy_poll = true
        lock_memory = true
        [geometry]
        instruments = 4096
        orders_log2 = 18
        depth = 5
        [feed]
        group_a = "233.54.12.111"
        port_a = 26477
        request_host = "mold.example"
        stale_ms = 0
        [orders]
        username = "JOE"
        password = "s3cret"
        session = "0000000007"
        [risk.default]
        max_quantity = 500
        max_notional = "25000.5"
        [risk.symbols."BRK.B"]
        max_quantity = 7
        [strategy]
        path = "mine.alpha:Alpha"
        parameters = { threshold = 3, half_life = 0.25, pair = "MSFT", is_passive = true }
        [venue]
        symbols = 100
        line_a = { loss = 0.01, duplicate = "0.000001", reorder = 1 }
        line_b.delay_us = 250
        [observe]
        prometheus_port = 9100
        view = false
        [run]
        seconds = 0
        """, tmp_path)
    assert found.symbols == (SymbolSettings(symbol="AAPL", tick=100),
                             SymbolSettings(symbol="BRK.B", tick=50))
    assert (found.device.core, found.device.priority) == (3, 50)
    assert found.device.busy_poll and found.device.lock_memory
    assert (found.geometry.instruments, found.geometry.orders_log2, found.geometry.depth) == (
        4096, 18, 5)
    assert (found.feed.group_a, found.feed.port_a) == ("233.54.12.111", 26477)
    assert (found.feed.request_host, found.feed.stale_ms) == ("mold.example", 0)
    assert (found.orders.username, found.orders.password) == ("JOE", "s3cret")
    assert found.orders.session == "0000000007"
    assert found.strategy.path == "mine.alpha:Alpha"
    assert found.strategy.parameters == {"threshold": 3, "half_life": Decimal("0.25"),
                                         "pair": "MSFT", "is_passive": True}
    assert found.venue.symbols == 100
    assert (found.venue.line_a.loss, found.venue.line_a.duplicate) == (10_000, 1)
    assert (found.venue.line_a.reorder, found.venue.line_b.delay_us) == (1_000_000, 250)
    assert (found.observe.prometheus_port, found.observe.view) == (9100, False)
    assert found.run.seconds == 0


def test_a_symbol_has_the_default_limits_but_for_those_it_names(tmp_path):
    found = read("""
        [risk.default]
        max_quantity = 500
        burst = 3
        [risk.symbols.SPY]
        max_quantity = 7
        """, tmp_path).risk
    assert found.limits("SPY") == dataclasses.replace(found.default, max_quantity=7)
    assert found.limits("SPY").burst == 3
    assert found.limits("AAPL") is found.default


@pytest.mark.parametrize(("written", "stored"), [
    ("1", 10_000), ("0.0001", 1), ("25000.50", 250_005_000), ('"25000.50"', 250_005_000),
    ("1e3", 10_000_000), ("1_000.5", 10_005_000), ("100_000_000_000", 10 ** 15),
    ("2.00000000000000000000000000000000000000", 20_000), ('"0.3"', 3_000), ("0.3", 3_000),
])
def test_an_amount_is_exact_in_every_form(written, stored, tmp_path):
    assert read(f"risk.default.max_notional = {written}", tmp_path).risk.default == Limits(
        max_notional=stored)


@pytest.mark.parametrize("written", [
    "0", "-1", "0.00001", "1.00005", "100_000_000_000.0001", "1e12", "1e999999999", "1e-999999999",
    "nan", "-nan", "inf", "-inf", "true", '""', '"1e3"', '"1,000"', '" 1"', '"-1"', '"1_0"',
    '"١"', "[]", "{}", "2024-01-01", "0x" + "f" * 5000,
])
def test_an_amount_out_of_range_or_off_the_grid_is_refused(written, tmp_path):
    assert complaint(f"risk.default.max_notional = {written}", tmp_path).startswith(
        "my.toml: risk.default.max_notional must be an amount from 0.0001 to 100,000,000,000 "
        "dollars in steps of 0.0001, not ")


# What is wrong: the key, the rule, the value


BOUNDS = {
    "device.core": (-1, 1_023), "device.priority": (0, 99),
    "geometry.instruments": (1, 65_536), "geometry.orders_log2": (4, 26),
    "geometry.depth": (0, 8),
    "feed.port_a": (1, 65_535), "feed.port_b": (1, 65_535), "feed.request_port": (1, 65_535),
    "feed.stale_ms": (0, 3_600_000), "orders.port": (1, 65_535),
    "risk.default.max_quantity": (1, 2 ** 31 - 1), "risk.default.max_position": (1, 2 ** 31 - 1),
    "risk.default.max_open_orders": (1, 65_535), "risk.default.collar_bps": (0, 10_000),
    "risk.default.collar_ticks": (0, 1_000_000), "risk.default.rate_per_second": (1, 1_000_000),
    "risk.default.burst": (1, 65_535),
    "risk.default.min_quantity": (0, 1_000), "risk.default.lot": (1, 2 ** 31 - 1),
    "risk.default.last_collar_bps": (0, 10_000),
    "risk.default.last_collar_ticks": (0, 1_000_000),
    "risk.default.max_day_quantity": (1, 2 ** 61 - 1), "risk.default.duplicate_us": (0, 2_000_000),
    "risk.strategy.rate_per_second": (1, 1_000_000), "risk.strategy.burst": (1, 65_535),
    "risk.strategy.max_repetitions": (0, 2 ** 31 - 2), "risk.strategy.max_age_ms": (0, 3_600_000),
    "risk.session.messages_per_second": (1, 1_000_000), "risk.session.burst": (1, 65_535),
    "risk.session.free_orders": (0, 2 ** 31 - 2), "risk.session.orders_per_trade": (0, 2 ** 31 - 2),
    "risk.firm.max_open_orders": (1, 65_535), "risk.firm.rate_per_second": (1, 1_000_000),
    "risk.firm.burst": (1, 65_535), "risk.firm.max_intent_errors": (0, 65_535),
    "venue.symbols": (0, 16_384), "venue.messages_per_second": (1, 5_000_000),
    "venue.seed": (0, 2 ** 63 - 1), "venue.agents": (1, 4_096),
    "venue.line_a.delay_us": (0, 1_000_000), "venue.line_b.delay_us": (0, 1_000_000),
    "observe.prometheus_port": (0, 65_535), "run.seconds": (0, 604_800),
}


@pytest.mark.parametrize("key", BOUNDS)
def test_both_bounds_of_an_integer_are_allowed_and_the_next_ones_are_not(key):
    for value in BOUNDS[key]:
        Config().with_overrides({key: value})
    for value in (BOUNDS[key][0] - 1, BOUNDS[key][1] + 1):
        with pytest.raises(TickwireError, match=rf"^override: {key} must be .*not {value}$"):
            Config().with_overrides({key: value})


@pytest.mark.parametrize("key", KEYS)
def test_no_key_takes_a_value_of_another_kind(key):
    wrong = [[], {}, [1], {"x": 1}, Decimal("1.00000001"), Decimal("NaN"), -2 ** 70, 2 ** 5000,
             "\x1b[31m\n", "x" * 500, date(2024, 1, 1)]
    if key.startswith("risk.firm.soft"):
        wrong = wrong[1:]                   # it is an array
    if key not in ("device.busy_poll", "device.lock_memory", "fix.audit", "observe.view"
                   ) and ".may_" not in key:
        wrong.append(True)
    for value in wrong:
        with pytest.raises(TickwireError) as caught:
            Config().with_overrides({key: value})
        sentence = str(caught.value)
        assert sentence.startswith(f"override: {key} must be ")
        assert sentence.isprintable() and len(sentence) < 250


@pytest.mark.parametrize(("key", "good", "bad"), [
    ("device.kind", ["software", "auto", "pcie"], ["Software", "", "card"]),
    ("device.name", ["a", "x" * 32, "tick-1.2_b"], ["", "x" * 33, "a/b", "a b", "ä", "a\n"]),
    ("feed.group_a", ["224.0.0.1", "239.255.255.255"], ["223.255.255.255", "240.0.0.0", "239.1.1",
                                                        "239.1.1.1 ", "localhost", "ff02::1"]),
    ("feed.interface", ["127.0.0.1", "10.0.0.7", "0.0.0.0"], ["239.1.1.1", "lo", "127.1"]),
    ("feed.request_host", ["localhost", "a.b-c.example", "10.1.2.3"],
     ["", "-a", "a-", "a..b", "300.1.1.1", "1.2.3", "a b", "x" * 64, "a." * 126 + "abc"]),
    ("orders.host", ["localhost"], ["http://x", "a:1"]),
    ("orders.username", ["a", "ABC123"], ["", "sevenxx", "a b", "é"]),
    ("orders.session", ["", "0123456789"], ["01234567890", "a b"]),
    ("strategy.path", ["a:B", "a.b.c:D_1"], ["", "a", "a.b", ":B", "a:", "a:b:c", "a..b:C", "1a:B",
                                           "a b:C"]),
    ("venue.line_a.loss", [0, 1, Decimal("0.5"), "0.25"], [-1, 2, "1.1", Decimal("0.0000001")]),
])
def test_text_is_held_to_its_rule(key, good, bad):
    for value in good:
        Config().with_overrides({key: value})
    for value in bad:
        with pytest.raises(TickwireError, match=f"^override: {key} must be "):
            Config().with_overrides({key: value})


@pytest.mark.parametrize(("document", "sentence"), [
    ("[feed]\nprot_a = 1", "feed.prot_a is not a key; the nearest is feed.port_a"),
    ("seconds = 5", "seconds is not a key; the nearest is run.seconds"),
    ("[Feed]", "Feed is not a key; the nearest is feed"),
    ("[order]\nport = 1", "order is not a key; the nearest is orders"),
    ("[geometry]\norder_log2 = 9", "geometry.order_log2 is not a key; the nearest is "
                                   "geometry.orders_log2"),
    ("[risk]\nmax_quantity = 9", "risk.max_quantity is not a key; the nearest is "
                                 "risk.default.max_quantity"),
    ("[risk.symbols.SPY]\nmax_qty = 9", "risk.symbols.SPY.max_qty is not a key; the nearest is "
                                        "risk.symbols.SPY.max_quantity"),
    ("[venue]\nloss = 0.1", "venue.loss is not a key; the nearest is venue.line_a.loss"),
    ("[venue.line_a]\ndelay = 1", "venue.line_a.delay is not a key; the nearest is "
                                  "venue.line_a.delay_us"),
    ("source = 'x'", "source is not a key; the nearest is "),
    ("document = {}", "document is not a key; the nearest is "),
    ("'feed.port_a' = 1", "feed.port_a is not a key; the nearest is "),
    ('"a\\nb" = 1', "'a\\nb' is not a key; the nearest is "),
    ("symbols = [{ name = 'A' }]", "symbols[0].symbol is missing"),
    ("symbols = [{ symbol = 'A', ticks = 1 }]", "symbols[0].ticks is not a key; the nearest is "
                                                "symbols[0].tick"),
    ("symbols = 'AAPL'", "symbols must be an array, not 'AAPL'"),
    ("symbols = ['A', 'B', 'A']", "symbols[2].symbol names A a second time"),
    ("symbols = ['A', 5]", "symbols[1].symbol must be 1 to 8 printable characters without blanks, "
                           "not 5"),
    ("symbols = ['NINECHARS']", "symbols[0].symbol must be 1 to 8 printable characters"),
    ("symbols = [{symbol = 'A', tick = 0}]", "symbols[0].tick must be an amount from 0.0001 to "
                                             "100 dollars in steps of 0.0001, not 0"),
    ("feed = 3", "feed must be a section, not 3"),
    ("risk = []", "risk must be a section, not an array"),
    ("risk.symbols = 'SPY'", "risk.symbols must be a section, not 'SPY'"),
    ("risk.symbols.SPY = 1", "risk.symbols.SPY must be a section, not 1"),
    ("strategy.parameters = 1", "strategy.parameters must be a section, not 1"),
    ("strategy.parameters.x = []", "strategy.parameters.x must be a number, text, true or false, "
                                   "not an array"),
    ("strategy.parameters.x = 2024-01-01", "strategy.parameters.x must be a number, text, true or "
                                           "false, not 2024-01-01"),
    ("geometry.instruments = 65_537",
     "geometry.instruments must be an integer from 1 to 65,536, not 65537"),
    ("geometry.depth = 9", "geometry.depth must be an integer from 0 to 8, not 9"),
    ("geometry.window_words = 48", "geometry.window_words must be a power of two, not 48"),
    ("geometry.cached = 1", "geometry.cached must be 0 or 2 to 8, not 1"),
    ("device.busy_poll = true", "device.busy_poll needs device.core to be 0 or more, not -1"),
    ("feed.group_b = '239.192.64.1'\nfeed.port_b = 26401",
     "feed.group_b and port_b must differ from line A, not 239.192.64.1:26401 again"),
    ("symbols = ['A', 'B']\ngeometry.instruments = 1",
     "symbols must be at most geometry.instruments = 1, not 2"),
    ("symbols = ['A', 'B']\nvenue.symbols = 1",
     "venue.symbols must be 0 or at least the 2 of symbols, not 1"),
    ("symbols = ['A']\n[risk.symbols.B]", "risk.symbols.B is not one of symbols"),
])
def test_a_mistake_is_named_with_its_place(document, sentence, tmp_path):
    found = complaint(document, tmp_path)
    assert found.startswith(f"my.toml: {sentence}")
    assert found.isprintable()


@pytest.mark.parametrize(("document", "place"), [
    ("[feed]\nport_a = \n", "line 2, column 10"),
    ("[feed\n", "line 1, column 6"),
    ("a = 1\na = 2\n", "line 2, column 6"),
    ("[feed]\n[feed]\n", "line 2, column 6"),
    ("x = 'open", "line 1, column 10"),
    ("[feed]\nx = \"\"\"open\nstill", "line 3, column 6"),
    ("x = 0b", "line 1, column 6"),
    ("port a = 1", "line 1, column 6"),
    ("x = \x00", "line 1, column 5"),
])
def test_toml_that_cannot_be_read_is_told_with_line_and_column(document, place, tmp_path):
    found = complaint(document, tmp_path)
    assert found.startswith("my.toml: ") and f"(at {place})" in found
    assert found.isprintable()


@pytest.mark.parametrize(("octets", "sentence"), [
    (b"[run]\nseconds = \xff", "octet 0xff is not UTF-8 (at line 2, column 11)"),
    (b"\xff", "octet 0xff is not UTF-8 (at line 1, column 1)"),
    (b"x = " + b"9" * 5000, "a number has more digits than can be read"),
    (b"x = " + b"[" * 100_000, "tables or arrays are nested too deep"),
    (b"#" * (1 << 20) + b"\n", "a configuration has at most 1,048,576 octets"),
])
def test_a_file_that_is_no_toml_at_all_is_refused(octets, sentence, tmp_path):
    path = tmp_path / "my.toml"
    path.write_bytes(octets)
    with pytest.raises(TickwireError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: {sentence}"


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    for path, why in ((tmp_path / "none.toml", "No such file or directory"),
                      (tmp_path, "Is a directory")):
        with pytest.raises(TickwireError) as caught:
            load(path)
        assert str(caught.value) == f"{path}: cannot be read: {why}"


# Overrides


def test_an_override_wins_and_leaves_the_original_alone():
    before = demo()
    after = before.with_overrides({"run.seconds": 5, "risk.symbols.SPY.burst": 2,
                                   "symbols": ["SPY"]})
    assert (before.run.seconds, after.run.seconds) == (20, 5)
    assert after.risk.limits("SPY").max_position == before.risk.limits("SPY").max_position
    assert after.risk.limits("SPY").burst == 2 != before.risk.limits("SPY").burst
    assert [entry.symbol for entry in after.symbols] == ["SPY"]
    assert after.with_overrides({"run.seconds": 20, "risk.symbols.SPY.burst": 50,
                                 "symbols": ["AAPL", "MSFT", "NVDA", "SPY"]}) == before
    assert before.with_overrides({}) == before


def test_an_override_may_quote_a_part_that_has_a_dot():
    found = Config().with_overrides({'risk.symbols."BRK.B".burst': 2})
    assert found.risk.limits("BRK.B").burst == 2


@pytest.mark.parametrize("key", ["", ".", "a..b", "a b", "run.seconds = 1 #", "x = 1\ny",
                                 "run.seconds.x", "[run]\nseconds", "run", "nothing", "a\x00"])
def test_an_override_of_no_key_is_refused(key):
    with pytest.raises(TickwireError, match="^override: "):
        demo().with_overrides({key: 1})


def test_only_what_was_overridden_is_blamed_on_the_override(tmp_path):
    found = read("symbols = ['A', 'B']\nvenue.symbols = 2", tmp_path)
    with pytest.raises(TickwireError, match=r"^override: venue\.symbols must be 0 or .* 2 of"):
        found.with_overrides({"venue.symbols": 1})
    with pytest.raises(TickwireError, match=r"my\.toml: venue\.symbols must be 0 or .* 3 of"):
        found.with_overrides({"symbols": ["A", "B", "C"]})


@pytest.mark.parametrize(("assignment", "pair"), [
    ("run.seconds=5", ("run.seconds", 5)),
    ("run.seconds = 5", ("run.seconds", 5)),
    ("observe.view=false", ("observe.view", False)),
    ("orders.host=venue.example", ("orders.host", "venue.example")),
    ('orders.host="venue.example"', ("orders.host", "venue.example")),
    ("venue.line_a.loss=0.01", ("venue.line_a.loss", Decimal("0.01"))),
    ('symbols=["A", "B"]', ("symbols", ["A", "B"])),
    ("orders.password=", ("orders.password", "")),
    ("x=a=b", ("x", "a=b")),
    ("x=1\ny = 2", ("x", "1\ny = 2")),
])
def test_an_assignment_is_split_and_its_value_read_as_toml_or_text(assignment, pair):
    assert parse_override(assignment) == pair


@pytest.mark.parametrize("assignment", ["", "run.seconds", "=5", " =5"])
def test_an_assignment_needs_a_key_and_a_value(assignment):
    with pytest.raises(TickwireError, match="^An override is written KEY=VALUE, not "):
        parse_override(assignment)


def test_all_mistakes_of_a_file_are_told_each_on_its_line(tmp_path):
    found = complaint("[run]\nsecnods = 5\nseconds = -1\n[feed]\nport_a = 0\n"
                      "[risk.default]\nburst = 0\n[colour]\n", tmp_path).split("\n")
    assert [line.split(" ")[1] for line in found] == [
        "colour", "feed.port_a", "risk.default.burst", "run.secnods", "run.seconds"]
    many = "".join(f"key_{number} = 1\n" for number in range(100))
    assert complaint(many, tmp_path).count("\n") + 1 == sections.MISTAKES


# Whatever comes


_scalars = (st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=20)
            | st.dates() | st.sampled_from([2 ** 63, -1, "239.1.1.1", "AAPL", "software"]))
_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3)
                       | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*KEYS, "symbols", "risk.symbols.SPY", "risk", "geometry",
                                        "strategy.parameters"]), _values, max_size=4))
def test_any_document_gives_a_configuration_or_one_sentence(overrides):
    try:
        demo().with_overrides(overrides)
    except TickwireError as error:
        assert str(error).isprintable() and len(str(error)) < 400


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode)
       | st.text("[]{}=.,\"'#\n\\ 0e+-_xinfatrusy", max_size=60).map(str.encode))
def test_any_file_gives_a_configuration_or_one_sentence(tmp_path_factory, octets):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(octets)
    try:
        load(path)
    except TickwireError as error:
        sentences = str(error).split("\n")
        assert all(sentence.startswith(f"{path}: ") and sentence.isprintable()
                   for sentence in sentences) and len(sentences) <= sections.MISTAKES


# What it must never do


def test_the_password_shows_nowhere(tmp_path):
    found = read("orders.password = 'hunter2'", tmp_path)
    assert found.orders.password == "hunter2"
    assert "hunter2" not in repr(found) and "hunter2" not in str(found.orders)
    for wrong in ("'hunter2 hunter2'", "['hunter2']", "0xc0ffee"):
        shown = complaint(f"orders.password = {wrong}", tmp_path)
        assert shown == ("my.toml: orders.password must be up to 10 letters or digits, "
                         "not what was given (it is secret)")


def test_a_configuration_can_not_be_changed_in_place():
    found = demo()
    for part, name in ((found, "run"), (found.feed, "port_a"), (found.symbols[0], "tick"),
                       (found.risk.default, "burst"), (found.geometry, "depth")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, name, 1)


def test_a_configuration_reaches_another_process_unchanged():
    sent = demo()
    got = pickle.loads(pickle.dumps(sent))
    assert got == sent and got.document == sent.document
    assert got.orders.password == sent.orders.password


def test_reading_a_configuration_loads_no_compiler():
    subprocess.run([sys.executable, "-c", "import sys, tickwire.config as c; c.demo(); "
                    "assert not {'numba', 'numpy', 'amaranth'} & set(sys.modules)"], check=True)


def test_the_page_is_current():
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == config.page(), (
        "docs/configuration.md is not what tickwire.config says; run: make docs")


def test_every_key_has_help_and_a_default_that_its_own_rule_allows():
    for key, form in sections.settings(Config):
        value = Config()
        for name in key.split("."):
            value = getattr(value, name)
        assert form.doc or key.startswith("geometry.")
        if key not in ("orders.password", "orders.session"):
            assert form.rule.show(value)
