"""The blocking client's own: threads, interrupts, loops, forks, and its end."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from asr_platform import Client, ClientError
from asr_platform.loop_thread import LoopThread


def queued(request: httpx.Request) -> httpx.Response:
    task_id = request.url.path.rpartition("/")[2]
    return httpx.Response(200, json={"task_id": task_id, "status": "completed"})


def own_threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == "asr_platform"}


def client_of(answer: Any = queued) -> Client:
    return Client("http://asr.test", transport=httpx.MockTransport(answer))


def test_threads_share_one_client() -> None:
    """All 16 requests are in flight at once: none is answered before the last has come."""
    came = []
    all_came = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        came.append(request)
        if len(came) == 16:
            all_came.set()
        await asyncio.wait_for(all_came.wait(), 30)
        return queued(request)

    with client_of(answer) as client, ThreadPoolExecutor(16) as pool:
        ids = [f"t{number}" for number in range(16)]
        assert [task.task_id for task in pool.map(client.task, ids)] == ids


def test_it_works_where_a_loop_is_running_already() -> None:
    async def notebook() -> str:
        with client_of() as client:
            return client.task("t1").task_id

    assert asyncio.run(notebook()) == "t1"


def test_a_callback_that_calls_the_client_is_told_instead_of_waiting_for_ever() -> None:
    with client_of() as client, pytest.raises(ClientError, match="callback"):
        client.wait("t1", on_progress=lambda task: client.task(task))


def test_an_interrupt_cancels_the_call() -> None:
    code = """
import asyncio, os, signal, sys, threading
from asr_platform.loop_thread import LoopThread

async def call(owned):
    main = threading.main_thread().ident
    while sys._current_frames()[main].f_code.co_name != "wait":
        await asyncio.sleep(0.01)
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        ended.set()
        raise

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
ended = threading.Event()
thread = LoopThread(lambda: None)
try:
    thread.run(call)
except KeyboardInterrupt:
    print("interrupted", ended.wait(30))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert sorted(done.stdout.splitlines()) == ["cancelled", "interrupted True"], done.stderr


def test_a_forked_process_has_connections_of_its_own() -> None:
    code = """
import os, httpx
from asr_platform import Client

def answer(request):
    return httpx.Response(200, json={"task_id": str(os.getpid()), "status": "queued"})

with Client("http://asr.test", transport=httpx.MockTransport(answer)) as client:
    assert client.task("t").task_id == str(os.getpid())
    child = os.fork()
    if not child:
        right = client.task("t").task_id == str(os.getpid())
        client.close()
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.task("t").task_id == str(os.getpid())
"""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_its_thread_begins_with_the_first_call_and_ends_with_the_client() -> None:
    before = own_threads()
    unused, closed, dropped = client_of(), client_of(), client_of()
    assert own_threads() == before
    closed.task("t")
    dropped.task("t")
    started = own_threads() - before
    assert len(started) == 2
    unused.close()
    closed.close()
    closed.close()
    del dropped
    gc.collect()
    for thread in started:
        thread.join(30)
        assert not thread.is_alive()
    with pytest.raises(ClientError, match="closed"):
        closed.task("t")


def test_calls_that_are_open_when_it_is_closed_end() -> None:
    under_way = threading.Event()

    async def for_ever(_: None) -> None:
        under_way.set()
        await asyncio.Event().wait()

    async def end(_: None) -> None:
        return

    thread = LoopThread(lambda: None)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(thread.run, for_ever)
        assert under_way.wait(30)
        thread.close(end)
        assert isinstance(waiting.exception(30), BaseException)


def test_an_iteration_that_is_dropped_closes_its_connection() -> None:
    closed = threading.Event()

    class Stream(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                yield b"RIFF"

        async def aclose(self) -> None:
            closed.set()

    with client_of(lambda request: httpx.Response(200, stream=Stream())) as client:
        for chunk in client.audio("t1"):
            assert chunk == b"RIFF"
            break
        assert closed.wait(30)
