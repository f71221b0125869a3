"""Adapters of blocks for PCIe say and understand what PCIe and the block demand.

Method: packets of every size and alignment, packed and unpacked by cocotbext-pcie, with every
stream held back at random, at every width; the core's side is the test's own memory.
"""

import pytest
from cocotbext.pcie.core.tlp import CplStatus, TlpType

from tests.gateware.adapter_rig import ADAPTERS, SIZE, run
from tests.gateware.pcie_rig import answered, head, request
from tickwire_hw.pcie.ultrascale_order import INSIDE_MAX, PATIENCE

every_adapter = pytest.mark.parametrize("name", ADAPTERS)


@every_adapter
def test_stores_of_every_size_and_place_arrive_whole(name):
    async def script(context, host, core, step):
        expected = {bar: bytearray(octets) for bar, octets in core.bars.items()}
        for number in range(120):
            size = number % 66 + 1 if number < 100 else host.chance.randrange(66, 257)
            bar = host.chance.choice((0, 2, 4))
            at = host.chance.randrange(SIZE - size)
            octets = host.chance.randbytes(size)
            host.store(bar, at, octets)
            expected[bar][at:at + size] = octets
            if number % 10 == 9:
                while host.waiting:
                    await step()
                await step(4)
                assert core.bars == expected
        assert not host.answers()
    run(name, script)


@every_adapter
def test_reads_of_every_size_and_place_are_answered_behind_the_stores_before_them(name):
    async def script(context, host, core, step):
        for number in range(64):
            size, tag = number + 1, host.chance.randrange(256)
            at = host.chance.randrange(16) if number % 2 else host.chance.randrange(SIZE - 64)
            if (at % 4 + size + 3) // 4 > 16:
                at -= at % 4
            octets = host.chance.randbytes(size)
            host.store(4, at, octets)
            tlp = request(TlpType.MEM_READ_64, 4, at, size=size, tag=tag)
            host.send(tlp)
            for _ in range(200):
                await step()
                if host.has_answer():
                    break
            completion, = host.answers()
            assert answered(tlp, completion) == octets
    run(name, script, seed=2)


@every_adapter
def test_octets_that_are_enabled_with_gaps_are_stored_alone_and_counted_as_a_read_of_all_between(
        name):
    async def script(context, host, core, step):
        expected = bytearray(core.bars[4])
        for _ in range(120):
            count = host.chance.choice((1, 1, 2, 3, 16))
            enabled = host.chance.randrange(16)        # none of one word: a flush
            first, last = enabled, 0
            if count > 1:
                first, last = enabled or 8, host.chance.randrange(1, 16)
            # Words of a packet do not pass a boundary of 4 KiB.
            at = 4 * host.chance.choice((0, 1, 1024 - count, host.chance.randrange(1024 - count)))
            places = [4 * word + octet for word in range(count) for octet in range(4)
                      if (first if word == 0 else last if word == count - 1 else 15) >> octet & 1]
            octets = host.chance.randbytes(4 * count)
            for kind, given in ((TlpType.MEM_WRITE_64, octets), (TlpType.MEM_READ_64, b"")):
                tlp = request(kind, 4, at, given, 4 * count)
                tlp.first_be, tlp.last_be = first, last
                host.send(tlp)
            for place in places:
                expected[at + place] = octets[place]
            while not host.has_answer():
                await step()
            completion, = host.answers()
            assert core.bars[4] == expected
            # PCIe Base 3.0 §2.3.1.1.
            assert completion.byte_count == (places[-1] - places[0] + 1 if places else 1)
            assert completion.lower_address == (at + (places[0] if places else 0)) & 0x7F
            assert bytes(completion.data) == expected[at:at + 4 * count]
    run(name, script, seed=8)


@every_adapter
def test_stores_do_not_wait_for_what_the_card_sends(name):
    async def script(context, host, core, step):
        expected = bytearray(core.bars[4])
        # A block that hands packets over in their order has stores behind a second read wait.
        reads = 2 if name.startswith("UltraScale") else 1
        for number in range(12):
            host.is_open, tags = False, [2 * number, 2 * number + 1]
            sizes = 17 if number % 3 == 0 else 1, 1    # the first one is refused, or answered
            asked = [request(TlpType.MEM_READ_64, 0, 64, size=4 * size, tag=tag)
                     for tag, size in zip(tags, sizes, strict=True)][:reads]
            for tlp in asked:
                host.send(tlp)
            for _ in range(4):
                at, octets = host.chance.randrange(SIZE - 80), host.chance.randbytes(80)
                host.store(4, at, octets)
                expected[at:at + 80] = octets
            await step(160)
            assert not host.has_answer() and core.bars[4] == expected
            host.is_open, answers = True, []
            while len(answers) < reads:
                await step()
                if host.has_answer():
                    answers += host.answers()
            assert [completion.tag for completion in answers] == tags[:reads]
            for tlp, completion in zip(asked, answers, strict=True):
                if tlp.length == 1:
                    assert answered(tlp, completion) == core.bars[0][64:68]
    run(name, script, seed=7)


