"""How fast one core decodes each format to what the model hears: 16 kHz, mono, float32."""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from asr_cli.bench.audio import SAMPLE_RATE, recordings, wav
from asr_cli.bench.report import Finding, Series

# Name, container, codec, sample rate.
FORMATS: Final = (
    ("wav, 16 kHz", "wav", "pcm_s16le", 16_000),
    ("wav, 44.1 kHz", "wav", "pcm_s16le", 44_100),
    ("flac, 16 kHz", "flac", "flac", 16_000),
    ("mp3, 44.1 kHz", "mp3", "libmp3lame", 44_100),
    ("opus, 48 kHz", "ogg", "libopus", 48_000),
    ("m4a (aac), 44.1 kHz", "mp4", "aac", 44_100),
)


def measure(seconds: float, rounds: int) -> Finding:
    """Audio-seconds per second of one process, by format."""
    from asr_worker.audio.decoder import decode

    (samples,) = recordings([seconds], 1)
    series = []
    with tempfile.TemporaryDirectory() as name:
        paths: dict[str, Path] = {}
        for label, container, codec, rate in reversed(FORMATS):
            path = Path(name) / f"{len(paths)}.{container}"
            path.write_bytes(
                wav(samples) if rate == SAMPLE_RATE and codec == "pcm_s16le"
                else encoded(samples, container, codec, rate)
            )  # fmt: skip
            paths[label] = path
            series.append(Series(label))
        for number in range(rounds + 1):
            for each in series:
                started = time.perf_counter()
                decode(paths[each.name])
                if number:  # the first one loads libraries
                    each.rounds.append(seconds / (time.perf_counter() - started))
    return Finding(
        title="Decoding, one process",
        command="asr bench decode",
        conditions={"seconds of audio": seconds},
        unit="times real time",
        series=series,
    )


def encoded(samples: Any, container: str, codec: str, rate: int) -> bytes:
    """Mono speech in a container, by FFmpeg's encoders."""
    import av
    from av.audio.stream import AudioStream

    frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE, 0
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate)
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        size = stream.codec_context.frame_size or None
        shaper = av.AudioResampler(stream.format.name, "mono", rate, size)
        for part in [*shaper.resample(frame), *shaper.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return target.getvalue()
