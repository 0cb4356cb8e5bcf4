"""Small valid recordings in every container and codec that is served, made on the spot."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream

AMR_SILENCE = bytes([0x3C]) + bytes(31)  # RFC 4867, section 5.3: a frame of 12.2 kbit/s, 20 ms


@dataclass(frozen=True)
class Kind:
    """How one seed is encoded; `options` go to the container."""

    name: str
    container: str
    codec: str
    rate_hz: int = 16_000
    channels: int = 1
    options: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.6


KINDS = (
    Kind("pcm16.wav", "wav", "pcm_s16le"),
    Kind("stereo.wav", "wav", "pcm_s16le", 44_100, 2),
    Kind("pcm8.wav", "wav", "pcm_u8", 8_000),
    Kind("pcm24.wav", "wav", "pcm_s24le", 48_000),
    Kind("float.wav", "wav", "pcm_f32le"),
    Kind("mulaw.wav", "wav", "pcm_mulaw", 8_000),
    Kind("ima.wav", "wav", "adpcm_ima_wav"),
    Kind("ms.wav", "wav", "adpcm_ms"),
    Kind("pcm16.w64", "w64", "pcm_s16le"),
    Kind("mono.flac", "flac", "flac"),
    Kind("stereo.flac", "flac", "flac", 48_000, 2),
    Kind("mono.mp3", "mp3", "libmp3lame"),
    Kind("stereo.mp3", "mp3", "libmp3lame", 44_100, 2),
    Kind("vorbis.ogg", "ogg", "vorbis", 44_100, 2),
    Kind("opus.ogg", "ogg", "libopus", 48_000),
    Kind("flac.ogg", "ogg", "flac"),
    Kind("opus.webm", "webm", "libopus", 48_000),
    Kind("live.webm", "webm", "libopus", 48_000, options=(("live", "1"),)),
    Kind("vorbis.webm", "webm", "vorbis", 44_100, 2),
    Kind("flac.mka", "matroska", "flac"),
    Kind("pcm.mka", "matroska", "pcm_s16le"),
    Kind("aac.mka", "matroska", "aac", 44_100),
    Kind("aac.m4a", "mp4", "aac"),
    Kind("stereo.m4a", "mp4", "aac", 44_100, 2),
    Kind("alac.m4a", "mp4", "alac"),
    Kind("fragmented.mp4", "mp4", "aac", options=(("movflags", "frag_keyframe+empty_moov"),)),
    Kind("pcm.mov", "mov", "pcm_s16le"),
    Kind("mono.aac", "adts", "aac"),
    Kind("pcm.aiff", "aiff", "pcm_s16be"),
    Kind("pcm.caf", "caf", "pcm_s16be"),
    Kind("alac.caf", "caf", "alac"),
    Kind("mulaw.au", "au", "pcm_mulaw", 8_000),
    Kind("v2.wma", "asf", "wmav2", 44_100, 2),
    Kind("aac.ts", "mpegts", "aac", 48_000),
    Kind("mp2.ts", "mpegts", "mp2", 48_000),
    Kind("mp2.mpg", "mpeg", "mp2", 48_000),
    Kind("ac3.vob", "vob", "ac3", 48_000),
    Kind("pcm.avi", "avi", "pcm_s16le"),
    Kind("mp3.avi", "avi", "libmp3lame", 44_100),
    Kind("mp3.flv", "flv", "libmp3lame", 44_100),
    Kind("nellymoser.flv", "flv", "nellymoser", 22_050),
    Kind("mono.ac3", "ac3", "ac3", 48_000),
    Kind("mono.eac3", "eac3", "eac3", 48_000),
    Kind("mono.wv", "wv", "wavpack"),
)


def seeds() -> dict[str, bytes]:
    """File contents by name."""
    made = {kind.name: encode(kind) for kind in KINDS}
    made["nb.amr"] = b"#!AMR\n" + AMR_SILENCE * 30
    return made


def encode(kind: Kind) -> bytes:
    """A rising tone."""
    file = io.BytesIO()
    layout = "stereo" if kind.channels == 2 else "mono"
    with av.open(file, "w", format=kind.container, options=dict(kind.options)) as out:
        stream = out.add_stream(kind.codec, rate=kind.rate_hz, layout=layout)
        assert isinstance(stream, AudioStream)
        codec = stream.codec_context
        codec.options = {"strict": "experimental"}  # for Vorbis
        if kind.codec.startswith("wma"):
            codec.bit_rate = 128_000  # FFmpeg's encoder takes no less
        codec.open()  # only then it knows its frame size
        resampler = av.AudioResampler(
            format=codec.format,
            layout=layout,
            rate=kind.rate_hz,
            frame_size=codec.frame_size or None,
        )
        for frame in (_tone(kind, layout), None):
            for part in resampler.resample(frame):
                out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return file.getvalue()


def _tone(kind: Kind, layout: str) -> av.AudioFrame:
    at: npt.NDArray[np.float64] = np.arange(int(kind.seconds * kind.rate_hz)) / kind.rate_hz
    tone = (12_000 * np.sin(2 * math.pi * (200 + 600 * at) * at)).astype(np.int16)
    samples = np.repeat(tone, 2 if layout == "stereo" else 1)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
    frame.sample_rate, frame.pts = kind.rate_hz, 0
    return frame
