"""TLS of FIX connections by the standard library: version 1.2 or later, certificates checked."""

import ssl

from tickwire.errors import TickwireError
from tickwire.orders.fix.settings import FIXSessionSettings

_FILES = ("ca_file", "certificate_file", "key_file", "key_passphrase_file")
_PASSPHRASE_MAX = 1_024                    # octets that OpenSSL takes


def tls_context(settings: FIXSessionSettings) -> ssl.SSLContext | None:
    """Return the context that a session asks for, or none.

    An initiator checks the server's certificate and its name. An acceptor with ``ca_file`` demands
    a certificate from whoever connects. Raises :class:`TickwireError` for files that do not serve,
    and for a key with a passphrase that no file tells: nobody is asked at a terminal.
    """
    if not settings.tls:
        return None
    is_server = settings.role == "acceptor"
    key = ""

    def passphrase() -> bytes:             # called when the key has one
        nonlocal key
        key = "key_passphrase_file"
        return _passphrase(settings)
    try:
        for key in _FILES:                 # what loads them does not tell which one is missing
            if path := getattr(settings, key):
                open(path, "rb").close()
        key = "ca_file"
        context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH if is_server else ssl.Purpose.SERVER_AUTH,
            cafile=settings.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        key = "certificate_file"
        if settings.certificate_file:
            context.load_cert_chain(settings.certificate_file, settings.key_file or None,
                                    passphrase)
        if is_server and settings.ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise TickwireError(f"fix.sessions.{settings.name}.{key}: {getattr(settings, key)} cannot "
                            f"be used: {error.strerror or error}.") from None
    return context


def _passphrase(settings: FIXSessionSettings) -> bytes:
    """Return what opens the key, which has been found to need it."""
    place = f"fix.sessions.{settings.name}."
    if not settings.key_passphrase_file:
        key = "key_file" if settings.key_file else "certificate_file"
        raise TickwireError(f"{place}{key}: the key in {getattr(settings, key)} has a passphrase; "
                            "key_passphrase_file has to name a file with it.")
    with open(settings.key_passphrase_file, "rb") as file:
        line = file.readline(_PASSPHRASE_MAX + 2).rstrip(b"\r\n")
    if not 0 < len(line) <= _PASSPHRASE_MAX:
        raise TickwireError(f"{place}key_passphrase_file: the first line of "
                            f"{settings.key_passphrase_file} must have 1 to {_PASSPHRASE_MAX:,} "
                            "octets.")
    return line
