"""Compile kernels with an on-disk cache that is valid only for exactly these sources.

Numba keys its cache on the file of the outermost function alone, so a change in a callee or in a
constant of another module is missed. Parity with the gateware cannot stand on stale offsets:
here a module's cache folder is named by a digest of its source and of every source that it
imports, directly or not; a kernel can inline nothing else.
"""

import ctypes
import functools
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
import numpy

from tickwire.kernels.cache import BASE

# Numba links a kernel into its callers as code generation has left it, and optimizes once more.
# LLVM may have split an address there into a pointer made of an index and an offset: where a
# caller's index is 0, that is a null pointer, and what reads it counts as never reached.
llvmlite.binding.set_option("tickwire", "-addr-sink-using-gep=0")

_TOOLS = f"{numba.__version__} {llvmlite.__version__} {numpy.__version__}"
_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\s+(\([^)]*\)|[^\n]*)|import\s+([\w.]+))",
                     re.MULTILINE)
_KEPT = 3                                  # older cache folders of the same module that are kept


def _module(dotted: str, importer: Path) -> Path | None:
    """Source file of a module of the importer's own package or of a sibling package, if any."""
    if dotted.startswith("."):
        level = len(dotted) - len(dotted.lstrip("."))
        root = importer.parents[level - 1]
        dotted = dotted.lstrip(".")
    else:
        root = importer.parent
        while (root / "__init__.py").exists():
            root = root.parent
        spec = _find_package(dotted.partition(".")[0])
        root = spec.parent if spec is not None else root
    path = root.joinpath(*dotted.split(".")) if dotted else root
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


@functools.cache
def _find_package(name: str) -> Path | None:
    """Folder of one of tickwire's own packages; other libraries count by their version only."""
    import importlib.util
    if not name.startswith("tickwire"):
        return None
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _imports(path: Path, source: str) -> Iterator[Path]:
    for parent, names, plain in _IMPORT.findall(source):
        found = _module(parent or plain, path)
        if found is None:
            continue
        yield found
        if parent and found.name == "__init__.py":
            for name in re.findall(r"\w+", names.split("#")[0]):
                part = found.parent / f"{name}.py"
                if part.is_file():
                    yield part


@functools.cache
def _read(path: Path) -> tuple[bytes, tuple[Path, ...]]:
    """Digest of a source and what it imports itself; each source is looked at once a process."""
    octets = path.read_bytes()
    imports = dict.fromkeys(found.resolve() for found in _imports(path, octets.decode()))
    return hashlib.blake2b(octets, digest_size=16).digest(), tuple(imports)


def sources(path: Path) -> list[Path]:
    """Return ``path`` and every source of the project that it imports, directly or not."""
    todo, seen = [path.resolve()], set()
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo.extend(_read(current)[1])
    return sorted(seen)


@functools.cache
def cache_folder(path: Path) -> Path:
    """Return the cache folder of the kernels in the module at ``path``."""
    state = hashlib.blake2b(_TOOLS.encode(), digest_size=10)
    for source in sources(path):
        state.update(str(source).encode() + b"\0" + _read(source)[0])
    name = path.parent.name + "." + path.stem
    _prune(name)
    return BASE / f"{name}-{state.hexdigest()}"


def _prune(name: str) -> None:
    """Remove the oldest cache folders of a module."""
    def age(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:
            return 0.0
    for path in sorted(BASE.glob(f"{name}-*"), key=age)[:-_KEPT]:
        shutil.rmtree(path, ignore_errors=True)


@functools.cache
def _folder_of(filename: str) -> Path:
    return cache_folder(Path(filename).resolve())


def _cached(function: Callable[..., Any], compile_: Callable[[], Any]) -> Any:
    folder = _folder_of(function.__code__.co_filename)
    saved, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
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
    return _without_literals(_cached(function, lambda: numba.njit(
        cache=True, nogil=True, forceinline=inline, error_model="numpy")(function)))


def _without_literals(dispatcher: Any) -> Any:
    """Have kernels that call ``dispatcher`` give constant arguments the type of any others.

    Numba compiles a function anew for every constant that it is called with, and LLVM propagates
    constants into what it inlines anyway: such copies were two fifths of all compilation.
    """
    if numba.config.DISABLE_JIT:
        return dispatcher
    choose, plain = dispatcher.get_call_template, numba.types.unliteral

    def get_call_template(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        return choose(tuple(map(plain, args)), {name: plain(kind) for name, kind in kws.items()})
    dispatcher.get_call_template = get_call_template
    return dispatcher


class _PlainHandler:
    """C callback of a plain Python function, for runs without the compiler."""

    def __init__(self, function: Callable[..., Any], commas: int) -> None:
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * (commas + 1))
        self._callback = kind(lambda *arguments: int(function(*arguments)))
        self.address = ctypes.cast(self._callback, ctypes.c_void_p).value


def handler(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function to a C callback with a fixed ``signature``, cached on disk.

    Its ``.address`` can be called from a kernel through
    :func:`tickwire.kernels.memory.call3`, which keeps the caller's compiled form independent of
    the callee: an engine is compiled once for all strategies.
    """
    def compile_(function: Callable[..., Any]) -> Any:
        if numba.config.DISABLE_JIT:
            return _PlainHandler(function, signature.count(","))
        return _cached(function, lambda: numba.cfunc(
            signature, cache=True, nopython=True, error_model="numpy")(function))
    return compile_
