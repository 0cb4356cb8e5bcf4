from __future__ import annotations

from asr_cli.local.supervisor import (
    DEATHS_WINDOW_SECONDS,
    PLANNED_LEAST_SECONDS,
    RESTART_FIRST_SECONDS,
    RESTART_MOST_SECONDS,
    RESTARTS_MOST,
    describe_end,
    is_planned,
    readable,
    restart_delay,
)


def test_each_death_makes_the_next_start_wait_longer() -> None:
    deaths = [float(n) for n in range(RESTARTS_MOST)]
    delays = [
        restart_delay(deaths[:count], 4.0, essential=True) for count in range(1, len(deaths) + 1)
    ]
    assert delays == [0.5, 1, 2, 4, 8]


def test_an_essential_program_that_keeps_dying_is_given_up() -> None:
    deaths = [1.0] * (RESTARTS_MOST + 1)
    assert restart_delay(deaths, 1.0, essential=True) is None


def test_a_worker_is_started_again_for_ever() -> None:
    """A poison recording may crash it several times before it is found out."""
    assert restart_delay([1.0] * 50, 1.0, essential=False) == RESTART_MOST_SECONDS


def test_deaths_of_long_ago_do_not_count() -> None:
    old = [0.0] * 50
    now = DEATHS_WINDOW_SECONDS + 1
    assert restart_delay([*old, now], now, essential=True) == RESTART_FIRST_SECONDS


def test_a_worker_that_ended_in_order_has_not_died() -> None:
    long_enough = PLANNED_LEAST_SECONDS
    assert is_planned(0, long_enough, essential=False)
    assert not is_planned(0, long_enough - 1, essential=False)
    assert not is_planned(1, long_enough, essential=False)
    assert not is_planned(-15, long_enough, essential=False)
    assert not is_planned(0, long_enough, essential=True)


def test_how_a_program_ended_is_said_in_words() -> None:
    assert describe_end("api", 1) == "api ended with status 1"
    assert describe_end("worker-1", -9) == "worker-1 was killed by SIGKILL"


def test_a_json_log_is_told_as_sentences_and_any_other_line_as_it_is() -> None:
    line = '{"timestamp": "t", "level": "critical", "logger": "l", "event": "no", "reason": "gone"}'
    assert readable(line) == "critical: no (reason=gone)"
    assert readable('{"level": "error", "event": "x", "exception": "Trace\\nValueError: y"}') == (
        "error: x: ValueError: y"
    )
    for other in ("Traceback (most recent call last):", "[1, 2]", '{"a": 1}', ""):
        assert readable(other) == other
