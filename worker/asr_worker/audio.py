"""The decoder: any served container, rate and channel count to 16 kHz samples.

The only module of the worker that imports PyAV. It opens file objects only, so that no byte of a
recording can make it reach the network or another file, and only the containers that core lists;
the sound is made block by block, so that memory stays the same however long the recording is. A
hostile file may still kill the process: run it through `decode_pool`.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import av
import numpy as np
from av.audio.frame import AudioFrame

from asr_core.containers import SAMPLE_RATES_HZ, SERVED_DECODERS, open_options
from asr_core.errors import AudioTooLong, EmptyAudio, UnreadableAudio
from asr_worker import plain_wav
from asr_worker.pcm import SAMPLE_RATE, Channels, FloatArray, PcmFile, PcmWriter
from asr_worker.plain_wav import PlainWav

BLOCK_SAMPLES: Final = 192_000
READ_BYTES: Final = 256 * 1024
# Gaps in a container's clock: shorter ones are jitter, longer ones a broken clock, not silence.
GAP_SECONDS: Final = (0.1, 60.0)
INTEGER_SCALES: Final = {"u1": 128.0, "i2": 32768.0, "i4": 2147483648.0}

AudioSource = Path | bytes | BinaryIO


@dataclass(frozen=True)
class DecodeLimits:
    """What is refused rather than decoded."""

    max_seconds: float = 10 * 3600.0
    max_channels: int = 16


class AudioDecoder:
    """One pass over one recording; the attributes are complete once `blocks` is exhausted."""

    def __init__(
        self,
        source: AudioSource,
        *,
        channels: Channels = "mix",
        limits: DecodeLimits | None = None,
    ) -> None:
        self._source = source
        self._channels = channels
        self._limits = limits or DecodeLimits()
        self.codec = ""
        self.source_rate = 0
        self.source_channels = 0
        self.sample_count = 0
        self.damaged_packets = 0

    def blocks(self) -> Iterator[FloatArray]:
        """Yield float32 samples at 16 kHz in blocks of shape (lanes, samples), about a second each.

        Raises UnreadableAudio, EmptyAudio or AudioTooLong.
        """
        opened = _open(self._source)
        try:
            if plain := plain_wav.find(opened):
                frames = self._plain_frames(plain, opened)
                yield from self._limited(_resampled(frames, self._lanes))
                return
            with av.open(
                opened,
                mode="r",
                options=open_options(),
                metadata_errors="ignore",
                buffer_size=READ_BYTES,
            ) as container:
                if not container.streams.audio:
                    raise UnreadableAudio("the file holds no audio stream")
                yield from self._limited(
                    _resampled(_gathered(self._frames(container)), self._lanes)
                )
        except av.FFmpegError as error:
            raise UnreadableAudio(f"the file cannot be decoded: {error.strerror}") from error
        except (ValueError, OverflowError) as error:
            raise UnreadableAudio(f"the file cannot be decoded: {error}") from error
        except OSError as error:
            if not _is_about_the_file(error):
                raise
            raise UnreadableAudio("the file cannot be decoded: it points outside itself") from error
        finally:
            if opened is not self._source:
                opened.close()

    def _plain_frames(self, plain: PlainWav, file: BinaryIO) -> Iterator[FloatFrame]:
        self._check(plain.rate, plain.channels)
        self.codec = plain_wav.CODEC
        for samples in plain.blocks(file):
            yield FloatFrame(samples, plain.rate)

    def _frames(self, container: av.container.InputContainer) -> Iterator[FloatFrame]:
        stream = container.streams.audio[0]
        codec = stream.codec_context
        if codec is None or codec.name not in SERVED_DECODERS:
            name = "unknown" if codec is None else codec.name
            raise UnreadableAudio(f"the codec {name} is not served")
        codec.thread_count = 1
        self.codec = codec.name
        clock_seconds: float | None = None
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError) as error:
                if not _is_about_the_file(error):
                    raise
                # A truncated or damaged end: what came before it is still a recording.
                self.damaged_packets += 1
                break
            if packet is None:
                break
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.damaged_packets += 1
                continue
            for frame in frames:
                if not isinstance(frame, AudioFrame) or frame.samples == 0:
                    continue
                sound = self._checked(frame)
                gap = (
                    0.0
                    if clock_seconds is None or frame.time is None
                    else frame.time - clock_seconds
                )
                if GAP_SECONDS[0] < gap <= GAP_SECONDS[1]:
                    silence = np.zeros((len(sound.samples), round(gap * sound.rate)), np.float32)
                    yield FloatFrame(silence, sound.rate)
                yield sound
                if frame.time is not None:
                    clock_seconds = frame.time + frame.samples / sound.rate

    def _checked(self, frame: AudioFrame) -> FloatFrame:
        rate, count = frame.sample_rate, frame.layout.nb_channels
        self._check(rate, count)
        return FloatFrame(_to_float(frame, count), rate)

    def _check(self, rate: int, count: int) -> None:
        if rate not in SAMPLE_RATES_HZ:
            raise UnreadableAudio(f"a sample rate of {rate} Hz is not served")
        if count > self._limits.max_channels:
            limit = self._limits.max_channels
            raise UnreadableAudio(f"{count} channels, and at most {limit} are served")
        self.source_rate = self.source_rate or rate
        self.source_channels = self.source_channels or count

    def _lanes(self, samples: FloatArray) -> FloatArray:
        """Mix down, or bring a stream that changes its layout to the layout it began with."""
        if self._channels == "mix":
            return samples.mean(axis=0, keepdims=True) if len(samples) > 1 else samples
        missing = self.source_channels - len(samples)
        if missing > 0:
            return np.pad(samples, ((0, missing), (0, 0)))
        return samples[: self.source_channels]

    def _limited(self, blocks: Iterator[FloatArray]) -> Iterator[FloatArray]:
        limit = round(self._limits.max_seconds * SAMPLE_RATE)
        for block in blocks:
            self.sample_count += block.shape[1]
            if self.sample_count > limit:
                raise AudioTooLong(
                    f"longer than the {self._limits.max_seconds:g} s that are served"
                )
            if block.shape[1]:
                yield block
        if self.sample_count == 0 and self.damaged_packets:
            raise UnreadableAudio("no packet of the file could be decoded")
        if self.sample_count == 0:
            raise EmptyAudio("the file holds no samples")


@dataclass(frozen=True)
class FloatFrame:
    """Samples of shape (channels, samples) as the source had them."""

    samples: FloatArray
    rate: int


class Resampler:
    """One source rate to 16 kHz with libswresample, each lane by itself; 16 kHz passes through."""

    def __init__(self, rate: int, lanes: int) -> None:
        self.rate = rate
        self._lanes = (
            []
            if rate == SAMPLE_RATE
            else [
                av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
                for _ in range(lanes)
            ]
        )

    def push(self, samples: FloatArray) -> FloatArray:
        """Samples in, as many samples out as are certain by now."""
        if not self._lanes:
            return samples
        frames = [
            AudioFrame.from_ndarray(np.ascontiguousarray(lane[None]), format="fltp", layout="mono")
            for lane in samples
        ]
        for frame in frames:
            frame.sample_rate = self.rate
        return self._run(list(frames))

    def flush(self) -> FloatArray:
        """What the filters still held; the resampler is spent afterwards."""
        return self._run([None] * len(self._lanes))

    def _run(self, frames: list[AudioFrame | None]) -> FloatArray:
        lanes = []
        for resampler, frame in zip(self._lanes, frames, strict=True):
            parts = [part.to_ndarray()[0] for part in resampler.resample(frame)]
            lanes.append(np.concatenate(parts) if parts else np.empty(0, np.float32))
        return (
            np.stack(lanes).astype(np.float32, copy=False)
            if lanes
            else np.empty((1, 0), np.float32)
        )


def decode(
    source: AudioSource, *, channels: Channels = "mix", limits: DecodeLimits | None = None
) -> FloatArray:
    """A short recording in memory, shape (lanes, samples) at 16 kHz."""
    return np.concatenate(
        list(AudioDecoder(source, channels=channels, limits=limits).blocks()), axis=1
    )


def spool(
    source: AudioSource,
    target: Path,
    *,
    channels: Channels = "mix",
    limits: DecodeLimits | None = None,
) -> PcmFile:
    """Decode a recording of any length into `target`; nothing is left there after an error."""
    decoder = AudioDecoder(source, channels=channels, limits=limits)
    blocks = decoder.blocks()
    first = next(blocks)
    pcm = PcmFile(target, len(first), 0, channels == "mix")
    try:
        with PcmWriter(target, len(first)) as writer:
            writer.write(first)
            for block in blocks:
                writer.write(block)
    except BaseException:
        pcm.delete()
        raise
    return PcmFile(
        path=target,
        lanes=pcm.lanes,
        sample_count=writer.sample_count,
        mixed=pcm.mixed,
        codec=decoder.codec,
        source_rate=decoder.source_rate,
        source_channels=decoder.source_channels,
        damaged_packets=decoder.damaged_packets,
    )


def _open(source: AudioSource) -> BinaryIO:
    if isinstance(source, Path):
        return source.open("rb")
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _is_about_the_file(error: Exception) -> bool:
    """FFmpeg's errors are; of the system's own, a seek to a place that no file has."""
    return isinstance(error, av.FFmpegError) or getattr(error, "errno", None) == errno.EINVAL


def _to_float(frame: AudioFrame, channels: int) -> FloatArray:
    raw = frame.to_ndarray()
    shaped = raw if frame.format.is_planar else raw.reshape(-1, channels).T
    scale = INTEGER_SCALES.get(shaped.dtype.str[1:])
    samples = shaped.astype(np.float32)
    if shaped.dtype == np.uint8:
        samples -= 128.0
    return samples / np.float32(scale) if scale else samples


def _gathered(frames: Iterator[FloatFrame]) -> Iterator[FloatFrame]:
    """Join small frames of one layout into about a second: frames of 20 ms cost too many calls."""
    held: list[FloatFrame] = []
    held_samples = 0
    for frame in frames:
        changed = held and (held[0].rate, len(held[0].samples)) != (frame.rate, len(frame.samples))
        if changed or (held and held_samples >= min(held[0].rate, BLOCK_SAMPLES)):
            yield _joined(held)
            held, held_samples = [], 0
        held.append(frame)
        held_samples += frame.samples.shape[1]
    if held:
        yield _joined(held)


def _joined(frames: list[FloatFrame]) -> FloatFrame:
    return FloatFrame(np.concatenate([frame.samples for frame in frames], axis=1), frames[0].rate)


def _resampled(
    frames: Iterator[FloatFrame], to_lanes: Callable[[FloatArray], FloatArray]
) -> Iterator[FloatArray]:
    resampler: Resampler | None = None
    for frame in frames:
        lanes = to_lanes(frame.samples)
        if resampler is None or resampler.rate != frame.rate:
            if resampler is not None:
                yield resampler.flush()
            resampler = Resampler(frame.rate, len(lanes))
        yield resampler.push(lanes)
    if resampler is not None:
        yield resampler.flush()
