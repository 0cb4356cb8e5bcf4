"""One conformance suite that every kind of store passes, then what only one kind can show."""

import asyncio
import hashlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from asr_core.errors import StoreUnavailable
from asr_core.store import Store, StoreObjectMissing, bucket, folder

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024
BUCKET = "recordings"


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client that looks behind the store's back, into a fresh bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield client
    for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Store.open(f"file://{tmp_path}/the%20store")
    request.getfixturevalue("s3")
    return Store.open(f"s3://{BUCKET}/some/prefix")


async def chunked(data: bytes, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def failing_after(data: bytes) -> AsyncIterator[bytes]:
    async for chunk in chunked(data):
        yield chunk
    raise ConnectionResetError("the client went away")


async def read(store: Store, path: str, **bounds: int) -> bytes:
    return b"".join([chunk async for chunk in store.stream(path, **bounds)])


async def paths(store: Store, prefix: str = "") -> list[str]:
    return sorted([found.path async for found in store.list(prefix)])


def noise(size: int) -> bytes:
    return hashlib.shake_256(b"noise").digest(size)


async def test_what_was_put_comes_back_whole(store: Store) -> None:
    data = noise(100_000)
    assert await store.put("audio/one", data) == len(data)
    assert await store.get("audio/one") == data
    assert await store.size("audio/one") == len(data)
    assert await read(store, "audio/one") == data


@pytest.mark.parametrize("size", [0, 1, bucket.PART_BYTES, bucket.PART_BYTES + 1, 21 * MIB])
async def test_a_stream_of_any_length_comes_back_whole(store: Store, size: int) -> None:
    data = noise(size)
    assert await store.put("audio/streamed", chunked(data, 700_001)) == size
    assert await store.size("audio/streamed") == size
    assert await read(store, "audio/streamed") == data


async def test_streams_are_read_in_chunks_of_one_mebibyte_at_most(store: Store) -> None:
    await store.put("audio/long", noise(5 * MIB + 1))
    sizes = [len(chunk) async for chunk in store.stream("audio/long")]
    assert max(sizes) <= MIB
    assert sum(sizes) == 5 * MIB + 1


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 1), (10, 20), (0, None), (99, 100), (50, 1000), (100, None), (500, 600), (7, 7)],
)
async def test_a_range_is_clipped_to_the_object(store: Store, start: int, end: int | None) -> None:
    data = noise(100)
    await store.put("audio/ranged", data)
    found = b"".join([c async for c in store.stream("audio/ranged", start=start, end=end)])
    assert found == data[start:end]


async def test_a_range_across_many_reads_is_exact(store: Store) -> None:
    data = noise(10 * MIB)
    await store.put("audio/ranged", data)
    found = await read(store, "audio/ranged", start=MIB - 3, end=9 * MIB + 5)
    assert found == data[MIB - 3 : 9 * MIB + 5]


async def test_a_range_that_runs_backwards_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="bad range"):
        await read(store, "audio/x", start=5, end=4)


async def test_a_reader_may_stop_early(store: Store) -> None:
    await store.put("audio/long", noise(6 * MIB))
    stream = store.stream("audio/long")
    assert len(await anext(stream)) == MIB
    await stream.aclose()


async def test_files_go_in_and_come_out(store: Store, tmp_path: Path) -> None:
    spooled = tmp_path / "spooled"
    spooled.write_bytes(noise(9 * MIB))
    assert await store.put_file("audio/file", spooled) == 9 * MIB
    assert await store.download("audio/file", tmp_path / "copy") == 9 * MIB
    assert (tmp_path / "copy").read_bytes() == spooled.read_bytes()


