"""The upload folder: bounded, and empty after a crash."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sys

import pytest

from asr_api.errors import SpoolFull
from asr_api.uploads.spool import Spool

pytestmark = pytest.mark.asyncio


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool", max_bytes=3_000_000)
    spool.open()
    yield spool
    spool.close()


async def test_what_is_written_is_counted_and_hashed(spool):
    data = os.urandom(2_500_000)
    async with spool.file() as file:
        for i in range(0, len(data), 60_000):
            await file.write(data[i : i + 60_000])
        await file.flush()
        assert file.path.read_bytes() == data
        assert file.sha256() == hashlib.sha256(data).hexdigest()
        assert (file.size, spool.used_bytes) == (len(data), len(data))
    assert not file.path.exists()
    assert spool.used_bytes == 0


async def test_all_uploads_together_have_one_limit(spool):
    async with spool.file() as one, spool.file() as two:
        await one.write(bytes(2_000_000))
        with pytest.raises(SpoolFull):
            await two.write(bytes(1_000_001))
        await two.write(bytes(1_000_000))
    assert spool.used_bytes == 0


async def test_a_tenant_with_more_than_one_file_leaves_a_quarter_to_others(spool):
    async with spool.file("many") as one, spool.file("many") as two, spool.file("new") as other:
        await one.write(bytes(1_000_000))
        await two.write(bytes(1_250_000))
        with pytest.raises(SpoolFull):
            await two.write(bytes(1))
        await other.write(bytes(750_000))
    async with spool.file("one") as alone:
        await alone.write(bytes(3_000_000))
    assert spool.used_bytes == 0


async def test_a_tenant_with_files_leaves_a_quarter_of_their_number_to_others(spool, monkeypatch):
    monkeypatch.setattr(spool, "_max_files", 4)
    for _ in range(2):
        async with spool.file("many"), spool.file("many"), spool.file("many"):
            with pytest.raises(SpoolFull):
                spool.file("many")
            async with spool.file("new"):
                pass


async def test_an_upload_of_next_to_nothing_has_no_file_until_it_ends(spool, tmp_path):
    async with spool.file() as file:
        await file.write(bytes(1000))
        assert list(tmp_path.rglob("upload-*")) == []
        await file.flush()
        assert [path.stat().st_size for path in tmp_path.rglob("upload-*")] == [1000]
    assert list(tmp_path.rglob("upload-*")) == []


async def test_what_many_small_uploads_hold_in_memory_has_one_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("asr_api.uploads.spool._UNWRITTEN_BYTES", 10_000)
    spool = Spool(tmp_path / "spool", max_bytes=3_000_000)
    spool.open()
    async with spool.file() as one, spool.file() as two:
        await one.write(bytes(9_000))
        assert not one.path.exists()
        await two.write(bytes(2_000))
        assert two.path.stat().st_size == 2_000
    spool.close()


async def test_more_uploads_than_descriptors_allow_are_refused_until_one_has_ended(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("asr_api.uploads.spool.files_allowed", lambda: 8)
    spool = Spool(tmp_path / "spool", max_bytes=1000)
    spool.open()
    async with spool.file():
        async with spool.file():
            with pytest.raises(SpoolFull, match="already receiving as many uploads"):
                spool.file()
        async with spool.file():
            pass
    spool.close()


async def test_a_process_without_descriptors_says_so(spool):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with spool.file() as file:
        await file.write(b"RIFF")
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        try:
            with pytest.raises(SpoolFull, match="descriptor"):
                await file.flush()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert spool.used_bytes == 0


async def test_a_failing_upload_leaves_nothing(spool, tmp_path):
    async def fail() -> None:
        async with spool.file() as file:
            await file.write(bytes(10))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert list(tmp_path.rglob("upload-*")) == []
    assert spool.used_bytes == 0


async def test_what_a_killed_process_left_is_removed_at_the_next_start(tmp_path):
    root = tmp_path / "shared"
    script = (
        "import asyncio, sys; from pathlib import Path; from asr_api.uploads.spool import Spool\n"
        "s = Spool(Path(sys.argv[1]), 1000); s.open(); f = s.file(); asyncio.run(f.flush())\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    other = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(root)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    assert await other.stdout.readline() == b"open\n"
    alive = Spool(root, 1000)
    alive.open()
    assert len(list(root.rglob("upload-*"))) == 1  # a living process keeps its own
    alive.close()
    other.kill()
    await other.wait()
    later = Spool(root, 1000)
    later.open()
    assert list(root.rglob("upload-*")) == []
    later.close()
    assert list(root.glob("uploads-*")) == []
