"""The packets of one track of an untrusted file, and where some are missing."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

# Container overhead between two packets is smaller, a damaged page or cluster is larger.
_SKIPPED_BYTES: Final = 1024


@dataclass(frozen=True)
class Lost:
    """A part of `seconds` that could not be read; 0: unknown. `ends_file`: the file ends in it."""

    seconds: float
    ends_file: bool = False


def packets(
    container: InputContainer, stream: AudioStream, check: Callable[[], None] = lambda: None
) -> Iterator[Packet[AudioStream] | Lost]:
    """The track's packets, with `Lost` in place of damaged ones; stops at a damaged end. `check` is
    called for every packet, including those of other tracks.
    """
    ledger = _Ledger() if _is_resynced(container) else None
    demuxed: Iterator[Packet[Any]] = (
        container.demux(stream) if ledger is None else container.demux()
    )
    index = stream.index
    short_seconds: float | None = None  # of a packet that is not whole
    while True:
        check()
        try:
            packet = next(demuxed, None)
        except IndexError:
            # In MPEG and FLV files tracks may appear after the start. PyAV does not know them and
            # raises at the end, after the last packet of the tracks that it knows.
            packet = None
        except (av.FFmpegError, OSError) as error:
            if not is_about_the_file(error):
                raise
            # A truncated or damaged end: the part before it is still transcribed.
            yield Lost(0.0, ends_file=True)
            return
        if short_seconds is not None and (packet is None or packet.size):
            yield Lost(short_seconds, ends_file=packet is None)
            short_seconds = None
        if packet is None:
            return
        if ledger is not None and ledger.skips(packet.pos, packet.size):
            yield Lost(0.0)
        if packet.stream_index != index:
            continue
        if packet.is_corrupt:
            short_seconds = seconds_of(packet)
        yield packet


def seconds_of(packet: Packet[AudioStream]) -> float:
    """Duration of a packet by its container; 0 if unknown."""
    if not packet.duration or packet.time_base is None:
        return 0.0
    return float(packet.duration * packet.time_base)


def is_about_the_file(error: Exception) -> bool:
    """True for FFmpeg's errors and, of the system's own, a seek to an invalid offset."""
    return isinstance(error, av.FFmpegError) or getattr(error, "errno", None) == errno.EINVAL


def _is_resynced(container: InputContainer) -> bool:
    """Formats in which FFmpeg skips damage without an error, and packets follow one another."""
    name = container.format.name
    return name == "ogg" or "matroska" in name


class _Ledger:
    """Finds bytes between packets that belong to none, which FFmpeg has skipped."""

    def __init__(self) -> None:
        self._at = -1
        self._end = 0

    def skips(self, pos: int | None, size: int) -> bool:
        """Whether much of the file lies between the packet before and this one, `size` at `pos`.

        Packets of one Ogg page all stand at the page's place.
        """
        if pos is None or pos < 0:
            return False
        if pos == self._at:
            self._end += size
            return False
        skipped = pos - self._end if self._at >= 0 else 0
        self._at, self._end = pos, pos + size
        return skipped > _SKIPPED_BYTES
