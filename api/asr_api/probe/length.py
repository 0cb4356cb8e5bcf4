"""How long a file is, near enough to plan by: decoding knows better, and has the last word.

A header is believed where the file's size allows what it says. Otherwise packets are counted,
without decoding them, for as long as a probe may take.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av

from asr_api.probe.packets import packets
from asr_core.errors import AudioTooLong

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

    from asr_api.probe.report import ProbeLimits

# No codec that is served needs fewer bytes for a second of speech, and none more for a sample.
_LEAST_BYTES_PER_SECOND: Final = 500.0
_MOST_SAMPLE_BYTES: Final = 8
# Tags come on top.
_SPARE_BYTES: Final = 1024 * 1024
# Of a probe's processor time, what counting may take.
_COUNTING_SHARE: Final = 0.5


@dataclass
class _Count:
    """`seconds` seen so far; `is_whole` once there are no more packets."""

    seconds: float = 0.0
    is_whole: bool = False


def estimated_seconds(
    container: InputContainer, stream: AudioStream, size_bytes: int, limits: ProbeLimits
) -> float:
    """Seconds of audio; 0 if there is none. Raises AudioTooLong only on what was seen, never on
    what a header claims.
    """
    claimed = _header_seconds(container, stream, size_bytes)
    most = limits.max_duration_seconds
    if claimed is not None and _is_exact(container, stream):
        seconds = claimed
    elif claimed and claimed <= most and _is_possible(claimed, container, stream, size_bytes):
        return claimed
    else:
        count = _counted(container, stream, size_bytes, limits)
        seconds = count.seconds or claimed or 0.0
        if not count.is_whole and (claimed is None or claimed <= most):
            seconds = min(seconds, most)  # only the beginning was seen: not enough to refuse
    if seconds > most:
        raise AudioTooLong(f"The audio lasts {seconds:.0f} s or more; {most:.0f} s are allowed.")
    return seconds


def _header_seconds(
    container: InputContainer, stream: AudioStream, size_bytes: int
) -> float | None:
    """The duration the container states; PCM cannot last longer than its file has bytes for."""
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        seconds = container.duration / av.time_base
    else:
        return None
    if _is_exact(container, stream):
        codec = stream.codec_context
        byte_rate = codec.sample_rate * codec.channels * _sample_bytes(codec.name)
        seconds = min(seconds, size_bytes / byte_rate)
    return seconds if seconds > 0 else None


def _sample_bytes(pcm_codec: str) -> int:
    """As the file has it, not as it is decoded: of `pcm_s24le` 3, of `pcm_mulaw` 1."""
    bits = "".join(filter(str.isdigit, pcm_codec))
    return int(bits) // 8 if bits else 1


def _is_exact(container: InputContainer, stream: AudioStream) -> bool:
    """Whether bytes are seconds."""
    is_pcm = stream.codec_context.name.startswith("pcm_")
    return is_pcm and container.format.name in ("wav", "w64", "aiff", "au", "caf")


def _is_possible(
    seconds: float, container: InputContainer, stream: AudioStream, size_bytes: int
) -> bool:
    """Whether so many bytes can hold so many seconds, and of sound alone are not far too many."""
    codec = stream.codec_context
    most = codec.sample_rate * codec.channels * _MOST_SAMPLE_BYTES
    is_full = not container.streams.video and size_bytes > _SPARE_BYTES + seconds * most
    is_thin = size_bytes < seconds * _LEAST_BYTES_PER_SECOND
    return not is_full and not is_thin


def _counted(
    container: InputContainer, stream: AudioStream, size_bytes: int, limits: ProbeLimits
) -> _Count:
    """Where the last packet ends, or would by the share of the file that was seen in time."""
    give_up_at = time.process_time() + limits.cpu_seconds * _COUNTING_SHARE
    count, place = _Count(), 0
    try:
        container.seek(0)
        for seconds, at in _ends(container, stream):
            count.seconds, place = max(count.seconds, seconds), max(place, at)
            if count.seconds > limits.max_duration_seconds:
                count.is_whole = True  # more than enough
                return count
            if time.process_time() > give_up_at:
                break
        else:
            # FFmpeg takes the first of several recordings in an Ogg file for all of it.
            count.is_whole = container.format.name != "ogg" or place > 0.8 * size_bytes
            if count.is_whole:
                return count
    except (av.FFmpegError, OSError):
        pass  # between two recordings in one file, say: the decoder may well go on
    if place:
        count.seconds = max(count.seconds, count.seconds * size_bytes / place)
    return count


def _ends(container: InputContainer, stream: AudioStream) -> Iterator[tuple[float, int]]:
    """Seconds up to the end of each packet, by its clock or by all durations, and its place.

    One stamp that is wrong counts for nothing: the packet after it has to agree.
    """
    added_seconds = 0.0
    first: float | None = None
    before = 0.0
    for packet in packets(container, stream):
        if packet.time_base is None or not packet.size:
            continue
        lasts = float((packet.duration or 0) * packet.time_base)
        added_seconds += lasts
        end = added_seconds
        if packet.pts is not None:
            begins = float(packet.pts * packet.time_base)
            first = begins if first is None else min(first, begins)
            end = begins - first + lasts
        yield max(added_seconds, min(before, end)), max(packet.pos or 0, 0)
        before = end
