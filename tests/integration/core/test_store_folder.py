"""What only a store in a folder can show: order on the disk, full disks, drafts of dead writers."""

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from asr_core.errors import StoreFull, StoreUnavailable
from asr_core.store import Store

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024


async def chunked(data: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def paths(store: Store) -> list[str]:
    return sorted([found.path async for found in store.list("")])


def noise(size: int) -> bytes:
    return hashlib.shake_256(b"noise").digest(size)


async def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def seen_fsync(handle: int) -> None:
        target = Path(os.readlink(f"/proc/self/fd/{handle}"))
        steps.append(f"fsync {'folder ' + target.name if target.is_dir() else 'file'}")
        fsync(handle)

    def seen_replace(source: Path, target: Path) -> None:
        steps.append("rename")
        replace(source, target)

    store = Store.open(f"file://{tmp_path}")
    await store.ready()
    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "replace", seen_replace)
    await store.put("results/t/1.json", b"{}")
    root = f"fsync folder {tmp_path.name}"
    assert steps == ["fsync file", root, "fsync folder results", "rename", "fsync folder t"]


async def test_deleting_the_last_object_of_a_folder_removes_the_folder(tmp_path: Path) -> None:
    store = Store.open(f"file://{tmp_path}")
    await store.put("results/t/1.json", b"{}")
    await store.delete("results/t/1.json")
    assert [found.name for found in tmp_path.iterdir()] == [".unfinished"]


async def test_only_old_drafts_are_swept(tmp_path: Path) -> None:
    store = Store.open(f"file://{tmp_path}")
    assert await store.sweep_unfinished(0) == 0
    await store.ready()
    for name, age_seconds in (("old", 7200), ("young", 60)):
        draft = tmp_path / ".unfinished" / name
        draft.write_bytes(b"half")
        os.utime(draft, (time.time() - age_seconds,) * 2)
    assert await store.sweep_unfinished(3600) == 1
    assert [found.name for found in (tmp_path / ".unfinished").iterdir()] == ["young"]
    assert await paths(store) == []


async def test_a_folder_that_cannot_be_one_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = Store.open(f"file://{tmp_path}/file/store")
    with pytest.raises(StoreUnavailable):
        await store.ready()
    with pytest.raises(StoreUnavailable):
        await store.put("audio/x", b"1")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


async def test_a_full_disk_refuses_the_object_and_keeps_no_part_of_it(small_disk: Path) -> None:
    store = Store.open(f"file://{small_disk}")
    await store.put("audio/fits", noise(MIB))
    with pytest.raises(StoreFull) as full:
        await store.put("audio/too-big", chunked(noise(3 * MIB)))
    assert full.value.status == 507
    assert await paths(store) == ["audio/fits"]
    assert list((small_disk / ".unfinished").iterdir()) == []
    await store.put("audio/fits-too", noise(MIB // 2))


async def test_a_file_over_the_size_limit_is_refused_and_keeps_no_part_of_it(
    tmp_path: Path,
) -> None:
    program = """
        import asyncio, resource, sys
        from asr_core.errors import StoreFull
        from asr_core.store import Store
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        try:
            asyncio.run(Store.open(sys.argv[1]).put("audio/x", bytes(3 << 20)))
        except StoreFull:
            print("full")
    """
    ran = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", textwrap.dedent(program), f"file://{tmp_path}"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = await ran.communicate()
    assert output == b"full\n", errors.decode()
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == []
