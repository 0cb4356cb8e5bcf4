"""Files that are valid and cost far more to decode than they weigh, written byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Iterator

FLAC_BLOCK = 65_535


def flac_of_constants(
    rate_hz: int, channels: int, seconds: float, *, told_seconds: float = 1.0
) -> bytes:
    """Frames of constant subframes, 3 bytes for 65,535 samples of a channel (RFC 9639): 350 bytes a
    second at the highest rate. The header tells another length. A level for each channel, so that
    nothing of it is silence.
    """
    head = (rate_hz << 44) | (channels - 1) << 41 | 15 << 36 | round(told_seconds * rate_hz)
    info = struct.pack(">HH6x", FLAC_BLOCK, FLAC_BLOCK) + head.to_bytes(8) + bytes(16)
    parts = [b"fLaC\x80", len(info).to_bytes(3), info]
    subframes = b"".join(struct.pack(">xh", 100 + channel) for channel in range(channels))
    for number in range(round(seconds * rate_hz) // FLAC_BLOCK):
        # 16 bits for the block's size, and the rate as the stream's header has it.
        frame = bytes([0xFF, 0xF8, 0x70, (channels - 1) << 4 | 0x8]) + _coded(number)
        frame += struct.pack(">H", FLAC_BLOCK - 1)
        frame += bytes([_crc(frame, 8, 0x07)]) + subframes
        parts.append(frame + _crc(frame, 16, 0x8005).to_bytes(2))
    return b"".join(parts)


def webm_of_tiny_blocks(blocks: int, content: bytes) -> bytes:
    """Opus in WebM (RFC 9559), in blocks of so many bytes each that all begin at second 0."""
    head = _element(0x4282, b"webm") + _element(0x4287, b"\x02") + _element(0x4285, b"\x02")
    opus_head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 0, 48_000, 0, 0)
    sound = _element(0xB5, struct.pack(">d", 48_000.0)) + _element(0x9F, b"\x01")
    track = b"".join(
        (
            _element(0xD7, b"\x01"), _element(0x73C5, b"\x01"), _element(0x83, b"\x02"),
            _element(0x86, b"A_OPUS"), _element(0x63A2, opus_head), _element(0xE1, sound),
        )
    )  # fmt: skip
    block = _element(0xA3, b"\x81\0\0\x80" + content)
    info = _element(0x1549A966, _element(0x2AD7B1, (1_000_000).to_bytes(3)))
    cluster = _element(0x1F43B675, _element(0xE7, b"\0") + block * blocks)
    tracks = _element(0x1654AE6B, _element(0xAE, track))
    return _element(0x1A45DFA3, head) + _element(0x18538067, info + tracks + cluster)


def ogg_opus_of_tiny_packets(packets: int, packet: bytes) -> bytes:
    """Pages of 255 packets (RFC 3533, RFC 7845)."""
    heads = (
        struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 0, 48_000, 0, 0),
        b"OpusTags" + bytes(8),
    )
    pages = [_page(number, number == 0, [head]) for number, head in enumerate(heads)]
    numbers = range(len(heads), len(heads) + packets // 255)
    pages += [_page(number, False, [packet] * 255) for number in numbers]
    return b"".join(pages)


def mp4_of_edits(movie: bytes, edits: int) -> bytes:
    """A movie whose first track plays its first second again and again (ISO/IEC 14496-12, 8.6.6),
    which takes 12 bytes a time.
    """
    entries = struct.pack(">IiI", 1000, 0, 0x10000) * edits
    edit_list = _box(b"edts", _box(b"elst", struct.pack(">II", 0, edits) + entries))
    return b"".join(_with_edits(movie, edit_list))


def _with_edits(boxes: bytes, edit_list: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(boxes):
        size, name = struct.unpack_from(">I4s", boxes, at)
        content = boxes[at + 8 : at + size]
        if name in (b"moov", b"trak"):
            content = b"".join(_with_edits(content, edit_list))
        if name != b"edts":
            yield _box(name, content)
        if name == b"tkhd":
            yield edit_list
        at += size


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _element(name: int, content: bytes) -> bytes:
    size = (len(content) | 1 << 56).to_bytes(8)
    if len(content) < 127:
        size = bytes([0x80 | len(content)])
    return name.to_bytes((name.bit_length() + 7) // 8) + size + content


def _page(number: int, is_first: bool, packets: list[bytes]) -> bytes:
    flags = 2 if is_first else 0
    head = struct.pack("<4sBBqII", b"OggS", 0, flags, 0, 1, number)
    lengths = bytes([len(packets), *(len(packet) for packet in packets)])
    content = lengths + b"".join(packets)
    checksum = _crc(head + bytes(4) + content, 32, 0x04C11DB7)
    return head + struct.pack("<I", checksum) + content


def _coded(number: int) -> bytes:
    """As UTF-8 codes a character."""
    return chr(number).encode("utf-8", "surrogatepass")


def _crc(data: bytes, bits: int, polynomial: int) -> int:
    """The most significant bit first, from 0."""
    mask, value = (1 << bits) - 1, 0
    for byte in data:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> (bits - 1) else 0)) & mask
    return value
