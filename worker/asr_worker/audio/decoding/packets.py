"""The packets of a track in a file that nobody trusts, and where some are missing."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

# What containers put between two packets is less; a page or cluster that was damaged is more.
_SKIPPED_BYTES: Final = 1024


@dataclass(frozen=True)
class Lost:
    """Here something could not be read that lasts `seconds`; 0: not known. `ends_file`: the file
    ends in the middle of it.
    """

    seconds: float
    ends_file: bool = False


def packets(
    container: InputContainer, stream: AudioStream, check: Callable[[], None] = lambda: None
) -> Iterator[Packet[AudioStream] | Lost]:
    """The track's packets, with `Lost` where damage took some. A damaged end ends them. `check` is
    called for every packet, those of other tracks included.
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
            # In MPEG and FLV files tracks may appear later than the beginning. PyAV does not know
            # them, and trips over them at the very end, after the last packet of those it knows.
            packet = None
        except (av.FFmpegError, OSError) as error:
            if not is_about_the_file(error):
                raise
            # A truncated or damaged end: what came before it is still a recording.
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
    """How long a packet lasts by its container; 0 where it does not say."""
    if not packet.duration or packet.time_base is None:
        return 0.0
    return float(packet.duration * packet.time_base)


def is_about_the_file(error: Exception) -> bool:
    """FFmpeg's errors are; of the system's own, a seek to a place that no file has."""
    return isinstance(error, av.FFmpegError) or getattr(error, "errno", None) == errno.EINVAL


def _is_resynced(container: InputContainer) -> bool:
    """Of these FFmpeg passes over what is damaged without an error, and nothing else is between."""
    name = container.format.name
    return name == "ogg" or "matroska" in name


class _Ledger:
    """Accounts for the bytes of a file: those between packets that belong to none were skipped."""

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
