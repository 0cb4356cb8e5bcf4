"""Damage, by a seed. Pure: the same seed, number and files give the same bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MAX_BYTES = 512 * 1024
HEAD_BYTES = 512
MOST_DAMAGES = 4
WHOLE_SHARE = 0.02  # of the cases are left as they are: they must complete

_INTEGERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_FLOATS = (0.0, -1.0, 1e300, float("inf"), float("nan"))
# What stands before sizes, counts and durations in the containers' own headers.
_MARKS = (
    b"fmt ", b"data", b"fact", b"LIST", b"fLaC", b"OggS", b"OpusHead", b"\x01vorbis", b"Xing",
    b"Info", b"ID3", b"ftyp", b"moov", b"mvhd", b"tkhd", b"mdhd", b"stsd", b"stts", b"stsc",
    b"stsz", b"stco", b"esds", b"alac", b"moof", b"traf", b"trun", b"tfhd", b"mdat", b"#!AMR",
    b"\x44\x89", b"\x1a\x45\xdf\xa3", b"\x1f\x43\xb6\x75", b"\x16\x54\xae\x6b", b"\xb5",
)  # fmt: skip

Damage = Callable[[random.Random, bytearray, list[bytes]], None]


@dataclass(frozen=True)
class Case:
    """One file to submit; `whole`: nothing was done to it."""

    number: int
    source: str
    damages: tuple[str, ...]
    data: bytes
    channels: str

    @property
    def whole(self) -> bool:
        return not self.damages

    @property
    def name(self) -> str:
        return f"{self.number:06}-{self.source}"


def draw(seed: int, number: int, sources: Mapping[str, bytes]) -> Case:
    """Case `number` of a seed: a source with one to four damages."""
    chance = random.Random(f"{seed}:{number}")
    source = chance.choice(sorted(sources))
    data, others = bytearray(sources[source]), [sources[name] for name in sorted(sources)]
    channels = chance.choice(("mix", "split"))
    if chance.random() < WHOLE_SHARE:
        return Case(number, source, (), bytes(data), channels)
    head = _spared_head(chance, data)
    del data[: len(head)]
    damages = chance.choices(DAMAGES, k=chance.randint(1, MOST_DAMAGES))
    for damage in damages:
        damage(chance, data, others)
        del data[MAX_BYTES:]
    names = tuple(damage.__name__ for damage in damages)
    return Case(number, source, names, head + bytes(data), channels)


def flip_bits(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    for _ in range(chance.randint(1, 40)):
        if data:
            data[_place(chance, data)] ^= 1 << chance.randrange(8)


def set_bytes(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    for _ in range(chance.randint(1, 20)):
        if data:
            data[_place(chance, data)] = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))


def cut_off(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    del data[chance.randint(0, len(data)) :]


def cut_out(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    start, end = _range(chance, data)
    del data[start:end]


def insert(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    at = _place(chance, data)
    data[at:at] = chance.randbytes(chance.randint(1, 300))


def duplicate(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    start, end = _range(chance, data)
    data[end:end] = data[start:end] * chance.randint(1, 8)


def garble(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    start, end = _range(chance, data)
    data[start:end] = chance.randbytes(end - start)


def extreme_field(chance: random.Random, data: bytearray, _others: list[bytes]) -> None:
    """A size, count, rate or duration in a header becomes as small, large or odd as can be."""
    for _ in range(chance.randint(1, 3)):
        at = _after_mark(chance, data)
        order = chance.choice("<>")
        match chance.choice("BHIQd"):
            case "d":
                value = struct.pack(f"{order}d", chance.choice(_FLOATS))
            case "Q":
                value = struct.pack(f"{order}Q", chance.choice((*_INTEGERS, 2**63 - 1, 2**64 - 1)))
            case width:
                limit = 256 ** struct.calcsize(width)
                value = struct.pack(f"{order}{width}", chance.choice(_INTEGERS) % limit)
        data[at : at + len(value)] = value


def splice(chance: random.Random, data: bytearray, others: list[bytes]) -> None:
    """The head of one file, the tail of another."""
    other = chance.choice(others)
    data[chance.randint(0, len(data)) :] = other[chance.randint(0, len(other)) :]


def chain(chance: random.Random, data: bytearray, others: list[bytes]) -> None:
    """One whole file after another."""
    data += chance.choice(others)


DAMAGES: tuple[Damage, ...] = (
    flip_bits, set_bytes, cut_off, cut_out, insert, duplicate, garble,
    extreme_field, extreme_field, extreme_field, splice, chain,
)  # fmt: skip


def _spared_head(chance: random.Random, data: bytearray) -> bytes:
    """Half of the files keep enough of their head to be accepted: they are the workers' trouble."""
    if chance.random() < 0.5:
        return b""
    return bytes(data[: chance.randint(len(data) // 8, len(data) * 3 // 4)])


def _place(chance: random.Random, data: bytearray) -> int:
    """Anywhere, but half of the time in the head, where most decisions are made."""
    reach = min(len(data), HEAD_BYTES) if chance.random() < 0.5 else len(data)
    return chance.randrange(reach) if reach else 0


def _range(chance: random.Random, data: bytearray) -> tuple[int, int]:
    start = _place(chance, data)
    return start, min(len(data), start + chance.randint(1, 2000))


def _after_mark(chance: random.Random, data: bytearray) -> int:
    places = [at for mark in _MARKS if (at := data.find(mark)) >= 0]
    if not places or chance.random() < 0.3:
        return _place(chance, data)
    return chance.choice(places) + chance.randint(0, 32)
