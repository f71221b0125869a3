"""Whatever is lost, cut, repeated or killed: after the next Logon both sides know the same.

Method: two sessions talk through memory. Random sequences of sending, partial delivery, repeated
messages, lost connections and restarts from the store; then everything is delivered. A crash is
tried at every octet that the sending side stores and at every octet that reaches the other side.
"""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fix.link import MAIL, START, Link, mail
from tickwire.orders.fix.journal import Journal
from tickwire.orders.fix.store import FileStore

OPERATIONS = st.lists(st.one_of(
    st.tuples(st.sampled_from(["left sends", "right sends"]), st.integers(1, 4)),
    st.tuples(st.sampled_from(["to left", "to right"]), st.integers(1, 600)),
    st.tuples(st.sampled_from(["drop", "connect", "left restarts", "right restarts", "repeat"]),
              st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("settle"), st.just(0))), max_size=30)


def agree(link, sent):
    """Reconnect, deliver everything, and compare what both sides know."""
    for _ in range(4):                     # a session that ends over a repeated message begins anew
        if not link.is_up:
            link.connect()
        link.settle()
        for end in (link.left, link.right):
            end.session.tick()
        link.collect()
        link.settle()
    assert link.left.session.is_logged_on and link.right.session.is_logged_on
    assert link.left.store.next_in == link.right.store.next_out
    assert link.right.store.next_in == link.left.store.next_out
    assert link.right.application.subjects == sent["left"]
    assert link.left.application.subjects == sent["right"]


@settings(max_examples=150)
@given(operations=OPERATIONS)
def test_both_sides_agree_in_the_end(operations):
    link = Link(heartbeat_seconds=30)
    sent = {"left": [], "right": []}
    last = b""
    for what, value in operations:
        side, _, action = what.partition(" ")
        end = link.left if side == "left" else link.right
        if action == "sends":
            for _ in range(value):
                sent[side].append(f"{side} {len(sent[side])}")
                end.session.send(MAIL, mail(sent[side][-1]), is_kept=True)
            link.collect()
        elif side == "to":
            end = link.left if action == "left" else link.right
            last = end.inbound[:value] or last
            link.deliver(end, value)
        elif action == "restarts":
            link.drop()
            end.begin()
        elif what == "repeat" and link.is_up and last.endswith(b"\x01"):
            link.right.inbound = last + link.right.inbound
        elif what == "drop":
            link.drop()
        elif what == "connect" and not link.is_up:
            link.connect()
        elif what == "wait":
            link.clock.move(value)
            for one in (link.left, link.right):
                one.session.tick()
            link.collect()
            if link.left.session.closing or link.right.session.closing:
                link.drop()
        elif what == "settle":
            link.settle()
    link.drop()
    agree(link, sent)


class Killed(BaseException):
    """The process is gone."""


def killed_after(monkeypatch, octets):
    """Let the journal's process die when it has stored that many more octets."""
    append = Journal.append
    left = octets

    def dying(self, kind, number, time, payload=b""):
        nonlocal left
        before = self.size
        offset = append(self, kind, number, time, payload)
        size = self.size - before
        if size > left:
            start = before - self._base
            self._map[start + left:start + size] = bytes(size - left)
            raise Killed
        left -= size
        return offset
    monkeypatch.setattr(Journal, "append", dying)


def scenario(folder: Path, monkeypatch, octets: int) -> bool:
    """Log on and send both ways until the kill, start again, compare; whether there was one."""
    link = Link()
    link.left.store = store = FileStore(folder / "store", "left", START, "none")
    link.left.begin()
    is_killed = False
    with monkeypatch.context() as patched:
        killed_after(patched, octets)
        try:
            link.connect()
            link.settle()
            link.left.session.send(MAIL, mail("left 0"))
            link.collect()
            link.settle()
            link.right.session.send(MAIL, mail("right 0"))
            link.collect()
            link.settle()
        except Killed:
            is_killed = True
    store._journal._map.close()            # as a killed process leaves it: nothing is cut or synced
    store._journal._map = None
    store.close()
    link.left.store = FileStore(folder / "store", "left", START, "none")
    # What is stored whole counts as sent, whether send() came back or not.
    sent = {side: [f"{side} 0" for _, octets in end.store.sent(1, 99) if b"%b 0" % side.encode()
                   in octets] for side, end in (("left", link.left), ("right", link.right))}
    seen = link.left.application.subjects[:]
    link.left.begin()
    link.is_up = True
    link.drop()
    link.connect()
    link.settle()
    assert link.left.store.next_in == link.right.store.next_out
    assert link.right.store.next_in == link.left.store.next_out
    assert link.right.application.subjects == sent["left"]
    # What was acted on and not yet counted comes once more; never less than once.
    assert link.left.application.subjects in (sent["right"], seen + sent["right"])
    link.left.store.close()
    return is_killed


def test_a_kill_at_every_octet_that_is_stored(tmp_path, monkeypatch):
    for octets in range(2_000):
        folder = tmp_path / str(octets)
        folder.mkdir()
        if not scenario(folder, monkeypatch, octets):
            break
    assert 300 < octets < 2_000


def test_a_connection_lost_at_every_octet_of_a_message():
    size = None
    for cut in range(1_000):
        link = Link()
        link.connect()
        link.settle()
        link.left.session.send(MAIL, mail("left 0"))
        link.collect()
        size = size or len(link.right.inbound)
        link.deliver(link.right, cut)
        link.drop()
        agree(link, {"left": ["left 0"], "right": []})
        if cut >= size:
            break
    assert cut == size
