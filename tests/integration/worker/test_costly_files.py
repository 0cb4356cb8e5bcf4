"""Files that cost far more than they weigh: each means of it ends within its bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_core.errors import AsrError, TooExpensive
from asr_worker.audio import decoder
from asr_worker.audio.decoder import DecodeLimits
from asr_worker.audio.decoding.cost import OPENING_CPU_SECONDS, Cost, CostLimits
from fuzz.costly import OPUS_SHORTEST, costly_files
from fuzz.hostile import flac_of_constants, ogg_opus_of_tiny_packets, webm_of_tiny_blocks

FILES = costly_files()


@pytest.mark.parametrize("name", FILES)
def test_what_a_file_costs_is_in_proportion_to_what_comes_of_it(name: str, tmp_path: Path) -> None:
    """With limits that no file of these may reach by honest means: none runs away."""
    limits = DecodeLimits(max_seconds=600.0, cost=CostLimits(ratio=0.2, seconds=60.0))
    source = tmp_path / name
    source.write_bytes(FILES[name])
    codes = set()
    try:
        decoder.spool(source, tmp_path / "pcm", limits=limits).delete()
    except AsrError as error:
        codes.add(error.code)
    assert codes <= {"unreadable_audio", "empty_audio", "audio_too_long"}
    assert [path.name for path in tmp_path.iterdir()] == [name]


class _StandingClock:
    """Each look at it is a second of processor time."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return float(self.looks)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(flac_of_constants(384_000, 8, 5.0), id="frames"),
        pytest.param(ogg_opus_of_tiny_packets(1020, b"\xff"), id="packets that are no sound"),
        pytest.param(webm_of_tiny_blocks(1000, OPUS_SHORTEST), id="blocks"),
    ],
)
def test_processor_time_is_looked_at_between_packets_whatever_they_bring(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _StandingClock()
    monkeypatch.setattr(decoder, "Cost", lambda limits, **told: Cost(limits, clock=clock, **told))
    limits = DecodeLimits(cost=CostLimits(ratio=0.001))
    with pytest.raises(TooExpensive):
        decoder.decode(data, limits=limits)
    assert clock.looks <= OPENING_CPU_SECONDS + 3
