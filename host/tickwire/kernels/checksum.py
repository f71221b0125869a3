"""CRC-32C (RFC 3720) of intents and of the limits table."""

from tickwire.kernels.jit import kernel
from tickwire.kernels.memory import crc32c_step, load32, load64

_MASK = 0xFFFF_FFFF
CRC_OFFSET = 52                            # where an intent keeps its CRC


@kernel
def crc32c(address, octets):
    """CRC-32C of ``octets``, a multiple of 8, at ``address``."""
    crc = _MASK
    for offset in range(0, octets, 8):
        crc = crc32c_step(crc, load64(address + offset))
    return crc ^ _MASK


@kernel(inline=True)
def crc32c_intent(address, last):
    """CRC-32C of the 60 octets of the intent at ``address`` that are not its CRC.

    Of them the last 8, epoch and sequence, are given: the host writes them after the CRC.
    """
    crc = _MASK
    for offset in range(0, CRC_OFFSET - 4, 8):
        crc = crc32c_step(crc, load64(address + offset))
    # Octets 48 to 51 and the epoch make one word. Of the sequence only half a word is left: eight
    # octets whose first four are zero, begun from zero, step by four octets alone.
    crc = crc32c_step(crc, load32(address + CRC_OFFSET - 4) | (last & _MASK) << 32)
    crc = crc32c_step(0, (crc ^ (last >> 32 & _MASK)) << 32)
    return crc ^ _MASK
