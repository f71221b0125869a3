"""``tickwire fix audit``: an audit log as lines."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tickwire.errors import InputError


def audit(
    file: Annotated[Path, Parameter(help="An audit log, NAME-YYYYMMDD.audit.")],
) -> int:
    """Show an audit log: time in UTC with ns, connection, direction, octets.

    < came, > went, # what happened to the connection; | ends a field.
    """
    from tickwire.orders.fix.audit import lines
    from tickwire.orders.fix.journal import StoreError
    try:
        for line in lines(file):
            sys.stdout.write(f"{line}\n")
    except StoreError as error:
        raise InputError(str(error)) from None
    return 0
