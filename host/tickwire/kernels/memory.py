"""Memory as kernels see it: addresses, not arrays.

Plain loads and stores may be merged and reordered by the compiler; the ``_acquire``,
``_release`` and ``_relaxed`` forms are atomic: never merged, hoisted or torn. Everything that
another thread, process or card writes must go through those. LLVM deletes a re-read of a NumPy
array element, so a polling loop over an array never ends (see ``tests/unit/test_memory.py``).

Every value is an ``int64``: Numba turns a mix of signed and unsigned 64-bit integers into floats.
With ``NUMBA_DISABLE_JIT=1`` the same names are plain Python functions on real memory.
"""

import ctypes

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

_I1, _I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
_I48 = ir.IntType(48)
_VOID = ir.VoidType()
_INT = types.int64

CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1
MSG_DONTWAIT, MSG_NOSIGNAL = 0x40, 0x4000

binding.initialize_native_asmparser()      # Numba does not; inline assembly would abort

# Of the processor that Numba compiles for: NUMBA_CPU_FEATURES may tell of another one.
_told = numba.config.CPU_FEATURES
_features = binding.get_host_cpu_features() if _told is None else {
    entry[1:]: entry[0] == "+" for entry in _told.split(",") if entry}
HAS_CRC32C = bool(_features.get("sse4.2"))
HAS_MOVDIR64B = bool(_features.get("movdir64b"))
IS_X86 = binding.get_process_triple().startswith(("x86_64", "i686"))


def _constant(value, kind=_I64):
    return ir.Constant(kind, value)


def _pointer(builder, address, kind):
    return builder.inttoptr(address, kind.as_pointer())


