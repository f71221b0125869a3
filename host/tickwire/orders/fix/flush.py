"""fdatasync in the background, by the kernel: Linux AIO, without a thread of this process.

fdatasync takes as long as the disk, some milliseconds, and whoever calls it waits. Here it is asked
for and its end is looked at later. Where the kernel or a container does not offer that, the file is
flushed at once, by whoever asks.
"""

import contextlib
import ctypes
import errno
import os
import platform
import struct

_CALLS = {                                 # io_setup, io_destroy, io_submit, io_getevents
    "x86_64": (206, 207, 209, 208),
    "aarch64": (0, 1, 2, 4),
}.get(platform.machine())
_REQUEST = struct.Struct("<QIiHhIQQqQII")  # struct iocb of linux/aio_abi.h, little-endian
_FDATASYNC = 3
_EVENT = struct.Struct("<QQqq")            # struct io_event: data, object, result, second result
_NO_TIME = ctypes.create_string_buffer(16)
_FREE_MAX = 16
_free: list[tuple[int, int]] = []          # process and context: to destroy one takes 30 ms


class Flusher:
    """Flushes of the open file ``file``, one at a time; one thread."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._context = 0
        self._is_running = False
        self._event = ctypes.create_string_buffer(_EVENT.size)
        request = _REQUEST.pack(0, 0, 0, _FDATASYNC, 0, file, 0, 0, 0, 0, 0, 0)
        self._request = ctypes.create_string_buffer(request, len(request))
        self._requests = (ctypes.c_void_p * 1)(ctypes.addressof(self._request))
        if _CALLS is not None:
            self._context = _new_context(_CALLS[0])

    @property
    def is_running(self) -> bool:
        """Whether a flush has begun and not ended; raises its OSError if it failed."""
        if self._is_running:
            self._look(0)
        return self._is_running

    def begin(self) -> bool:
        """Begin to flush what was written so far; False while the one before is running.

        Raises OSError when the disk refuses, or has refused the one before.
        """
        if self.is_running:
            return False
        if self._context and _CALLS is not None and _call(
                _CALLS[2], self._context, 1, ctypes.addressof(self._requests)) == 1:
            self._is_running = True
        else:                              # no such call, or none for this file
            os.fdatasync(self._file)
        return True

    def wait(self) -> None:
        """Return when nothing is running; raises OSError when that flush failed."""
        while self._is_running:
            self._look(1)

    def close(self) -> None:
        """Give the context back, after the last flush ended; nothing is raised."""
        with contextlib.suppress(OSError):
            self.wait()
        if self._context and _CALLS is not None:
            if len(_free) < _FREE_MAX:
                _free.append((os.getpid(), self._context))
            else:
                _call(_CALLS[1], self._context)
        self._context = 0

    def _look(self, least: int) -> None:
        """Take the end of the flush, if it is there or ``least`` is 1."""
        assert _CALLS is not None
        found = _call(_CALLS[3], self._context, least, 1, ctypes.addressof(self._event),
                      0 if least else ctypes.addressof(_NO_TIME))
        if found == 1:
            self._is_running = False
            result = _EVENT.unpack(self._event.raw)[2]
            if result < 0:
                raise OSError(-result, os.strerror(-result))
        elif found < 0 and ctypes.get_errno() != errno.EINTR:
            self._is_running = False
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


_library = ctypes.CDLL(None, use_errno=True)


def _new_context(setup: int) -> int:
    """Return a context for one request that is free, or a new one; 0 when there is none."""
    while _free:
        process, found = _free.pop()
        if process == os.getpid():         # a fork has none of its parent's
            return found
    context = ctypes.c_ulong(0)
    return int(context.value) if _call(setup, 1, ctypes.addressof(context)) == 0 else 0


def _call(number: int, *arguments: int) -> int:
    return int(_library.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))
