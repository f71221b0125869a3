"""``tickwire fix acceptor``: the echo server against which acceptance definitions are run."""

import asyncio
import contextlib
import logging
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tickwire.commands.arguments import Whole
from tickwire.commands.starting import Starting
from tickwire.errors import TickwireError

_STDERR = 2


class _Lines(logging.Handler):
    """Lines on a file; into a pipe that nobody reads they are dropped, so that nothing waits."""

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file
        if stat.S_ISFIFO(os.fstat(file).st_mode):
            os.set_blocking(file, False)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or not."""
        with contextlib.suppress(OSError):
            os.write(self._file, f"{self.format(record)}\n".encode())


def acceptor(
    *,
    acceptance: Annotated[bool, Parameter(
        negative="", help="The five sessions of the acceptance tests; there is no other kind.")],
    port: Annotated[Whole, Parameter(help="TCP port; 0 takes any and tells which.")] = 0,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    dictionary: Annotated[Path | None, Parameter(
        help="Folder with QuickFIX's FIX42.xml, FIX44.xml, FIXT11.xml, FIX50SP2.xml; without it "
             "the own dictionaries.")] = None,
    audit: Annotated[Path | None, Parameter(help="Folder for a log of every octet.")] = None,
    quiet: Annotated[bool, Parameter(negative="", help="Do not tell what is refused.")] = False,
) -> int:
    """Run the echo server for acceptance definitions, until Ctrl-C.

    Own CompID ISLD; sessions TW42, TW44, TW50SP2, TW and NO_CHECK_FIELDS_HAVE_VALUES. Orders,
    e-mails and security definitions come back, everything else is refused; numbers begin at 1 with
    every Logon.
    """
    if not acceptance:
        raise TickwireError("tickwire fix acceptor needs --acceptance.")
    if not 0 <= port <= 65_535:
        raise TickwireError(f"--port must be from 0 to 65535, not {port}.")
    asyncio.run(_serve(host, port, dictionary, audit, quiet))
    return 0


@contextlib.contextmanager
def tell_of_compiling() -> Iterator[None]:
    """Tell on standard error what is compiled meanwhile, the first time on a machine."""
    from tickwire.kernels.compiling import when_compiling
    starting, begun = Starting(), time.monotonic()

    def tell(name: str, number: int) -> None:
        starting.hear("acceptor", {"compiling": name, "number": number})
        starting.show(time.monotonic() - begun, "the acceptor")
    end = when_compiling(tell)
    try:
        yield
    finally:
        end()
        starting.end()


async def _serve(host: str, port: int, dictionary: Path | None, audit: Path | None,
                 is_quiet: bool) -> None:
    from tickwire.orders.fix.acceptance import acceptance_acceptor
    from tickwire.orders.fix.audit import AuditLog
    logging.basicConfig(format="%(asctime)s %(message)s", handlers=[_Lines(_STDERR)],
                        level=logging.ERROR if is_quiet else logging.INFO)
    log = None
    if audit is not None:
        log = AuditLog(audit, "acceptance")
        log.open(time.time_ns())
    try:
        server = acceptance_acceptor(host, port, dictionaries=dictionary, audit=log)
    except (OSError, ValueError) as error:
        raise TickwireError(f"--dictionary {dictionary}: {error}.") from None
    with tell_of_compiling():
        await server.start()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    sys.stdout.write(f"FIX acceptance server on {host}:{server.port}\n")
    sys.stdout.flush()
    await stopped.wait()
    await server.stop()
    if log is not None:
        log.close()
