"""Files that the settings of a session name: dictionaries and certificates, read or refused.

A sentence about one begins with its key and names the file. No kernel is needed for it, so a
command can ask before it starts anything.
"""

from tickwire.errors import TickwireError
from tickwire.orders.fix.dictionary import Dictionary, DictionaryError
from tickwire.orders.fix.settings import FIXSessionSettings
from tickwire.orders.fix.tls import tls_context


def read_dictionaries(settings: FIXSessionSettings) -> tuple[Dictionary, Dictionary | None]:
    """Return the dictionaries of the session and of its application messages.

    The second is there for FIXT.1.1 alone. Where a key is empty it is the own one. Raises
    :class:`TickwireError` for a file that is none.
    """
    if settings.begin_string != "FIXT.1.1":
        return _read(settings, "dictionary", settings.begin_string), None
    return (_read(settings, "transport_dictionary", "FIXT.1.1"),
            _read(settings, "dictionary", "FIX.5.0SP2"))


def _read(settings: FIXSessionSettings, key: str, version: str) -> Dictionary:
    path = getattr(settings, key)
    if not path:
        return Dictionary.own(version)
    try:
        return Dictionary.read(path)
    except DictionaryError as error:
        raise TickwireError(f"fix.sessions.{settings.name}.{key}: {error}.") from None


def check_files(settings: FIXSessionSettings) -> None:
    """Read every file that the session will; raises :class:`TickwireError` at the first bad one."""
    read_dictionaries(settings)
    tls_context(settings)
