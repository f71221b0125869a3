"""The program ``tickwire``. A command's module is loaded when the command is given.

A user sees sentences: what is wrong with the input or the machine ends the program with one on
standard error and a status that is not 0.
"""

import _thread
import errno
import os
import sys
import threading
from collections.abc import Sequence

from tickwire import __version__
from tickwire.errors import INTERNAL_STATUS, TickwireError

INTERRUPTED_STATUS = 130                   # 128 + SIGINT, as a shell has it
_AGAIN_SECONDS = 0.02

COMMANDS = {
    "run": "Trade: a venue, a device and a strategy, for some seconds.",
    "replay": "Rebuild the books of a file or capture.",
    "diff": "Compare two devices on one file or capture, record by record.",
    "decode": "Show the messages of a file or capture.",
    "stat": "Show what a running device does.",
    "device": "List, look at, test, kill, arm and load devices.",
    "venue": "Run the simulated venue alone, until Ctrl-C.",
    "fix": "FIX: decode messages, stored numbers, audit logs, acceptance server.",
}


def app(arguments: Sequence[str] | None) -> object:
    """Run the command that ``arguments`` name; return what it returns."""
    from cyclopts import App, CycloptsError  # here: Ctrl-C may come while it is loaded

    program = App(name="tickwire", version=__version__,
                  help="An open trading NIC and its Python host.")
    for name, text in COMMANDS.items():
        program.command(f"tickwire.commands.{name}:{name}", name=name, help=text)
    try:
        return program(arguments, exit_on_error=False, print_error=False,
                       result_action="return_value")
    except CycloptsError as error:
        sentence = " ".join(str(error).split()).rstrip(".")
        raise TickwireError(f"{sentence}. Try `tickwire --help`.") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with ``arguments``, by default those of the process; return its status."""
    before, sys.unraisablehook = sys.unraisablehook, _interrupt_again
    try:
        status = app(arguments)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except TickwireError as error:
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS
    except BrokenPipeError:                # whoever read the output has seen enough
        _drop_output()
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _drop_output()
            return _complain(f"Cannot write the output: {error.strerror}.", TickwireError.exit_code)
        import traceback
        if os.environ.get("TICKWIRE_DEBUG"):
            traceback.print_exc()
        where = traceback.extract_tb(error.__traceback__)[-1]
        return _complain(f"Internal error in {os.path.basename(where.filename)}, line "
                         f"{where.lineno}: {type(error).__name__}: {error}. "
                         "With TICKWIRE_DEBUG=1 it says more.", INTERNAL_STATUS)
    finally:
        sys.unraisablehook = before


def _interrupt_again(lost: "sys.UnraisableHookArgs") -> None:
    """Deliver a Ctrl-C once more that came while something was finalized, where it is lost."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        threading.Timer(_AGAIN_SECONDS, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(lost)


def _drop_output() -> None:
    """Give what is left to nobody: the interpreter would try to write it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
