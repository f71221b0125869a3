"""TLS of FIX connections by the standard library: version 1.2 or later, certificates checked."""

import ssl

from tickwire.errors import TickwireError
from tickwire.orders.fix.settings import FIXSessionSettings

_FILES = ("ca_file", "certificate_file", "key_file")


def tls_context(settings: FIXSessionSettings) -> ssl.SSLContext | None:
    """Return the context that a session asks for, or none.

    An initiator checks the server's certificate and its name. An acceptor with ``ca_file`` demands
    a certificate from whoever connects. Raises :class:`TickwireError` for files that do not serve.
    """
    if not settings.tls:
        return None
    is_server = settings.role == "acceptor"
    key = ""
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
            context.load_cert_chain(settings.certificate_file, settings.key_file or None)
        if is_server and settings.ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise TickwireError(f"fix.sessions.{settings.name}.{key}: {getattr(settings, key)} cannot "
                            f"be used: {error.strerror or error}.") from None
    return context
