"""``tickwire device`` lists with reasons, looks at a running device, kills it and arms it.

Method: a software device of this process whose loop a thread turns is the one that runs; cards
are folders of the test, because this machine has none.
"""

import json
import time

import pytest

from tests.card_rig import ADDRESS, Slot, make_tree
from tickwire.cli import main
from tickwire.config import demo
from tickwire.device import discovery, pci, shared
from tickwire.device.attached import AttachedDevice
from tickwire.device.pcie import PCIeDevice
from tickwire.device.selftest import CHECKS
from tickwire.device.software import SoftwareDevice
from tickwire.errors import TickwireError
from tickwire.spec.geometry import CARD_SMALL
from tickwire.spec.registers import KillCause


@pytest.fixture
def no_card(tmp_path, monkeypatch):
    monkeypatch.setattr(pci.functions, "__defaults__", (tmp_path,))
    for function in (discovery.candidates, discovery.choose):
        monkeypatch.setattr(function, "__defaults__", (tmp_path,))
    monkeypatch.setattr(shared, "running", list)
    return tmp_path


@pytest.fixture
def running(no_card, monkeypatch):
    """A device that runs, and is the only one."""
    name = f"command-{time.monotonic_ns()}"
    monkeypatch.setattr(shared, "running", lambda: [name])
    with SoftwareDevice(name, CARD_SMALL, {"AAA": 100}, market_log2=6, order_log2=7,
                        token_log2=6) as device:
        # Whoever waits for it gives it its turn: no thread has to be quick enough for the keys.
        monkeypatch.setattr(AttachedDevice, "work", lambda attached: device.work())
        device.work()
        yield device


def told(capsys, *arguments, status=0):
    assert main(["device", *arguments]) == status
    found = capsys.readouterr()
    return found.err if status == 2 else found.out


def test_the_list_is_in_the_order_of_auto_and_says_why(no_card, capsys):
    assert told(capsys, "list") == (
        "1. pcie: No PCI function 10ee:7443: there is no card.\n"
        "2. software: auto takes it.\n"
        "3. verilated: The card's own gateware, simulated and so slower than any market; "
        "`--device verilated` takes it.\nRunning: none.\n")
    document = json.loads(told(capsys, "list", "--json"))
    assert [entry["is_taken"] for entry in document["candidates"]] == [False, True, False]


def chosen(kind, interface="10.0.0.1", **orders):
    """What ``choose`` says for a kind, with settings of a configuration."""
    found, sentence = discovery.choose(demo().with_overrides({
        "device.kind": kind, "feed.interface": interface,
        **{f"orders.{name}": value for name, value in orders.items()}}))
    return found.kind, found.name, sentence


@pytest.mark.parametrize(("tree", "wanted"), [
    ({"group": ""}, "no IOMMU group"), ({"driver": "xdma"}, "belongs to driver xdma")])
def test_a_card_that_is_there_is_listed_with_what_keeps_it_from_trading(
        no_card, capsys, tree, wanted):
    make_tree(no_card, **tree)
    listed = told(capsys, "list")
    assert wanted in listed.splitlines()[0] and ADDRESS in listed.splitlines()[0]
    kind, _, sentence = chosen("auto", route="fix")
    assert kind == "software" and wanted in sentence
    with pytest.raises(TickwireError, match=wanted):
        chosen("pcie", route="fix")


def test_a_card_trades_where_its_orders_have_a_way(no_card):
    make_tree(no_card)
    for orders in ({"route": "fix"}, {"card_address": "10.0.0.2/24"}):
        for kind in ("auto", "pcie"):
            assert chosen(kind, **orders) == ("pcie", ADDRESS, "")
    kind, _, sentence = chosen("auto")
    assert kind == "software" and "set orders.card_address" in sentence
    with pytest.raises(TickwireError, match=r"set orders\.card_address"):
        chosen("pcie")
    kind, _, sentence = chosen("auto", "127.0.0.1", route="fix")
    assert kind == "software" and "hears nothing of this machine's loopback" in sentence
    assert chosen("software") == ("software", "", "")


def test_auto_says_in_one_line_that_there_is_no_card(no_card):
    assert chosen("auto") == (
        "software", "", "The software device trades: no PCI function 10ee:7443: there is no card.")
    assert chosen("software") == ("software", "", "")


def test_without_any_device_a_command_says_so(no_card, capsys):
    for command in ("info", "regs", "counters", "kill", "arm", "selftest"):
        assert "No card is in this machine and no device runs" in told(capsys, command, status=2)
    assert "No device 'nobody' runs" in told(capsys, "kill", "nobody", status=2)


def test_a_running_device_is_looked_at(running, capsys):
    assert "4 instruments" in told(capsys, "info")
    document = json.loads(told(capsys, "info", "--json"))
    assert (document["kill_cause"], document["capabilities"]) == ("power_on", "triggers")
    registers = told(capsys, "regs")
    assert "0000 MAGIC                  0x4b435454 1,262,703,700" in registers
    assert "KILL " not in registers                    # it can only be written
    shown = json.loads(told(capsys, "counters", "--json"))
    assert shown["loops"] > 0 and all(shown.values())
    assert "orders_sent" in told(capsys, "counters", "--all")


def test_a_running_device_is_armed_and_killed_from_outside(running, capsys):
    assert "has no limits yet" in told(capsys, "arm", status=2)
    running.stage_limits().permit()
    running.commit_limits()
    assert "is armed" in told(capsys, "arm") and running.killed == 0
    assert "is killed: register" in told(capsys, "kill")
    assert running.killed == KillCause.REGISTER
    assert "self-test is for a card that nobody uses" in told(capsys, "selftest", status=2)


def test_the_self_test_names_what_is_wrong():
    slot = Slot()
    card = PCIeDevice(slot, is_huge=False)
    complaints = {check.__name__: check(card) for check in CHECKS}
    assert complaints["identity"] == complaints["rings"] == ""
    assert complaints["echo"] == "0x00000001 came back as 0xfffffffe"   # memory does not invert
    assert complaints["refusal"] == "RING_CAPTURE_CONTROL is 1"
    assert complaints["window"] == "0 of 4 were taken"
    card.close()
