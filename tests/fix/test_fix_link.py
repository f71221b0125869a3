"""What an operator is told when the FIX order session of a run does not come up.

Method: a link without a device connects to a socket that answers as a broker might.
"""

import asyncio
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from tests.fix_rig import framed
from tickwire.config import demo
from tickwire.device import fix_link
from tickwire.errors import TickwireError
from tickwire.orders.fix.settings import FIXSessionSettings, FIXSettings
from tickwire.orders.release import RELEASED


async def connect(folder, **settings):
    """Have a link connect with a session of these settings."""
    engine = SimpleNamespace(releases=SimpleNamespace(records=np.zeros(1, RELEASED)))
    fix = FIXSettings(folder=str(folder), sessions=(FIXSessionSettings(**settings),))
    link = fix_link.FIXLink(None, engine, demo().orders, fix)
    try:
        await link.connect()
    finally:
        link.close()


def test_a_closed_session_says_when_it_opens(tmp_path):
    opens = time.time() // 1 + 3_600
    start, end = (f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}" for at in (opens, opens + 60))
    with pytest.raises(TickwireError, match=rf"^fix\.sessions\.venue is closed until "
                       rf"{datetime.fromtimestamp(opens, UTC):%Y-%m-%d %H:%M:%S} UTC\.$"):
        asyncio.run(connect(tmp_path, start_time=start, end_time=end))


def test_the_reason_of_a_logout_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(fix_link, "LOGON_SECONDS", 0.5)

    async def answer(reader, writer):
        await reader.readuntil(b"\x0110=")
        now = f"{datetime.now(UTC):%Y%m%d-%H:%M:%S}"
        writer.write(framed(f"8=FIX.4.4|35=5|34=1|49=VENUE|52={now}|56=TICKWIRE|58=wrong desk|"))
        await reader.read()
        writer.close()

    async def body():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            await connect(tmp_path, port=server.sockets[0].getsockname()[1])
    with pytest.raises(TickwireError, match=r"within 0\.5 s: Logout instead of a Logon: "
                                            r"wrong desk\.$"):
        asyncio.run(body())


def test_a_port_that_nobody_listens_on_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(fix_link, "LOGON_SECONDS", 0.1)
    with pytest.raises(TickwireError, match=r"within 0\.1 s: .*Connect call failed"):
        asyncio.run(connect(tmp_path, port=1))
