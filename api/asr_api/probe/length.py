"""Estimates a file's duration for planning; decoding determines the exact one.

The header's duration is used if the file size makes it plausible. Otherwise packets are counted
without decoding, within the probe's time limit.
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

# Bounds over all supported codecs: bytes per second of speech, and bytes per sample.
_LEAST_BYTES_PER_SECOND: Final = 500.0
_MOST_SAMPLE_BYTES: Final = 8
# Tags come on top.
_SPARE_BYTES: Final = 1024 * 1024
# The share of a probe's CPU time that counting may use.
_COUNTING_SHARE: Final = 0.5


@dataclass
class _Count:
    """`seconds` seen so far; `is_whole` once there are no more packets."""

    seconds: float = 0.0
    is_whole: bool = False


def estimated_seconds(
    container: InputContainer, stream: AudioStream, size_bytes: int, limits: ProbeLimits
) -> float:
    """Seconds of audio; 0 if there is none. Raises AudioTooLong only for counted packets or exact
    headers, never for a claimed duration.
    """
    claimed = _header_seconds(container, stream, size_bytes)
    max_seconds = limits.max_duration_seconds
    if claimed is not None and _is_exact(container, stream):
        seconds = claimed
    elif (
        claimed and claimed <= max_seconds and _is_possible(claimed, container, stream, size_bytes)
    ):
        return claimed
    else:
        count = _counted(container, stream, size_bytes, limits)
        seconds = count.seconds or claimed or 0.0
        if not count.is_whole and (claimed is None or claimed <= max_seconds):
            seconds = min(
                seconds, max_seconds
            )  # only the beginning was counted: not enough to refuse
    if seconds > max_seconds:
        raise AudioTooLong(
            f"The audio lasts {seconds:.0f} s or more; {max_seconds:.0f} s are allowed."
        )
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
    """Bytes per sample in the file, before decoding: `pcm_s24le` 3, `pcm_mulaw` 1."""
    bits = "".join(filter(str.isdigit, pcm_codec))
    return int(bits) // 8 if bits else 1


def _is_exact(container: InputContainer, stream: AudioStream) -> bool:
    """Whether duration follows exactly from the byte count."""
    is_pcm = stream.codec_context.name.startswith("pcm_")
    return is_pcm and container.format.name in ("wav", "w64", "aiff", "au", "caf")


def _is_possible(
    seconds: float, container: InputContainer, stream: AudioStream, size_bytes: int
) -> bool:
    """Whether the file size is plausible for this duration: neither too small nor far too large."""
    codec = stream.codec_context
    most_bytes = codec.sample_rate * codec.channels * _MOST_SAMPLE_BYTES
    is_full = not container.streams.video and size_bytes > _SPARE_BYTES + seconds * most_bytes
    is_thin = size_bytes < seconds * _LEAST_BYTES_PER_SECOND
    return not is_full and not is_thin


def _counted(
    container: InputContainer, stream: AudioStream, size_bytes: int, limits: ProbeLimits
) -> _Count:
    """End of the last packet, extrapolated from the share of the file read within the limit."""
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
        pass  # e.g. between two concatenated recordings: the decoder may well continue
    if place:
        count.seconds = max(count.seconds, count.seconds * size_bytes / place)
    return count


def _ends(container: InputContainer, stream: AudioStream) -> Iterator[tuple[float, int]]:
    """Seconds up to the end of each packet, by its clock or by all durations, and its place.

    A single wrong timestamp is ignored: the next packet has to confirm it.
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
