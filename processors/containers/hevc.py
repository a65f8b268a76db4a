"""Reads the coded size out of an HEVC decoder configuration (ISO/IEC 14496-15, ITU H.265 section 7.3).

A HEIC file states its size twice: as a property of the item, and within the coded picture. Only the latter
decides how much memory the decoder takes.
"""

from processors.containers.structure import corrupt

_SEQUENCE_PARAMETER_SET = 33
_MAX_SET_BYTES = 1024


def coded_size(configuration: bytes) -> tuple[int, int]:
    """Return width and height of the first sequence parameter set; without one raises InputError (corrupt)."""
    unit = _find_unit(configuration)
    if unit is None:
        raise corrupt("the HEIC's decoder configuration has no sequence parameter set")
    bits = _Bits(unit[2:_MAX_SET_BYTES].replace(b"\0\0\3", b"\0\0"))
    bits.skip(4)
    sub_layers = bits.read(3)
    bits.skip(1 + 96)  # nesting flag; general profile, tier and level
    present = [(bits.read(1), bits.read(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.skip(2 * (8 - sub_layers))
    bits.skip(sum(88 * profile + 8 * level for profile, level in present))
    bits.unsigned()  # the set's own number
    if bits.unsigned() == 3:  # noqa: PLR2004 - 4:4:4 has a further flag
        bits.skip(1)
    width, height = bits.unsigned(), bits.unsigned()
    if bits.exhausted or not width or not height:
        raise corrupt("the HEIC's sequence parameter set is damaged")
    return width, height


def _find_unit(configuration: bytes) -> bytes | None:
    position = 23
    for _ in range(configuration[22] if len(configuration) > position else 0):
        kind = configuration[position] & 0x3F if position < len(configuration) else 0
        count = int.from_bytes(configuration[position + 1 : position + 3], "big")
        position += 3
        for _ in range(count):
            length = int.from_bytes(configuration[position : position + 2], "big")
            if position + 2 + length > len(configuration) or not length:
                return None
            if kind == _SEQUENCE_PARAMETER_SET:
                return configuration[position + 2 : position + 2 + length]
            position += 2 + length
    return None


class _Bits:
    """Reads bits, the highest first; zeros follow after the end, and `exhausted` then says so."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = len(data) * 8
        self.exhausted = False

    def read(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            self.exhausted = True
            return 0
        return self._number >> self._left & ((1 << count) - 1)

    def skip(self, count: int) -> None:
        self._left -= count

    def unsigned(self) -> int:
        """Read an Exp-Golomb number."""
        zeros = 0
        while zeros < 32 and not self.exhausted and not self.read(1):  # noqa: PLR2004 - no field is longer
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)
