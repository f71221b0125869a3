"""Compile kernels with an on-disk cache that is valid only for exactly these sources.

Numba keys its cache on the file of the outermost function alone, so a change in a callee or in a
constant of another module is missed. Parity with the gateware cannot stand on stale offsets:
here the cache folder's name is a digest of every source that a kernel may inline.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy

_PACKAGE = Path(__file__).parent.parent
_SHARED = (_PACKAGE / "spec", _PACKAGE / "kernels")
_KEPT = 8                                  # cache folders kept besides the current ones

_base = Path(os.environ.get("TICKWIRE_CACHE")
             or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tickwire")
_folders: dict[Path, str] = {}


def _digest(folder: Path) -> str:
    """Digest of the shared kernels and of every source below ``folder``."""
    state = hashlib.blake2b(digest_size=10)
    state.update(f"{numba.__version__} {llvmlite.__version__} {numpy.__version__}".encode())
    for root in dict.fromkeys((*_SHARED, folder)):
        paths = root.rglob("*.py") if root in _SHARED else root.glob("*.py")
        for path in sorted(paths):
            state.update(str(path).encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


def cache_folder(function: Callable[..., Any]) -> str:
    """Return the cache folder of ``function``, which depends on every source it may inline."""
    home = Path(function.__code__.co_filename).resolve().parent
    if any(home == root or root in home.parents for root in _SHARED):
        home = _PACKAGE / "kernels"
    if home not in _folders:
        _folders[home] = str(_base / _digest(home))
        _prune()
    return _folders[home]


def _prune() -> None:
    """Remove the oldest cache folders; a folder in use is newer than those."""
    try:
        found = sorted((path for path in _base.iterdir() if path.is_dir()),
                       key=lambda path: path.stat().st_mtime)
    except OSError:
        return
    current = set(_folders.values())
    for path in found[:max(0, len(found) - _KEPT)]:
        if str(path) not in current:
            shutil.rmtree(path, ignore_errors=True)


def _cached(function: Callable[..., Any], compile_: Callable[[], Any]) -> Any:
    saved, numba.config.CACHE_DIR = numba.config.CACHE_DIR, cache_folder(function)
    try:
        return compile_()
    finally:
        numba.config.CACHE_DIR = saved


def kernel(function: Callable[..., Any] | None = None, *, inline: bool = False) -> Any:
    """Compile ``function`` in nopython mode without the GIL, cached on disk.

    ``inline`` forces LLVM to inline it into every caller: for helpers of a few instructions.
    With ``NUMBA_DISABLE_JIT=1`` the function is returned as it is.
    """
    if function is None:
        return lambda later: kernel(later, inline=inline)
    return _cached(function, lambda: numba.njit(
        cache=True, nogil=True, forceinline=inline, error_model="numpy")(function))


def handler(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function to a C callback with a fixed ``signature``, cached on disk.

    Its ``.address`` can be called from a kernel through
    :func:`tickwire.kernels.memory.call3`, which keeps the caller's compiled form independent of
    the callee: an engine is compiled once for all strategies.
    """
    def compile_(function: Callable[..., Any]) -> Any:
        return _cached(function, lambda: numba.cfunc(
            signature, cache=True, nopython=True, error_model="numpy")(function))
    return compile_
