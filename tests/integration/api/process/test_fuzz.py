"""A short run of `make fuzz`: damaged recordings through a real API and a real worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.mutations import Case, draw
from fuzz.report import Fate, Report, find
from fuzz.run import fuzz
from fuzz.seeds import Kind, encode, seeds

FILES = 150
SEED = 7


@pytest.fixture(scope="module")
def sources() -> dict[str, bytes]:
    return seeds()


def test_the_same_seed_and_number_give_the_same_file(sources: dict[str, bytes]) -> None:
    cases = [draw(SEED, number, sources) for number in range(FILES)]
    assert cases == [draw(SEED, number, sources) for number in range(FILES)]
    assert len({case.data for case in cases}) > FILES * 0.9
    assert len({case.source for case in cases}) > 20


def lying_flac() -> bytes:
    """Its header claims a second; it holds two minutes, more than these workers serve."""
    kind = Kind("lie.flac", "flac", "flac", 8000, seconds=120.0)
    flac = bytearray(encode(kind))
    # RFC 9639, section 8.2: the low 36 bits of bytes 21 to 25 are the number of samples.
    flac[21], flac[22:26] = flac[21] & 0xF0, (8000).to_bytes(4, "big")
    return bytes(flac)


@pytest.mark.asyncio
async def test_no_damaged_file_costs_more_than_itself(
    sources: dict[str, bytes], tmp_path: Path
) -> None:
    cases = [draw(SEED, number, sources) for number in range(FILES)]
    cases.append(Case(FILES, "lie.flac", ("lie",), lying_flac(), "mix"))
    report = await fuzz(cases, seed=SEED, workers=1, folder=tmp_path)
    assert report.findings == [], "\n".join(report.lines())
    assert len(report.fates) == FILES + 1
    lie = report.fates[-1]
    assert (lie.status, lie.state, lie.code) == (202, "failed", "audio_too_long")
    assert sum(fate.accepted for fate in report.fates) > FILES // 4


def test_every_bound_is_told_when_it_is_broken(sources: dict[str, bytes]) -> None:
    case = draw(SEED, 0, sources)
    fine = Fate(case, status=202, state="completed", attempts=1, later_status=200)
    assert find(Report(SEED, 1.0, [fine], 0, 0, 0)) == []
    for broken in (
        {"status": 0},
        {"status": 503},
        {"later_status": 500},
        {"state": "processing"},
        {"state": ""},
        {"attempts": 2},
        {"crashes": 1},
        {"transient_failures": 1},
    ):
        fate = Fate(**{**vars(fine), **broken})
        assert len(find(Report(SEED, 1.0, [fate], 0, 0, 0))) == 1, broken
    assert len(find(Report(SEED, 1.0, [fine], 1, 0, 0))) == 1
    assert len(find(Report(SEED, 1.0, [fine], 0, 1, 0))) == 1