def _loader(width, name, doc, *, signed=False, big=False, atomic=None):
    kind = ir.IntType(width)

    def load(typingctx, address):
        def codegen(context, builder, signature, arguments):
            source = _pointer(builder, arguments[0], kind)
            if atomic:
                value = builder.load_atomic(source, atomic, width // 8)
            else:
                value = builder.load(source)
                value.align = 1
            if big:
                value = builder.bswap(value)
            if width == 64:
                return value
            return builder.sext(value, _I64) if signed else builder.zext(value, _I64)
        return _INT(_INT), codegen

    def load_python(address):
        octets = ctypes.string_at(int(address), width // 8)
        value = int.from_bytes(octets, "big" if big else "little", signed=signed or width == 64)
        return value
    load.__doc__ = load_python.__doc__ = doc
    load.__name__ = load_python.__name__ = name
    return load_python if numba.config.DISABLE_JIT else intrinsic(load)


def _storer(width, name, doc, *, big=False, atomic=None):
    kind = ir.IntType(width)

    def store(typingctx, address, value):
        def codegen(context, builder, signature, arguments):
            value = arguments[1] if width == 64 else builder.trunc(arguments[1], kind)
            if big:
                value = builder.bswap(value)
            target = _pointer(builder, arguments[0], kind)
            if atomic:
                builder.store_atomic(value, target, atomic, width // 8)
            else:
                builder.store(value, target).align = 1
            return context.get_dummy_value()
        return types.void(_INT, _INT), codegen

    def store_python(address, value):
        octets = (int(value) & (1 << width) - 1).to_bytes(width // 8, "big" if big else "little")
        ctypes.memmove(int(address), octets, width // 8)
    store.__doc__ = store_python.__doc__ = doc
    store.__name__ = store_python.__name__ = name
    return store_python if numba.config.DISABLE_JIT else intrinsic(store)


load8 = _loader(8, "load8", "Load one octet, unsigned.")
load16 = _loader(16, "load16", "Load 2 octets, native order, unsigned.")
load32 = _loader(32, "load32", "Load 4 octets, native order, unsigned.")
load32s = _loader(32, "load32s", "Load 4 octets, native order, signed.", signed=True)
load64 = _loader(64, "load64", "Load 8 octets, native order.")
load64_acquire = _loader(64, "load64_acquire", "Atomic load-acquire of 8 octets.", atomic="acquire")
load64_relaxed = _loader(64, "load64_relaxed", "Atomic relaxed load of 8 octets.",
                         atomic="monotonic")
load32_relaxed = _loader(32, "load32_relaxed", "Atomic relaxed load of 4 octets.",
                         atomic="monotonic")
store8 = _storer(8, "store8", "Store the low octet.")
store16 = _storer(16, "store16", "Store the low 2 octets, native order.")
store32 = _storer(32, "store32", "Store the low 4 octets, native order.")
store64 = _storer(64, "store64", "Store 8 octets, native order.")
store64_release = _storer(64, "store64_release", "Atomic store-release of 8 octets.",
                          atomic="release")
store64_relaxed = _storer(64, "store64_relaxed", "Atomic relaxed store of 8 octets.",
                          atomic="monotonic")
load_be16 = _loader(16, "load_be16", "Load 2 octets, big-endian.", big=True)
load_be32 = _loader(32, "load_be32", "Load 4 octets, big-endian.", big=True)
load_be64 = _loader(64, "load_be64", "Load 8 octets, big-endian.", big=True)
store32_relaxed = _storer(32, "store32_relaxed", "Atomic relaxed store of 4 octets.",
                          atomic="monotonic")
store_be16 = _storer(16, "store_be16", "Store 2 octets, big-endian.", big=True)
store_be32 = _storer(32, "store_be32", "Store 4 octets, big-endian.", big=True)
store_be64 = _storer(64, "store_be64", "Store 8 octets, big-endian.", big=True)


def _both(python):
    """Register ``python`` as the fallback of the intrinsic that is defined under its name."""
    def choose(native):
        if numba.config.DISABLE_JIT:
            return python
        native.__doc__ = python.__doc__
        native.__name__ = python.__name__
        return intrinsic(native)
    return choose


def _load_be48(address):
    """Load 6 octets, big-endian (an ITCH time stamp). Never reads outside of them."""
    return int.from_bytes(ctypes.string_at(int(address), 6), "big")


@_both(_load_be48)
def load_be48(typingctx, address):
    def codegen(context, builder, signature, arguments):
        high = builder.load(_pointer(builder, arguments[0], _I16))
        low = builder.load(_pointer(builder, builder.add(arguments[0], _constant(2)), _I32))
        high.align = low.align = 1
        high = builder.zext(builder.bswap(high), _I64)
        low = builder.zext(builder.bswap(low), _I64)
        return builder.or_(builder.shl(high, _constant(32)), low)
    return _INT(_INT), codegen


def _store_be48(address, value):
    """Store 6 octets, big-endian."""
    ctypes.memmove(int(address), (int(value) & (1 << 48) - 1).to_bytes(6, "big"), 6)


@_both(_store_be48)
def store_be48(typingctx, address, value):
    def codegen(context, builder, signature, arguments):
        address, value = arguments
        high = builder.trunc(builder.lshr(value, _constant(32)), _I16)
        low = builder.trunc(value, _I32)
        builder.store(builder.bswap(high), _pointer(builder, address, _I16)).align = 1
        target = _pointer(builder, builder.add(address, _constant(2)), _I32)
        builder.store(builder.bswap(low), target).align = 1
        return context.get_dummy_value()
    return types.void(_INT, _INT), codegen


def _shift_right(value, count):
    """Logical shift right; Numba's ``>>`` of an int64 is arithmetic."""
    return (int(value) & (1 << 64) - 1) >> int(count)


@_both(_shift_right)
def shift_right(typingctx, value, count):
    return _INT(_INT, _INT), lambda c, b, s, a: b.lshr(a[0], a[1])


def _below(left, right):
    """Unsigned ``left < right``: one compare is a two-sided range check."""
    mask = (1 << 64) - 1
    return (int(left) & mask) < (int(right) & mask)


@_both(_below)
def below(typingctx, left, right):
    return types.boolean(_INT, _INT), lambda c, b, s, a: b.icmp_unsigned("<", a[0], a[1])


def _wrap(value):
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _multiply(left, right):
    """Product modulo 2^64."""
    return _wrap(int(left) * int(right))


@_both(_multiply)
def multiply(typingctx, left, right):
    return _INT(_INT, _INT), lambda c, b, s, a: b.mul(a[0], a[1])


def _top_bit(value):
    """Index of the highest set bit of a value that is not 0."""
    return (int(value) & (1 << 64) - 1).bit_length() - 1


@_both(_top_bit)
def top_bit(typingctx, value):
    return _INT(_INT), lambda c, b, s, a: b.sub(_constant(63), b.ctlz(a[0], _constant(1, _I1)))


def _low_bit(value):
    """Index of the lowest set bit of a value that is not 0."""
    value = int(value) & (1 << 64) - 1
    return (value & -value).bit_length() - 1


@_both(_low_bit)
def low_bit(typingctx, value):
    return _INT(_INT), lambda c, b, s, a: b.cttz(a[0], _constant(1, _I1))


def _bit_count(value):
    """Number of set bits."""
    return (int(value) & (1 << 64) - 1).bit_count()


@_both(_bit_count)
def bit_count(typingctx, value):
    return _INT(_INT), lambda c, b, s, a: b.ctpop(a[0])


def _unlikely(condition):
    """Tell the compiler that the condition is expected to be false."""
    return condition


@_both(_unlikely)
def unlikely(typingctx, condition):
    def codegen(context, builder, signature, arguments):
        function = builder.module.declare_intrinsic(
            "llvm.expect", [_I1], ir.FunctionType(_I1, [_I1, _I1]))
        return builder.call(function, [arguments[0], _constant(0, _I1)])
    return types.boolean(types.boolean), codegen


def _prefetch(address):
    """Ask for the cache line at ``address``; never faults."""


@_both(_prefetch)
def prefetch(typingctx, address):
    def codegen(context, builder, signature, arguments):
        pointer = _I8.as_pointer()
        name = "llvm.prefetch.p0i8"
        function = builder.module.globals.get(name) or ir.Function(
            builder.module, ir.FunctionType(_VOID, [pointer, _I32, _I32, _I32]), name)
        builder.call(function, [builder.inttoptr(arguments[0], pointer),
                                *(_constant(value, _I32) for value in (0, 3, 1))])
        return context.get_dummy_value()
    return types.void(_INT), codegen


def _assembly(text, result=None):
    def codegen(context, builder, signature, arguments):
        kind = ir.FunctionType(result or _VOID, [argument.type for argument in arguments])
        constraints = ",".join((["={rax}"] if result else []) + ["r"] * len(arguments)
                               + ["~{memory}", "~{dirflag}", "~{fpsr}", "~{flags}"])
        value = builder.asm(kind, text, constraints, list(arguments), side_effect=True)
        return value if result else context.get_dummy_value()
    return codegen


def _instruction(name, doc, on_x86, elsewhere):
    def python():
        pass

    def native(typingctx):
        return types.void(), _assembly(on_x86 if IS_X86 else elsewhere)
    python.__doc__, python.__name__ = doc, name
    return _both(python)(native)


pause = _instruction("pause", "Hint that this is a spin loop.", "pause", "yield")
store_fence = _instruction(
    "store_fence", "Order earlier stores, non-temporal ones included, before later ones.",
    "sfence", "dmb ish")
full_fence = _instruction(
    "full_fence", "Order earlier loads and stores before later ones.", "mfence", "dmb ish")


def _copy64(target, source):
    """Copy one aligned 64-octet line."""
    ctypes.memmove(int(target), int(source), 64)


@_both(_copy64)
def copy64(typingctx, target, source):
    def codegen(context, builder, signature, arguments):
        kind = ir.VectorType(_I64, 8)
        line = builder.load(_pointer(builder, arguments[1], kind))
        line.align = 8
        builder.store(line, _pointer(builder, arguments[0], kind)).align = 8
        return context.get_dummy_value()
    return types.void(_INT, _INT), codegen


def _copy(target, source, size):
    """Copy ``size`` octets between places that do not overlap."""
    ctypes.memmove(int(target), int(source), int(size))


@_both(_copy)
def copy(typingctx, target, source, size):
    def codegen(context, builder, signature, arguments):
        pointer = _I8.as_pointer()
        name = "memcpy"
        function = builder.module.globals.get(name) or ir.Function(
            builder.module, ir.FunctionType(pointer, [pointer, pointer, _I64]), name)
        builder.call(function, [builder.inttoptr(arguments[0], pointer),
                                builder.inttoptr(arguments[1], pointer), arguments[2]])
        return context.get_dummy_value()
    return types.void(_INT, _INT, _INT), codegen


_CRC32C = 0x82F63B78                       # RFC 3720 polynomial, reflected


def _crc32c_step(crc, word):
    """CRC-32C (RFC 3720) of 8 more octets, without the initial and final inversion."""
    crc, word = int(crc) & 0xFFFFFFFF, int(word) & (1 << 64) - 1
    for shift in range(0, 64, 8):
        crc ^= word >> shift & 0xFF
        for _ in range(8):
            crc = crc >> 1 ^ (_CRC32C if crc & 1 else 0)
    return crc


@_both(_crc32c_step)
def _crc32c_native(typingctx, crc, word):
    def codegen(context, builder, signature, arguments):
        name = "llvm.x86.sse42.crc32.64.64"
        function = builder.module.globals.get(name) or ir.Function(
            builder.module, ir.FunctionType(_I64, [_I64, _I64]), name)
        return builder.call(function, list(arguments))
    return _INT(_INT, _INT), codegen


if HAS_CRC32C or numba.config.DISABLE_JIT:
    crc32c_step = _crc32c_native
else:
    @numba.njit
    def crc32c_step(crc, word):
        """CRC-32C (RFC 3720) of 8 more octets, without the initial and final inversion."""
        for shift in range(0, 64, 8):
            crc ^= word >> shift & 0xFF
            for _ in range(8):
                crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        return crc


class _Fields:
    """Fields of a record, or elements of one field, as integers that wrap when they are stored."""

    def __init__(self, values):
        self._values = values

    def __getitem__(self, key):
        value = self._values[key]
        if isinstance(value, np.ndarray):
            return _Fields(value)
        return int(value) if isinstance(value, np.integer) else value

    def __setitem__(self, key, value):
        kind = self._values.dtype[key] if isinstance(key, str) else self._values.dtype
        if kind.kind in "iu":
            bits = 8 * kind.itemsize
            value = int(value) & (1 << bits) - 1
            value -= (kind.kind == "i" and value >> bits - 1) << bits
        self._values[key] = value

    def __len__(self):
        return len(self._values)


def view(dtype):
    """Return ``at(address)``: the record of structured ``dtype`` that lies at an address.

    Fields are read and written in place, as ``row["price"]``; nothing is copied or counted.
    """
    dtype = np.dtype(dtype)
    record = numba.from_dtype(dtype)

    def at_python(address):
        octets = (ctypes.c_char * dtype.itemsize).from_address(int(address))
        return _Fields(np.frombuffer(octets, dtype)[0])

    def at(typingctx, address):
        def codegen(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(record))
        return record(_INT), codegen
    return at_python if numba.config.DISABLE_JIT else intrinsic(at)


def _external(name, python, *kinds):
    """A C function of the process, callable from kernels; cacheable, unlike a ctypes pointer."""
    return python if numba.config.DISABLE_JIT else types.ExternalFunction(
        name, types.int64(*kinds))


_libc = ctypes.CDLL(None, use_errno=True)


def _c_function(name, *kinds):
    function = getattr(_libc, name)
    function.argtypes, function.restype = kinds, ctypes.c_ssize_t
    return lambda *arguments: function(*(int(argument) for argument in arguments))


recv = _external("recv", _c_function("recv", ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t,
                                     ctypes.c_int), types.int32, _INT, _INT, types.int32)
send = _external("send", _c_function("send", ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t,
                                     ctypes.c_int), types.int32, _INT, _INT, types.int32)
c_poll = _external("poll", _c_function("poll", ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int),
                   _INT, _INT, types.int32)
c_usleep = _external("usleep", _c_function("usleep", ctypes.c_uint), types.uint32)
recvfrom = _external(
    "recvfrom", _c_function("recvfrom", ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t,
                            ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p),
    types.int32, _INT, _INT, types.int32, _INT, _INT)
sendto = _external(
    "sendto", _c_function("sendto", ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
                          ctypes.c_void_p, ctypes.c_uint),
    types.int32, _INT, _INT, types.int32, _INT, types.uint32)
c_ppoll = _external("ppoll", _c_function("ppoll", ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p,
                                         ctypes.c_void_p), _INT, _INT, _INT, _INT)


def _nanoseconds(clock):
    """Read a POSIX clock in nanoseconds: CLOCK_REALTIME or CLOCK_MONOTONIC."""
    import time
    return time.clock_gettime_ns(int(clock))


@_both(_nanoseconds)
def nanoseconds(typingctx, clock):
    def codegen(context, builder, signature, arguments):
        kind = ir.ArrayType(_I64, 2)
        function_kind = ir.FunctionType(_I32, [_I32, kind.as_pointer()])
        function = builder.module.globals.get("clock_gettime") or ir.Function(
            builder.module, function_kind, "clock_gettime")
        with builder.goto_entry_block():
            pair = builder.alloca(kind)
        builder.call(function, [builder.trunc(arguments[0], _I32), pair])
        seconds, rest = (builder.load(builder.gep(pair, [_constant(0, _I32), _constant(i, _I32)]))
                         for i in (0, 1))
        return builder.add(builder.mul(seconds, _constant(1_000_000_000)), rest)
    return _INT(_INT), codegen


def _call3(function, first, second, third):
    """Call the C function ``int64(int64, int64, int64)`` at an address."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 3)
    return kind(int(function))(int(first), int(second), int(third))


@_both(_call3)
def call3(typingctx, function, first, second, third):
    def codegen(context, builder, signature, arguments):
        kind = ir.FunctionType(_I64, [_I64] * 3)
        return builder.call(_pointer(builder, arguments[0], kind), list(arguments[1:]))
    return _INT(_INT, _INT, _INT, _INT), codegen


def _match4(address, key, mask):
    """Mask of the four 8-octet words at a 32-octet aligned address that are ``key`` in ``mask``."""
    words = np.frombuffer(ctypes.string_at(int(address), 32), np.int64)
    return sum(1 << way for way in range(4) if int(words[way]) & int(mask) == key)


@_both(_match4)
def match4(typingctx, address, key, mask):
    def codegen(context, builder, signature, arguments):
        kind = ir.VectorType(_I64, 4)
        undefined = ir.Constant(kind, ir.Undefined)
        key, mask = (builder.shuffle_vector(
            builder.insert_element(undefined, value, _constant(0, _I32)), undefined,
            ir.Constant(ir.VectorType(_I32, 4), [0] * 4)) for value in arguments[1:])
        words = builder.load(_pointer(builder, arguments[0], kind))
        words.align = 32
        equal = builder.icmp_unsigned("==", builder.and_(words, mask), key)
        return builder.zext(builder.bitcast(equal, ir.IntType(4)), _I64)
    return _INT(_INT, _INT, _INT), codegen
