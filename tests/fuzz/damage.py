"""Ways in which bytes get damaged, whatever they are. All by a seeded `random.Random`."""

from collections.abc import Callable, Sequence
from random import Random

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Most of what a parser trusts stands near the beginning.
_HEAD_BYTES = 600


def damaged(data: bytes, chance: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return `data` damaged in one to three ways; `others` may lend it pieces of theirs."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice(_WAYS)(data or b"\0", chance, others or (data,))
    return data


def _flip_bits(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    mutant = bytearray(data)
    for _time in range(chance.choice((1, 1, 2, 8, 64))):
        mutant[_place(mutant, chance)] ^= 1 << chance.randrange(8)
    return bytes(mutant)


def _set_bytes(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    mutant = bytearray(data)
    for _time in range(chance.choice((1, 2, 5))):
        mutant[_place(mutant, chance)] = chance.choice((0, 0xFF, 0x7F, 0x80, chance.randrange(256)))
    return bytes(mutant)


def _set_number(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    """Put a number that lengths and counts are rarely tried with where one may stand."""
    mutant = bytearray(data)
    width = chance.choice((1, 2, 4, 8))
    number = chance.choice((*_NUMBERS, len(data), len(data) + 1)) % (1 << 8 * width)
    at = _place(mutant, chance)
    mutant[at : at + width] = number.to_bytes(width, chance.choice(("big", "little")))
    return bytes(mutant)


def _truncate(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    return data[: chance.randrange(len(data))]


def _drop(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    at = _place(data, chance)
    return data[:at] + data[at + chance.choice((1, 2, 7, 40, 400)) :]


def _repeat(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    start, at = chance.randrange(len(data)), _place(data, chance)
    piece = data[start : start + chance.choice((1, 4, 20, 200))]
    return data[:at] + piece * chance.choice((1, 1, 3, 100)) + data[at:]


def _insert(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    at = _place(data, chance)
    return data[:at] + chance.randbytes(chance.choice((1, 3, 16, 200))) + data[at:]


def _splice(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    """Go on as another file from some place on."""
    other = chance.choice(others)
    return data[: chance.randrange(len(data))] + other[chance.randrange(len(other) or 1) :]


def _borrow(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    other = chance.choice(others)
    start, at = chance.randrange(len(other) or 1), _place(data, chance)
    return data[:at] + other[start : start + chance.choice((4, 30, 300))] + data[at:]


def _append(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    return data + chance.choice((bytes(1000), chance.randbytes(300), chance.choice(others)))


def _place(data: bytes | bytearray, chance: Random) -> int:
    return chance.randrange(min(len(data), _HEAD_BYTES) if chance.random() < 0.7 else len(data))


_WAYS: tuple[Callable[[bytes, Random, Sequence[bytes]], bytes], ...] = (
    _flip_bits, _set_bytes, _set_number, _truncate, _drop, _repeat, _insert, _splice, _borrow, _append,
)  # fmt: skip