@every_adapter
def test_what_cannot_be_answered_is_refused_and_what_needs_no_answer_gets_none(name):
    async def script(context, host, core, step):
        cases = [(TlpType.MEM_READ_64, 68, CplStatus.CA), (TlpType.MEM_READ_64, 256, CplStatus.CA),
                 (TlpType.IO_READ, 4, CplStatus.UR), (TlpType.FETCH_ADD_64, 8, CplStatus.UR),
                 (TlpType.MEM_READ_LOCKED_64, 4, CplStatus.UR)]
        for kind, size, status in cases:
            if kind == TlpType.FETCH_ADD_64:
                tlp = request(kind, 0, 0, bytes(range(1, size + 1)))
            else:
                tlp = request(kind, 0, 0, size=size, tag=9)
            before = core.requests
            host.send(tlp)
            for _ in range(60):
                await step()
            completion, = host.answers()
            assert (completion.status, completion.length) == (status, 0)
            assert completion.fmt_type == (TlpType.CPL_LOCKED if kind == TlpType.MEM_READ_LOCKED_64
                                           else TlpType.CPL)
            head(tlp, completion)
            assert core.requests == before
            tlp = request(TlpType.MEM_READ_64, 0, 8, size=4)
            host.send(tlp)
            for _ in range(60):
                await step()
            completion, = host.answers()
            assert answered(tlp, completion) == core.bars[0][8:12]
        # A read of no octets is answered with one word, as PCIe wants it of a flush.
        tlp = request(TlpType.MEM_READ_64, 0, 8, size=4)
        tlp.first_be = 0
        host.send(tlp)
        for _ in range(60):
            await step()
        completion, = host.answers()
        assert (completion.byte_count, completion.length) == (1, 1)
        # Damaged, the block says: nothing is stored.
        expected = bytes(core.bars[0])
        tlp = request(TlpType.MEM_WRITE_64, 0, 0, b"\xff" * 8)
        host.send(tlp, is_damaged=True)
        await step(40)
        assert bytes(core.bars[0]) == expected and not host.answers()
    run(name, script, seed=3)


@every_adapter
def test_bursts_are_writes_of_one_line_or_one_word_in_order(name):
    async def script(context, host, core, step):
        sent = []
        for _ in range(80):
            is_word = host.chance.random() < 0.2
            step_size = 4 if is_word else 64
            top = host.chance.choice((1 << 32, 1 << 48, 1 << 64))
            address = host.chance.randrange(0, top - 64, step_size) // step_size * step_size
            sent.append((address, host.chance.randbytes(step_size)))
        core.bursts = list(sent)
        while core.bursts:
            await step()
        await step(2)
        assert host.memory() == sent
    run(name, script, seed=4)


@pytest.mark.parametrize("width", [256, 512])
def test_an_answer_waits_for_the_reports_of_what_was_written_before_it(width):
    async def script(context, host, core, step):
        async def asked():
            tlp = request(TlpType.MEM_READ_64, 0, 8, size=4)
            host.send(tlp)
            for _ in range(200):
                await step()
                if host.has_answer():
                    return host.answers()
            return []
        # The numbers wrap several times, and writes go on while an answer waits.
        for _ in range(30):
            core.bursts = [(64 * number, bytes(64)) for number in range(host.chance.randrange(12))]
            while core.bursts:
                await step()
            before = len(host.writes.frames)
            host.is_reporting = host.chance.random() < 0.7
            core.bursts = [(0, bytes(64))] * 3
            answers = await asked()
            is_all_told = len(host.reports) <= len(host.writes.frames) - before
            assert bool(answers) == is_all_told
            host.is_reporting = True
            while not answers:
                await step()
                answers = host.answers()
                assert not answers or len(host.reports) <= len(host.writes.frames) - before
            host.memory()
        if width != 256:
            return                                     # what comes now takes long, and is the same
        # Writes that are never reported, for a host has taken the bus: not for ever.
        core.bursts, host.is_reporting = [(0, bytes(64))] * 5, False
        while core.bursts:
            await step()
        assert not await asked()
        await step(PATIENCE)
        assert len(host.answers()) == 1
        host.reports.clear()
        host.is_reporting = True
        core.bursts = [(0, bytes(64))]                 # the next report tells of all before it
        assert len(await asked()) == 1
    run(f"UltraScale-{width}", script, seed=5)


@pytest.mark.parametrize(("width", "octets"), [(256, 64), (256, 4), (512, 64), (512, 4)])
def test_no_more_writes_are_inside_the_block_than_have_numbers_of_their_own(width, octets):
    async def script(context, host, core, step):
        inside, host.share = [0], 0.0                  # words are one beat each, without a pause
        async def some(count=1):
            for _ in range(count):
                await step()
                inside[0] = max(inside[0], len(host.reports))
        for _ in range(3):
            host.is_reporting = False
            core.bursts = [(64 * number, bytes(octets)) for number in range(3 * INSIDE_MAX)]
            before = list(core.bursts)
            await some(4 * INSIDE_MAX)
            assert len(host.reports) in (INSIDE_MAX - 1, INSIDE_MAX)
            # The number that an answer waits for is as good as that of a write now inside.
            host.send(request(TlpType.MEM_READ_64, 0, 8, size=4))
            await some(40)
            assert not host.has_answer()
            host.is_reporting = True
            while core.bursts or host.reports:
                await some()
            await some(40)
            assert len(host.answers()) == 1 and host.memory() == before
            assert inside[0] <= INSIDE_MAX
        # Nothing is reported for good: writes go on all the same.
        host.is_reporting = False
        core.bursts = [(0, bytes(octets))] * (INSIDE_MAX + 8)
        await some(PATIENCE + 4 * INSIDE_MAX)
        assert not core.bursts
    run(f"UltraScale-{width}", script, seed=6)
