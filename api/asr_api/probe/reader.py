"""Reads an audio file's properties with PyAV. Runs in the probe process only.

FFmpeg gets an open file, not a name, and only the `file` protocol and the demuxers and decoders
that core lists.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import av

from asr_api.probe.length import estimated_seconds
from asr_api.probe.packets import packets
from asr_api.probe.report import ProbeLimits, ProbeReport
from asr_api.probe.sniff import SNIFF_BYTES, looks_like_audio, other_format
from asr_core.containers import SAMPLE_RATES_HZ, SERVED, open_options
from asr_core.errors import (
    EmptyAudio,
    PermanentTaskError,
    UnreadableAudio,
    UnsupportedAudio,
)
from asr_core.tracks import AudioTrack, choose_track

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_CONTENT_TYPES = {
    "wav": "audio/wav", "w64": "audio/x-w64", "flac": "audio/flac", "mp3": "audio/mpeg",
    "ogg": "audio/ogg", "matroska": "audio/webm", "mov": "audio/mp4", "aac": "audio/aac",
    "amr": "audio/amr", "aiff": "audio/aiff", "caf": "audio/x-caf", "au": "audio/basic",
    "asf": "audio/x-ms-wma", "mpegts": "video/mp2t", "mpeg": "video/mpeg",
    "avi": "video/x-msvideo", "flv": "video/x-flv", "ac3": "audio/ac3", "eac3": "audio/eac3",
    "wv": "audio/x-wavpack",
}  # fmt: skip
_DECODED_PACKETS_MAX = 64


def read_report(path: Path, limits: ProbeLimits, track: int | None = None) -> ProbeReport:
    """Open, decode the first frames of a track (from 1; None: chosen), and estimate the
    duration.

    Raises UnsupportedAudio, UnreadableAudio, EmptyAudio, AudioTooLong; InvalidOption if there is no
    such track.
    """
    with path.open("rb") as file:
        head = file.read(SNIFF_BYTES)
        file.seek(0)
        if not head:
            raise EmptyAudio("The file is empty.")
        served = looks_like_audio(head)
        try:
            with av.open(
                file, mode="r", metadata_errors="ignore", options=open_options()
            ) as container:
                return _report(container, path, limits, track)
        except PermanentTaskError as error:
            if isinstance(error, UnreadableAudio) and not served:
                raise _unsupported(head) from error
            raise
        except (av.FFmpegError, ValueError, OverflowError, OSError) as error:
            if isinstance(error, OSError) and not _is_about_the_file(error):
                raise
            if served:
                raise UnreadableAudio(f"The audio cannot be read: {_reason(error)}.") from error
            raise _unsupported(head) from error


def _unsupported(head: bytes) -> UnsupportedAudio:
    name = other_format(head)
    problem = f"{name} is not supported" if name else "The file is not audio"
    return UnsupportedAudio(f"{problem}; supported formats: {SERVED}.")


def _report(
    container: InputContainer, path: Path, limits: ProbeLimits, track: int | None
) -> ProbeReport:
    streams = container.streams.audio
    if not streams:
        raise UnsupportedAudio("The file has no audio track.")
    stream = streams[choose_track([AudioTrack.of(one) for one in streams], track)]
    codec = stream.codec_context
    if not 1 <= codec.channels <= limits.max_channels:
        raise UnreadableAudio(
            f"The audio has {codec.channels} channels; 1 to {limits.max_channels} are supported."
        )
    if codec.sample_rate <= 0:
        raise UnreadableAudio("The audio has no sample rate.")
    if codec.sample_rate not in SAMPLE_RATES_HZ:
        raise UnreadableAudio(
            f"The audio has a sample rate of {codec.sample_rate} Hz;"
            f" {SAMPLE_RATES_HZ[0]} to {SAMPLE_RATES_HZ[-1]} are supported."
        )
    samples = _decode_first(container, stream)
    duration_seconds = estimated_seconds(container, stream, path.stat().st_size, limits)
    if duration_seconds <= 0 or not samples:
        raise EmptyAudio("The audio has no samples.")
    name = container.format.name.split(",")[0]
    return ProbeReport(
        container=name,
        codec=codec.name,
        channels=codec.channels,
        sample_rate_hz=codec.sample_rate,
        duration_seconds=duration_seconds,
        content_type=_CONTENT_TYPES.get(name, "application/octet-stream"),
    )


def _decode_first(container: InputContainer, stream: AudioStream) -> int:
    """Samples of the first frame that decodes. Raises UnreadableAudio when packets come but no
    frame does.
    """
    failure: av.FFmpegError | None = None
    for count, packet in enumerate(packets(container, stream)):
        if count >= _DECODED_PACKETS_MAX:
            break
        try:
            frames = stream.decode(packet)
        except av.FFmpegError as error:
            failure = error
            continue
        samples = sum(frame.samples for frame in frames)
        if samples:
            return samples
    if failure is not None:
        raise UnreadableAudio(f"The audio cannot be decoded: {_reason(failure)}.") from failure
    return 0


def _is_about_the_file(error: OSError) -> bool:
    """True for FFmpeg's errors, and for EINVAL: a seek to an impossible offset."""
    return isinstance(error, av.FFmpegError) or error.errno == errno.EINVAL


def _reason(error: Exception) -> str:
    if isinstance(error, av.EOFError) or (isinstance(error, OSError) and error.errno == errno.EIO):
        return "it ends too early"
    text = error.strerror if isinstance(error, av.FFmpegError) else str(error)
    return (text or type(error).__name__).rstrip(".")
