"""The load against a server that is scripted: what is asked again, what is waited for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from asr_cli.load.ledger import Ledger
from asr_cli.load.plan import LoadPlan
from asr_cli.load.recording import Recording
from asr_cli.load.session import Session, task_end
from asr_cli.load.traffic import Traffic

pytestmark = pytest.mark.asyncio
Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]
COMPLETED = {
    "status": "completed",
    "duration_seconds": 12.0,
    "queued_at": "2026-01-01T00:00:00Z",
    "started_at": "2026-01-01T00:00:02.500000Z",
    "finished_at": "2026-01-01T00:00:04Z",
    "error": None,
}


def refusal(status: int, code: str = "", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code}}, headers=headers)


class Server:
    """Accepts and completes everything, but for what is scripted for the first requests."""

    def __init__(self) -> None:
        self.submits: list[httpx.Response | Exception] = []
        self.results: list[httpx.Response | Exception] = []
        self.keys: list[str] = []
        self.asked: list[str] = []
        self.pause_seconds = 0.0
        self.result_seconds = 0.01

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        if request.method == "POST":
            key = request.headers["Idempotency-Key"]
            self.keys.append(key)
            await asyncio.sleep(self.pause_seconds)
            accepted = httpx.Response(202, json={"task_id": f"task-{key}"})
            return self._next(self.submits) or accepted
        self.asked.append(request.url.path)
        await asyncio.sleep(self.result_seconds)
        return self._next(self.results) or httpx.Response(200, json=COMPLETED)

    @staticmethod
    def _next(script: list[httpx.Response | Exception]) -> httpx.Response | None:
        answer = script.pop(0) if script else None
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def traffic(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Traffic]:
    monkeypatch.setattr("asr_cli.load.traffic.ASK_AGAIN_SECONDS_MOST", 0.05)
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF....")
    tls = ssl.create_default_context()

    def make(plan: LoadPlan) -> Traffic:
        transport = httpx.MockTransport(server)
        sessions = lambda: Session("http://asr.test", tls, transport=transport)  # noqa: E731
        return Traffic(plan, [Recording(path, {})], Ledger(), sessions)

    return make


def one_task() -> LoadPlan:
    """A single submission, at the start."""
    return LoadPlan(1, 0.2, rate=0.1, drain_seconds=10.0)


async def test_a_client_waits_for_its_task_before_it_submits_the_next(
    traffic: Callable[..., Traffic], server: Server
) -> None:
    server.result_seconds = 0.15
    run = traffic(LoadPlan(3, 1.0))
    await run.run()
    # Three clients for a second, each task a seventh of one; less on a machine that stands still.
    assert 3 < run.ledger.submitted <= 21
    assert run.ledger.completed == run.ledger.accepted == run.ledger.submitted
    assert len(set(server.keys)) == run.ledger.submitted


@pytest.mark.parametrize(
    "lost_reply",
    [
        httpx.ReadTimeout("silence"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("closed"),
        refusal(502),
        refusal(504),
    ],
)
async def test_a_submission_whose_reply_was_lost_is_asked_for_with_the_same_key(
    traffic: Callable[..., Traffic], server: Server, lost_reply: httpx.Response | Exception
) -> None:
    server.submits = [lost_reply, httpx.ConnectError("refused"), refusal(503)]
    run = traffic(one_task())
    await run.run()
    assert len(server.keys) == 4
    assert len(set(server.keys)) == 1
    ledger = run.ledger
    assert (ledger.submitted, ledger.accepted, ledger.completed) == (1, 1, 1)
    assert (ledger.asked_again, ledger.errors) == (3, 3)


@pytest.mark.parametrize(
    "rejection",
    [
        refusal(429, "queue_full"),
        refusal(503, "queue_unavailable"),
        refusal(415, "unsupported_audio"),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("silence"),
    ],
)
async def test_a_submission_that_was_not_accepted_is_counted_and_not_sent_again(
    traffic: Callable[..., Traffic], server: Server, rejection: httpx.Response | Exception
) -> None:
    server.submits = [rejection]
    run = traffic(one_task())
    await run.run()
    assert len(server.keys) == 1
    assert (run.ledger.rejected, run.ledger.accepted, run.ledger.errors) == (1, 0, 1)


async def test_a_client_that_is_told_to_wait_does_so_before_its_next_submission(
    traffic: Callable[..., Traffic], server: Server
) -> None:
    server.submits = [refusal(429, "queue_full", **{"Retry-After": "30"})]
    run = traffic(LoadPlan(1, 0.3))
    await run.run()
    assert run.ledger.submitted == 1
    assert run.load_seconds < 10


@pytest.mark.parametrize(("status", "code"), [(404, "task_not_found"), (410, "result_gone")])
async def test_a_task_that_the_api_no_longer_knows_is_lost(
    traffic: Callable[..., Traffic], server: Server, status: int, code: str
) -> None:
    server.results = [refusal(status, code)]
    run = traffic(one_task())
    await run.run()
    (lost,) = run.ledger.lost
    assert lost.task_id == f"task-{server.keys[0]}"
    assert lost.reason == f"result: HTTP {status} {code}"


async def test_a_404_of_somebody_else_and_a_connection_that_breaks_are_asked_past(
    traffic: Callable[..., Traffic], server: Server
) -> None:
    server.results = [httpx.Response(404, text="no backend"), httpx.ReadError("reset")]
    run = traffic(one_task())
    await run.run()
    assert (run.ledger.completed, run.ledger.lost, run.ledger.errors) == (1, [], 2)
    assert len(set(server.asked)) == 1


async def test_one_id_for_two_submissions_is_an_error_and_not_two_tasks(
    traffic: Callable[..., Traffic], server: Server
) -> None:
    server.submits = [httpx.Response(202, json={"task_id": "the-same"}) for _ in range(2)]
    run = traffic(LoadPlan(2, 0.1, rate=20.0))
    await run.run()
    assert (run.ledger.accepted, run.ledger.rejected, run.ledger.completed) == (1, 1, 1)
    assert [problem.code for problem in run.ledger.problems] == ["id_of_another_task"]


async def test_a_submission_that_is_never_answered_is_unknown_and_not_lost(
    traffic: Callable[..., Traffic], server: Server
) -> None:
    server.submits = [httpx.ReadTimeout("silence")] * 100
    run = traffic(LoadPlan(1, 0.1, rate=0.1, drain_seconds=0.2))
    await run.run()
    assert run.ledger.asked == {server.keys[0]}
    assert (run.ledger.accepted, run.ledger.rejected, run.ledger.lost) == (0, 0, [])


async def test_latency_in_an_open_loop_counts_from_the_intended_moment(
    traffic: Callable[..., Traffic], server: Server
) -> None:
    """One client, four arrivals 0.1 s apart, each 0.3 s long: the waits of all before add up."""
    server.pause_seconds, server.result_seconds = 0.3, 0.0
    run = traffic(LoadPlan(1, 1.5, rate=10.0))
    await run.run()
    submits = list(run.ledger.submit_seconds)
    assert submits[0] >= 0.3
    assert submits[3] >= 4 * 0.3 - 3 * 0.1 - 0.01
    assert submits == sorted(submits)


async def test_arrivals_for_which_no_client_was_free_are_told(
    traffic: Callable[..., Traffic], server: Server
) -> None:
    server.pause_seconds = 0.3
    run = traffic(LoadPlan(2, 1.0, rate=50.0))
    await run.run()
    assert run.ledger.submitted + run.unsent == 50
    assert run.unsent > 30


async def test_the_first_interrupt_ends_the_load_and_the_second_the_waiting(
    traffic: Callable[..., Traffic], server: Server
) -> None:
    server.result_seconds = 60.0
    run = traffic(LoadPlan(2, 60.0))
    running = asyncio.create_task(run.run())
    async with asyncio.timeout(10):
        while run.ledger.accepted < 2:
            await asyncio.sleep(0.01)
        run.cut()
        while not run.draining:
            await asyncio.sleep(0.01)
        assert not running.done()
        run.cut()
        await running
    assert (len(run.ledger.unfinished), run.ledger.lost) == (2, [])
    assert run.interrupted


async def test_what_the_result_says_of_the_tasks_times_is_read() -> None:
    end = task_end(COMPLETED)
    assert end is not None
    assert (end.wait_seconds, end.processing_seconds, end.audio_seconds) == (2.5, 1.5, 12.0)
    never_begun = {**COMPLETED, "status": "cancelled", "started_at": None}
    ended = task_end(never_begun)
    assert ended is not None
    assert (ended.wait_seconds, ended.processing_seconds) == (None, None)
    assert task_end({**COMPLETED, "status": "processing"}) is None
