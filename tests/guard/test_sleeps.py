"""Tests wait for what happens, not for time to pass."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# What plays something slow: the pause is the behaviour of a double, not a wait of the test.
SLOW_DOUBLES = {
    "integration/api/courier/test_hostile_servers.py:"
    "test_a_body_at_the_least_rate_arrives_whole.send": "a server that is slow",
    "integration/api/courier/test_hostile_servers.py:"
    "test_a_chain_of_slow_redirects_ends_with_the_whole_time.redirect": "a server that is slow",
    "integration/api/process/test_hostile_clients.py:leave": "leaves at a moment of chance",
    "integration/api/test_api_retention.py:"
    "test_a_retry_over_http_at_the_same_time_never_queues_a_task_without_audio.retain_later": (
        "at a moment of chance"
    ),
    "integration/api/test_api_retention.py:"
    "test_a_retry_over_http_at_the_same_time_never_queues_a_task_without_audio.retry": (
        "at a moment of chance"
    ),
    "integration/queue/test_retention_faults.py:"
    "test_a_retry_at_the_same_time_never_ends_in_a_queued_task_without_audio.later": (
        "at a moment of chance"
    ),
    "integration/worker/program/toy_worker.py:ToyEngine.submit": "an engine that is slow, or hangs",
    "integration/worker/program/toy_worker.py:commit": "a disk that hangs",
    "integration/worker/program/toy_worker.py:faulty_deliver": "a program that hangs",
    "integration/worker/test_decode_pool.py:"
    "test_a_long_file_may_take_its_time_as_long_as_samples_come": "a file that comes slowly",
    "unit/cli/test_cli_load_traffic.py:Server.__call__": "a server that is slow",
}


def bare_sleeps(tree: ast.AST, place: str) -> Iterator[str]:
    """Calls of `sleep` that neither poll (inside a `while`), nor only let others run (`sleep(0)`),
    nor strike at a moment of chance, with the function that each is in.
    """

    def walk(node: ast.AST, within: str, polls: bool) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            inner, polling = within, polls or isinstance(child, ast.While)
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner, polling = f"{within}.{child.name}".strip("."), False
            if isinstance(child, ast.Call) and not polls:
                name = ast.unparse(child.func).rpartition(".")[2]
                wait = ast.unparse(child.args[0]) if child.args else ""
                if name == "sleep" and wait != "0" and ".uniform(" not in wait:
                    yield f"{place}:{within}"
            yield from walk(child, inner, polling)

    yield from walk(tree, "", False)


def found() -> set[str]:
    return {
        sleep
        for path in sorted(TESTS.rglob("*.py"))
        for sleep in bare_sleeps(ast.parse(path.read_text()), str(path.relative_to(TESTS)))
    }


def test_no_test_waits_for_time_to_pass() -> None:
    bare = found()
    assert bare - set(SLOW_DOUBLES) == set(), "wait for what is to happen: poll until it has"
    assert set(SLOW_DOUBLES) - bare == set(), "these are not there any more"


@pytest.mark.parametrize(
    ("code", "is_bare"),
    [
        ("async def test_x():\n    await asyncio.sleep(3)", True),
        ("def test_x():\n    time.sleep(settings.lease_seconds)", True),
        ("def test_x():\n    while True:\n        def inner():\n            time.sleep(1)", True),
        ("def test_x():\n    while not done():\n        time.sleep(0.02)", False),
        ("async def test_x():\n    await asyncio.sleep(0)", False),
        ("async def test_x():\n    await asyncio.sleep(chance.uniform(0, 1))", False),
        ("def test_x():\n    run('time.sleep(600)')", False),
    ],
)
def test_a_bare_sleep_is_told_from_polling(code: str, is_bare: bool) -> None:
    assert bool(list(bare_sleeps(ast.parse(code), "x"))) == is_bare
