"""The probe: what it finds, and that no file can take it down."""

from __future__ import annotations

import asyncio
import os
import random
import textwrap

import pytest

from asr_api.errors import ProbeUnavailable
from asr_api.probe.pool import ProbePool
from asr_api.probe.report import ProbeLimits
from asr_core.errors import (
    AsrError,
    TooExpensive,
)

pytestmark = pytest.mark.asyncio

LIMITS = ProbeLimits(
    max_duration_seconds=3600,
    max_channels=8,
    cpu_seconds=5,
    wall_seconds=20,
    memory_bytes=1024**3,
)


def fake_child(tmp_path, monkeypatch, body: str) -> str:
    """A probe process that does `body` with each line it is given, in place of reading audio."""
    (tmp_path / "fake_probe.py").write_text(
        "import json, os, sys, time\nfrom asr_api.probe.child import _limit_processor_time\n"
        'print(json.dumps({"ready": True}), flush=True)\n'
        "REPORT = dict(container='wav', codec='pcm', channels=1, sample_rate_hz=8000,"
        " duration_seconds=1.0, content_type='audio/wav')\n"
        "for line in sys.stdin:\n    path = json.loads(line)['path']\n"
        + textwrap.indent(textwrap.dedent(body), "    ")
        + '\n    print(json.dumps({"report": REPORT}), flush=True)\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "fake_probe"


async def test_a_report_holds_what_the_file_is(tmp_path, make_wav):
    path = tmp_path / "a"
    path.write_bytes(make_wav(2.5, rate_hz=44100, channels=2))
    pool = ProbePool(1, LIMITS)
    report = await pool.probe(path)
    await pool.close()
    assert (report.container, report.codec, report.channels) == ("wav", "pcm_s16le", 2)
    assert (report.sample_rate_hz, report.duration_seconds) == (44100, 2.5)


async def test_a_wav_cannot_claim_more_than_it_holds(tmp_path, make_wav):
    data = bytearray(make_wav(1.0))
    data[4:8] = data[40:44] = (0x7FFFFFF0).to_bytes(4, "little")
    path = tmp_path / "a"
    path.write_bytes(data)
    pool = ProbePool(1, LIMITS)
    report = await pool.probe(path)
    await pool.close()
    assert report.duration_seconds == pytest.approx(1.0, abs=0.01)


async def test_anothers_file_is_looked_into_before_the_rest_of_a_tenants_many(
    tmp_path, monkeypatch
):
    pool = ProbePool(1, LIMITS, module=fake_child(tmp_path, monkeypatch, "time.sleep(0.02)"))
    order = []

    async def probe(tenant):
        await pool.probe(tmp_path / "a", tenant=tenant)
        order.append(tenant)

    async with asyncio.TaskGroup() as probes:
        for tenant in ("many", "many", "many", "one"):
            probes.create_task(probe(tenant))
    await pool.close()
    assert order == ["many", "one", "many", "many"]


async def test_a_file_that_crashes_the_probe_is_unreadable_and_harms_no_other(
    tmp_path, monkeypatch
):
    module = fake_child(
        tmp_path, monkeypatch, "if path.endswith('bad'): os.abort()\nelse: time.sleep(0.2)"
    )
    pool = ProbePool(3, LIMITS, module=module)
    paths = [tmp_path / name for name in ("good-1", "bad", "good-2", "good-3")]
    results = await asyncio.gather(*map(pool.probe, paths), return_exceptions=True)
    await pool.close()
    assert [type(result).__name__ for result in results] == [
        "ProbeReport",
        "UnreadableAudio",
        "ProbeReport",
        "ProbeReport",
    ]


async def test_a_file_that_burns_processor_time_is_too_expensive(tmp_path, monkeypatch):
    body = "if path.endswith('bad'):\n    _limit_processor_time(0.1)\n    while True: pass"
    pool = ProbePool(1, LIMITS, module=fake_child(tmp_path, monkeypatch, body))
    with pytest.raises(TooExpensive, match="processor time"):
        await pool.probe(tmp_path / "bad")
    assert (await pool.probe(tmp_path / "good")).channels == 1
    await pool.close()


async def test_a_probe_that_hangs_is_replaced_and_says_nothing_about_the_audio(
    tmp_path, monkeypatch
):
    limits = ProbeLimits(**{**LIMITS.__dict__, "wall_seconds": 0.3})
    module = fake_child(tmp_path, monkeypatch, "if path.endswith('bad'): time.sleep(60)")
    pool = ProbePool(1, limits, module=module)
    with pytest.raises(ProbeUnavailable):
        await pool.probe(tmp_path / "bad")
    assert (await pool.probe(tmp_path / "good")).channels == 1
    await pool.close()


async def test_one_tenants_files_leave_a_probe_process_to_its_neighbours(tmp_path, monkeypatch):
    gate = tmp_path / "gate"
    body = f"while path.endswith('slow') and not os.path.exists({str(gate)!r}): time.sleep(0.01)"
    pool = ProbePool(2, LIMITS, module=fake_child(tmp_path, monkeypatch, body))
    slow = [
        asyncio.create_task(pool.probe(tmp_path / f"{n}.slow", tenant="hostile")) for n in range(50)
    ]
    await asyncio.sleep(0)
    assert (await pool.probe(tmp_path / "good", tenant="neighbour")).channels == 1
    assert not any(task.done() for task in slow)
    gate.touch()
    await asyncio.gather(*slow)
    await pool.close()


async def test_a_probe_that_cannot_start_is_unavailable(tmp_path):
    pool = ProbePool(1, LIMITS, module="no_such_module")
    with pytest.raises(ProbeUnavailable):
        await pool.probe(tmp_path / "a")
    await pool.close()


async def test_the_probe_sees_none_of_the_servers_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("REDIS_PASSWORD", "hunter2")
    body = "REPORT['codec'] = str('REDIS_PASSWORD' in os.environ)"
    pool = ProbePool(1, LIMITS, module=fake_child(tmp_path, monkeypatch, body))
    assert (await pool.probe(tmp_path / "a")).codec == "False"
    await pool.close()


async def test_damaged_files_are_refused_or_read_but_never_fatal(tmp_path, encode, make_wav):
    """Files with bytes flipped, cut and inserted, by a fixed seed."""
    chance = random.Random(20261122)
    sources = [
        make_wav(0.3),
        *(encode(kind, seconds=0.3) for kind in ("flac", "mp3", "ogg", "webm", "m4a")),
    ]
    pool = ProbePool(2, LIMITS)
    await pool.warm_up()
    for number in range(120):
        data = bytearray(chance.choice(sources))
        for _ in range(chance.randint(1, 30)):
            data[chance.randrange(min(len(data), 400))] = chance.randrange(256)
        path = tmp_path / str(number)
        path.write_bytes(data[: chance.randint(1, len(data))])
        status = 200
        try:
            report = await pool.probe(path)
            assert 0 < report.duration_seconds <= LIMITS.max_duration_seconds
        except AsrError as error:
            status = error.status
        assert status in (200, 415, 422)
    assert len(os.listdir(tmp_path)) == 120
    await pool.close()