async def test_a_spooled_file_that_is_gone_is_not_blamed_on_the_store(
    store: Store, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await store.put_file("audio/file", tmp_path / "gone")
    assert await paths(store) == []


async def test_a_missing_object_is_told_apart_from_a_missing_store(
    store: Store, tmp_path: Path
) -> None:
    await store.put("results/t/1.json", b"{}")
    for path in ("audio/none", "results", "results/t", "results/t/1.json/below"):
        with pytest.raises(StoreObjectMissing, match=path):
            await store.get(path)
        with pytest.raises(StoreObjectMissing):
            await store.size(path)
        with pytest.raises(StoreObjectMissing):
            await read(store, path)
    with pytest.raises(StoreObjectMissing):
        await store.download("audio/none", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


async def test_a_second_put_replaces_the_first(store: Store) -> None:
    await store.put("results/t/1.json", b"a longer first version")
    await store.put("results/t/1.json", b"second")
    assert await store.get("results/t/1.json") == b"second"
    assert await store.size("results/t/1.json") == 6


@pytest.mark.parametrize("size", [100_000, 30 * MIB])
async def test_an_interrupted_put_leaves_nothing_and_keeps_the_old_version(
    store: Store, size: int
) -> None:
    with pytest.raises(ConnectionResetError, match="the client went away"):
        await store.put("audio/broken", failing_after(noise(size)))
    assert await paths(store) == []
    await store.put("audio/kept", b"old")
    with pytest.raises(ConnectionResetError):
        await store.put("audio/kept", failing_after(noise(size)))
    assert await store.get("audio/kept") == b"old"


@pytest.mark.parametrize("size", [100_000, 30 * MIB])
async def test_a_cancelled_put_leaves_nothing(
    store: Store, size: int, request: pytest.FixtureRequest
) -> None:
    stalled = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        async for chunk in chunked(noise(size)):
            yield chunk
        stalled.set()
        await asyncio.Event().wait()

    put = asyncio.create_task(store.put("audio/stalled", stalling()))
    await asyncio.wait_for(stalled.wait(), 30)
    put.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put
    assert await paths(store) == []
    if store.url.startswith("s3:"):
        uploads = request.getfixturevalue("s3").list_multipart_uploads(Bucket=BUCKET)
        assert uploads.get("Uploads", []) == []


async def test_no_reader_sees_an_object_before_it_is_complete(store: Store) -> None:
    half_sent, go_on = asyncio.Event(), asyncio.Event()

    async def halting() -> AsyncIterator[bytes]:
        yield noise(20 * MIB)
        half_sent.set()
        await go_on.wait()
        yield b"the end"

    put = asyncio.create_task(store.put("audio/slow", halting()))
    await asyncio.wait_for(half_sent.wait(), 30)
    with pytest.raises(StoreObjectMissing):
        await store.size("audio/slow")
    assert await paths(store) == []
    go_on.set()
    assert await put == 20 * MIB + 7
    assert await store.size("audio/slow") == 20 * MIB + 7


async def test_deleting_twice_is_fine(store: Store) -> None:
    await store.put("audio/one", b"1")
    await store.delete("audio/one")
    await store.delete("audio/one")
    assert await paths(store) == []


async def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(store: Store) -> None:
    for path in ("results/a/1.json", "results/a/2.json", "results/ab/1.json", "audio/a"):
        await store.put(path, b"x")
    assert await paths(store, "results/a/") == ["results/a/1.json", "results/a/2.json"]
    assert await paths(store, "results/a") == ["results/a/1.json", "results/a/2.json"]
    assert await paths(store, "nothing") == []
    assert await store.delete_prefix("results/a/") == 2
    assert await store.delete_prefix("results/a/") == 0
    assert await paths(store) == ["audio/a", "results/ab/1.json"]


async def test_a_listing_tells_size_and_time(store: Store) -> None:
    before = time.time()
    await store.put("audio/one", b"12345")
    [found] = [found async for found in store.list("audio")]
    assert (found.path, found.size) == ("audio/one", 5)
    assert before - 2 <= found.modified_at <= time.time() + 2


async def test_a_listing_goes_on_past_one_page(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_LISTING_BATCH", 50)
    names = [f"audio/{number:04}" for number in range(150)]
    for name in names:
        await store.put(name, b"")
    assert await paths(store, "audio") == names


async def test_the_whole_store_is_never_deleted_by_an_empty_prefix(store: Store) -> None:
    with pytest.raises(ValueError, match="whole store"):
        await store.delete_prefix("")


@pytest.mark.parametrize(
    "path",
    [
        *("", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".", "a/./b", "a\\b", "a\0b", "ä"),
        *("a b", ".unfinished/x", "a/" + "x" * 300),
    ],
)
async def test_a_path_that_could_leave_the_store_is_refused(store: Store, path: str) -> None:
    calls = [store.put(path, b""), store.get(path), store.size(path), store.delete(path)]
    for call in calls:
        with pytest.raises(ValueError, match="bad store path"):
            await call
    with pytest.raises(ValueError, match="bad store path"):
        await read(store, path)


async def test_writers_and_deleters_of_one_folder_do_not_trip_each_other(store: Store) -> None:
    async def come_and_go(number: int) -> None:
        for _ in range(20):
            await store.put(f"results/t/{number}.json", b"x")
            await store.delete(f"results/t/{number}.json")

    await asyncio.gather(*(come_and_go(number) for number in range(8)))
    assert await paths(store) == []


async def test_asking_whether_a_store_is_ready_leaves_nothing_in_it(store: Store) -> None:
    await store.put("audio/x", b"1")
    await store.ready()
    assert await paths(store) == ["audio/x"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/var/lib/x",
        "memory://",
        "https://h/x",
        "file://host/x",
        "file://",
        "file:///",
        "s3:///x",
        "s3://key:secret@bucket/x",
    ],
)
async def test_a_url_that_cannot_be_served_is_refused_without_showing_credentials(url: str) -> None:
    with pytest.raises(ValueError, match="store") as refused:
        Store.open(url)
    assert "secret" not in str(refused.value)


# What only a bucket can show.


async def test_an_interrupted_upload_is_aborted_on_the_server(s3: Any) -> None:
    store = Store.open(f"s3://{BUCKET}")
    with pytest.raises(ConnectionResetError):
        await store.put("audio/broken", failing_after(noise(30 * MIB)))
    assert s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []


async def test_objects_lie_below_the_prefix_of_the_url(s3: Any) -> None:
    await Store.open(f"s3://{BUCKET}/some/prefix").put("audio/one", b"1")
    [found] = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert found["Key"] == "some/prefix/audio/one"


async def test_a_bucket_that_does_not_exist_is_no_missing_object(s3: Any) -> None:
    store = Store.open("s3://no-such-bucket")
    for call in (store.ready(), store.get("audio/x"), store.put("audio/x", b"1")):
        with pytest.raises(StoreUnavailable):
            await call


async def test_a_store_that_refuses_connections_is_unavailable_within_ten_seconds(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        store = Store.open(f"s3://{BUCKET}")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.ready()
        with pytest.raises(StoreUnavailable):
            await store.put("audio/x", chunked(noise(20 * MIB)))
        assert time.monotonic() - began < 20


async def test_a_store_that_never_answers_is_unavailable(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "_ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        store = Store.open(f"s3://{BUCKET}")
        for call in (store.ready(), store.get("x"), store.delete("x"), store.put("x", b"1")):
            with pytest.raises(StoreUnavailable):
                await call
