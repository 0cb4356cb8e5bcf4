"""Cases that cost far more than they weigh, each by another means; the workers must outlast all."""

from __future__ import annotations

import struct

from fuzz.hostile import (
    flac_of_constants,
    mp4_of_edits,
    ogg_opus_of_tiny_packets,
    webm_of_tiny_blocks,
)
from fuzz.mutations import Case
from fuzz.seeds import Kind, encode

# RFC 6716, section 3.1: CELT of 2.5 ms without a byte of sound; 48 frames of them in a packet.
OPUS_SHORTEST = b"\x80"
OPUS_MOST_FRAMES = b"\x83\x30"


def costly_cases(first_number: int) -> list[Case]:
    """Numbered from `first_number`."""
    files = costly_files()
    return [
        Case(first_number + place, name, ("costly",), data, "split")
        for place, (name, data) in enumerate(files.items())
    ]


def costly_files() -> dict[str, bytes]:
    """Contents by name."""
    movie = encode(Kind("short.mp4", "mp4", "aac"))
    return {
        "rate-beyond.flac": flac_of_constants(655_350, 8, 300.0),
        "rate-highest.flac": flac_of_constants(384_000, 8, 60.0),
        "long.flac": flac_of_constants(48_000, 8, 300.0),
        "rate-highest.wav": _wav(rate_hz=384_000, channels=8, seconds=1.0),
        "rate-absurd.wav": _wav(rate_hz=0x7FFFFFFF, channels=1, seconds=0.0001),
        "channels-64.wav": _wav(rate_hz=8000, channels=64, seconds=1.0),
        "shortest-packets.ogg": ogg_opus_of_tiny_packets(100_000, OPUS_SHORTEST),
        "bad-packets.ogg": ogg_opus_of_tiny_packets(100_000, b"\xff"),
        "tiny-blocks.webm": webm_of_tiny_blocks(100_000, OPUS_SHORTEST),
        "many-frames.webm": webm_of_tiny_blocks(20_000, OPUS_MOST_FRAMES + bytes(48)),
        "empty-blocks.webm": webm_of_tiny_blocks(200_000, b""),
        "edits.mp4": mp4_of_edits(movie, 3_000),
        "too-many-edits.mp4": mp4_of_edits(movie, 100_000),
    }


def _wav(*, rate_hz: int, channels: int, seconds: float) -> bytes:
    """Noise of 16 bits."""
    data = bytes(range(256)) * (round(rate_hz * seconds) * channels * 2 // 256)
    block = channels * 2
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, channels, rate_hz,
        rate_hz * block & 0xFFFFFFFF, block, 16, b"data", len(data),
    )  # fmt: skip
    return head + data
