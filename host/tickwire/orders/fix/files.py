"""Files that the settings of a session name: dictionaries and certificates, read or refused.

A sentence about one begins with its key and names the file. No kernel is needed for it, so a
command can ask before it starts anything.
"""

from tickwire.errors import TickwireError
from tickwire.orders.fix.dictionary import Dictionary, DictionaryError
from tickwire.orders.fix.order_fields import order_fields
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.tls import tls_context
from tickwire.spec.fix import APPLICATION_VERSIONS

_APPLICATIONS = tuple(version for version in APPLICATION_VERSIONS.values()
                      if version.startswith("FIX.5"))


def read_dictionaries(settings: FIXSessionSettings) -> tuple[Dictionary, Dictionary | None]:
    """Return the dictionaries of the session and of its application messages.

    The second is there for FIXT.1.1 alone. Where a key is empty it is the own one. Raises
    :class:`TickwireError` for a file that is none, or one of another version.
    """
    if settings.begin_string != "FIXT.1.1":
        return _read(settings, "dictionary", settings.begin_string), None
    return (_read(settings, "transport_dictionary", "FIXT.1.1"),
            _read(settings, "dictionary", *reversed(_APPLICATIONS)))


def _read(settings: FIXSessionSettings, key: str, *versions: str) -> Dictionary:
    """Read the dictionary that ``key`` names, of one of ``versions``; by default the first's."""
    path = getattr(settings, key)
    if not path:
        return Dictionary.own(versions[0])
    try:
        found = Dictionary.read(path)
    except DictionaryError as error:
        raise TickwireError(f"fix.sessions.{settings.name}.{key}: {error}.") from None
    if found.version not in versions:
        raise TickwireError(
            f"fix.sessions.{settings.name}.{key}: {path} is a dictionary of {found.version}, but "
            f"begin_string {settings.begin_string} needs {' or '.join(versions)}.")
    return found


def check_files(settings: FIXSessionSettings) -> None:
    """Read every file that the session will; raises :class:`TickwireError` at the first bad one.

    So it does for order fields that the dictionary does not permit.
    """
    order_fields(settings, *read_dictionaries(settings))
    tls_context(settings)
