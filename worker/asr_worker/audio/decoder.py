"""The decoder: any supported container, sample rate and channel count to 16 kHz samples.

It opens file objects only, so that a recording cannot make it open the network or another file, and
only the containers listed in core. Samples are produced block by block, so that memory does not
grow with the recording. A hostile file can still crash the process: run it through `decode_pool`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from asr_core.containers import SAMPLE_RATES_HZ, open_options
from asr_core.errors import AudioTooLong, EmptyAudio, InvalidOption, UnreadableAudio
from asr_core.result import TranscriptWarning
from asr_core.tracks import AudioTrack, choose_track
from asr_worker.audio import plain_wav
from asr_worker.audio.decoding import joined, ogg_chain, rifx
from asr_worker.audio.decoding.cost import Cost, CostLimits
from asr_worker.audio.decoding.damage import Damage
from asr_worker.audio.decoding.declared_length import declared_seconds
from asr_worker.audio.decoding.downmix import Downmix
from asr_worker.audio.decoding.packets import Lost, is_about_the_file, packets, seconds_of
from asr_worker.audio.decoding.resampling import FloatFrame, gathered, resampled
from asr_worker.audio.decoding.timeline import Timeline
from asr_worker.audio.pcm import SAMPLE_RATE, Channels, FloatArray, PcmFile, PcmWriter
from asr_worker.audio.plain_wav import PlainWav

READ_BYTES: Final = 256 * 1024
INTEGER_SCALES: Final = {"u1": 128.0, "i2": 32768.0, "i4": 2147483648.0}

AudioSource = Path | bytes | BinaryIO


@dataclass(frozen=True)
class DecodeLimits:
    """Recordings beyond these limits are refused."""

    max_seconds: float = 10 * 3600.0
    max_channels: int = 16
    cost: CostLimits = field(default_factory=CostLimits)


class AudioDecoder:
    """One pass over one recording; the attributes are complete once `blocks` is exhausted."""

    def __init__(
        self,
        source: AudioSource,
        *,
        channels: Channels = "mix",
        track: int | None = None,
        limits: DecodeLimits | None = None,
        on_allowed: Callable[[float], None] = lambda _: None,
    ) -> None:
        """`track` is one of the file's audio tracks, from 1; None: `choose_track` decides.
        `on_allowed` gets the CPU seconds that may be used, each time the budget grows.
        """
        self._source = source
        self._track = track
        self._channels = channels
        self._limits = limits or DecodeLimits()
        self._on_allowed = on_allowed
        self._cost: Cost | None = None
        self.codec = ""
        self.source_rate = 0
        self.source_channels = 0
        self.sample_count = 0
        self.damaged_packets = 0
        self._damage = Damage()
        self._downmix = Downmix()

    def blocks(self) -> Iterator[FloatArray]:
        """Yields float32 blocks of shape (channels, samples) at 16 kHz, about a second each.

        Raises UnreadableAudio, EmptyAudio, AudioTooLong or TooExpensive.
        """
        self._cost = Cost(self._limits.cost, on_allowed=self._on_allowed)
        opened = _open(self._source)
        try:
            yield from self._limited(self._sound(opened))
        finally:
            if opened is not self._source:
                opened.close()

    @property
    def warnings(self) -> tuple[TranscriptWarning, ...]:
        """The parts that could not be read."""
        return self._damage.warnings()

    def _sound(self, file: BinaryIO) -> Iterator[FloatArray]:
        """All recordings of the file, in order; an unreadable one does not affect the others."""
        recordings = joined.recordings(file)
        failure: UnreadableAudio | None = None
        for recording in recordings:
            try:
                with _readable():
                    yield from self._recording(recording)
            except UnreadableAudio as error:
                if len(recordings) == 1:
                    raise
                failure = failure or error
                self._damage.unreadable(self.sample_count / SAMPLE_RATE, error.message)
        if failure is not None and not self.sample_count:
            raise failure

    def _recording(self, file: BinaryIO) -> Iterator[FloatArray]:
        plain = plain_wav.find(file)
        if plain is not None and self._track in (None, 1):
            yield from resampled(self._plain_frames(plain, file), self._to_channels)
        else:
            yield from self._decoded(file)

    def _decoded(self, file: BinaryIO) -> Iterator[FloatArray]:
        is_cut = ogg_chain.is_cut_off(file)
        is_rifx = rifx.is_rifx(file)
        began_seconds = self.sample_count / SAMPLE_RATE
        with av.open(
            file,
            mode="r",
            options=open_options(),
            metadata_errors="ignore",
            buffer_size=READ_BYTES,
        ) as container:
            stream = self._chosen(container)
            timeline = Timeline(container, stream, self._damage, began_seconds)
            frames = timeline.placed(
                self._frames(container, stream, rifx.decoder_of(stream, is_rifx=is_rifx)),
                self._limits.max_seconds,
            )
            yield from resampled(gathered(frames), self._to_channels)
            timeline.end(declared_seconds(container, stream, file), is_cut=is_cut)

    def _chosen(self, container: av.container.InputContainer) -> AudioStream:
        streams = container.streams.audio
        if not streams:
            raise UnreadableAudio("the file holds no audio stream")
        try:
            return streams[choose_track([AudioTrack.of(one) for one in streams], self._track)]
        except InvalidOption as error:
            raise UnreadableAudio(error.message) from error

    def _plain_frames(self, plain: PlainWav, file: BinaryIO) -> Iterator[FloatFrame]:
        self._check(plain.rate, plain.channels)
        self.codec = plain_wav.CODEC
        for samples in plain.blocks(file):
            yield FloatFrame(samples, plain.rate)

    def _frames(
        self,
        container: av.container.InputContainer,
        stream: AudioStream,
        codec: AudioCodecContext,
    ) -> Iterator[FloatFrame | Lost]:
        codec.thread_count = 1
        self.codec = self.codec or codec.name
        for packet in packets(container, stream, self._check_cost):
            if isinstance(packet, Lost):
                self.damaged_packets += 1
                yield packet
                continue
            try:
                frames = codec.decode(packet)
            except av.FFmpegError:
                self.damaged_packets += 1
                yield Lost(seconds_of(packet))
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame) and frame.samples:
                    yield self._checked(frame)

    def _checked(self, frame: AudioFrame) -> FloatFrame:
        rate, count = frame.sample_rate, frame.layout.nb_channels
        self._check(rate, count)
        return FloatFrame(_to_float(frame, count), rate, frame.time)

    def _check(self, rate: int, count: int) -> None:
        if rate not in SAMPLE_RATES_HZ:
            served = f"{SAMPLE_RATES_HZ[0]} to {SAMPLE_RATES_HZ[-1]} are supported"
            raise UnreadableAudio(f"a sample rate of {rate} Hz; {served}")
        if count > self._limits.max_channels:
            limit = self._limits.max_channels
            raise UnreadableAudio(f"{count} channels, and at most {limit} are supported")
        self.source_rate = self.source_rate or rate
        self.source_channels = self.source_channels or count

    def _check_cost(self) -> None:
        if self._cost is not None:
            self._cost.check(self.sample_count / SAMPLE_RATE)

    def _to_channels(self, samples: FloatArray) -> FloatArray:
        """Mixes down, or maps a stream that changes its layout to its first layout."""
        if self._channels == "mix":
            return self._downmix(samples)
        missing = self.source_channels - len(samples)
        if missing > 0:
            return np.pad(samples, ((0, missing), (0, 0)))
        return samples[: self.source_channels]

    def _limited(self, blocks: Iterator[FloatArray]) -> Iterator[FloatArray]:
        limit = round(self._limits.max_seconds * SAMPLE_RATE)
        for block in blocks:
            self.sample_count += block.shape[1]
            self._check_cost()
            if self.sample_count > limit:
                raise AudioTooLong(
                    f"longer than the {self._limits.max_seconds:g} s that are supported"
                )
            if block.shape[1]:
                yield block
        if self.sample_count == 0 and self.damaged_packets:
            raise UnreadableAudio("no packet of the file could be decoded")
        if self.sample_count == 0:
            raise EmptyAudio("the file holds no samples")


def decode(
    source: AudioSource,
    *,
    channels: Channels = "mix",
    track: int | None = None,
    limits: DecodeLimits | None = None,
) -> FloatArray:
    """A short recording in memory, shape (channels, samples) at 16 kHz."""
    decoder = AudioDecoder(source, channels=channels, track=track, limits=limits)
    return np.concatenate(list(decoder.blocks()), axis=1)


def spool(
    source: AudioSource,
    target: Path,
    *,
    channels: Channels = "mix",
    track: int | None = None,
    limits: DecodeLimits | None = None,
    on_allowed: Callable[[float], None] = lambda _: None,
) -> PcmFile:
    """Decodes a recording of any length into `target`, which is removed after an error."""
    decoder = AudioDecoder(
        source, channels=channels, track=track, limits=limits, on_allowed=on_allowed
    )
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
        channels=pcm.channels,
        sample_count=writer.sample_count,
        mixed=pcm.mixed,
        codec=decoder.codec,
        source_rate=decoder.source_rate,
        source_channels=decoder.source_channels,
        damaged_packets=decoder.damaged_packets,
        warnings=decoder.warnings,
    )


def _open(source: AudioSource) -> BinaryIO:
    if isinstance(source, Path):
        return source.open("rb")
    return io.BytesIO(source) if isinstance(source, bytes) else source


@contextmanager
def _readable() -> Iterator[None]:
    """Turns the errors of FFmpeg, and those caused by wrong headers, into UnreadableAudio."""
    try:
        yield
    except av.FFmpegError as error:
        raise UnreadableAudio(f"the file cannot be decoded: {error.strerror}") from error
    except (ValueError, OverflowError) as error:
        raise UnreadableAudio(f"the file cannot be decoded: {error}") from error
    except OSError as error:
        if not is_about_the_file(error):
            raise
        raise UnreadableAudio("the file cannot be decoded: it points outside itself") from error


def _to_float(frame: AudioFrame, channels: int) -> FloatArray:
    raw = frame.to_ndarray()
    shaped = raw if frame.format.is_planar else raw.reshape(-1, channels).T
    samples: FloatArray = shaped.astype(np.float32, copy=False)
    if samples is shaped:
        return samples
    if shaped.dtype == np.uint8:
        samples -= 128.0
    samples *= np.float32(1.0 / INTEGER_SCALES.get(shaped.dtype.str[1:], 1.0))  # powers of two
    return samples
