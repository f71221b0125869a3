"""The program ``tickwire``. A command's module is loaded when the command is given.

A user sees sentences: what is wrong with the input or the machine ends the program with one on
standard error and a status that is not 0.
"""

import os
import sys
import traceback
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from tickwire import __version__
from tickwire.errors import TickwireError

USAGE_STATUS = 2
INTERRUPTED_STATUS = 130                   # 128 + SIGINT, as a shell has it
INTERNAL_STATUS = 70                       # EX_SOFTWARE of <sysexits.h>

app = App(name="tickwire", version=__version__,
          help="An open trading NIC and its Python host.")
app.command("tickwire.commands.run:run", name="run",
            help="Trade: a venue, a device and a strategy, for some seconds.")
app.command("tickwire.commands.replay:replay", name="replay",
            help="Rebuild the books of a file or capture.")
app.command("tickwire.commands.decode:decode", name="decode",
            help="Show the messages of a file or capture.")
app.command("tickwire.commands.stat:stat", name="stat",
            help="Show what a running device does.")
app.command("tickwire.commands.venue:venue", name="venue",
            help="Run the simulated venue alone, until Ctrl-C.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with ``arguments``, by default those of the process; return its status."""
    try:
        status = app(arguments, exit_on_error=False, print_error=False,
                     result_action="return_value")
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except TickwireError as error:
        return _complain(str(error), error.exit_code)
    except CycloptsError as error:
        return _complain(f"{' '.join(str(error).split())} Try `tickwire --help`.", USAGE_STATUS)
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS
    except BrokenPipeError:                # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("TICKWIRE_DEBUG"):
            traceback.print_exc()
        where = traceback.extract_tb(error.__traceback__)[-1]
        return _complain(f"Internal error in {os.path.basename(where.filename)}, line "
                         f"{where.lineno}: {type(error).__name__}: {error}. "
                         "With TICKWIRE_DEBUG=1 it says more.", INTERNAL_STATUS)


def _complain(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
