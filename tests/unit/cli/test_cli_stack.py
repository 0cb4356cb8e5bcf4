from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asr_cli.local.redis_server import ServerProgram
from asr_cli.local.stack import StackPlan, names_of_machine, threads_per_worker
from asr_core.settings.redis_address import redis_address

PLAN = StackPlan(
    data=Path("/somewhere/my data"),
    host="127.0.0.1",
    api_port=8000,
    redis_socket=Path("/somewhere/my data/redis/redis.sock"),
    workers=2,
    cpu_threads_per_worker=4,
    grace_seconds=5.0,
    metrics_port=9100,
    model="iic/SenseVoiceSmall",
    model_cache=Path("/somewhere/my data/models"),
    environment={
        "PATH": "/bin", "REDIS_HOST": "elsewhere", "REDIS_CA_FILE": "/ca", "REDIS_TLS": "true",
        "REDIS_CLUSTER": "true", "ASR_KEY": "1",
    },
)  # fmt: skip
SERVER = ServerProgram("/bin/redis-server", "redis-server", (7, 0, 15))


def test_every_program_is_pointed_at_the_private_redis_and_store() -> None:
    for program in (PLAN.api(), PLAN.worker(1), PLAN.retention()):
        assert (
            program.environment["ASR_REDIS_URL"] == "unix:///somewhere/my%20data/redis/redis.sock"
        )
        assert program.environment["ASR_STORE_URL"] == "file:///somewhere/my%20data/store"
        assert program.environment["REDIS_PASSWORD"] == ""
        assert program.environment["REDIS_CA_FILE"] == ""
        assert program.environment["REDIS_TLS"] == program.environment["REDIS_CLUSTER"] == "false"


def test_the_private_redis_is_served_whatever_the_environment_says_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {**PLAN.environment, "REDIS_SENTINELS": "a,b"}.items():
        monkeypatch.setenv(name, value)
    assert redis_address(PLAN.redis_settings).path == "/somewhere/my data/redis/redis.sock"


def test_other_settings_of_the_environment_are_passed_on() -> None:
    assert PLAN.api().environment["ASR_KEY"] == "1"


def test_workers_differ_in_name_log_and_metrics_port() -> None:
    first, second = PLAN.worker(1), PLAN.worker(2)
    assert first.environment["ASR_WORKER_NAME"] != second.environment["ASR_WORKER_NAME"]
    assert first.log_file != second.log_file
    assert (first.environment["ASR_METRICS_PORT"], second.environment["ASR_METRICS_PORT"]) == (
        "9100",
        "9101",
    )


def test_a_worker_program_is_one_process_however_many_are_wanted() -> None:
    assert PLAN.worker(1).environment["WORKER_COUNT"] == "1"


def test_the_model_and_its_cache_go_to_workers() -> None:
    environment = PLAN.worker(1).environment
    assert environment["ASR_MODEL"] == "iic/SenseVoiceSmall"
    assert environment["ASR_MODEL_CACHE"] == "/somewhere/my data/models"
    assert "HF_HUB_OFFLINE" not in environment
    assert replace(PLAN, offline=True).worker(1).environment["HF_HUB_OFFLINE"] == "1"


def test_a_worker_gets_its_grace_before_it_is_killed() -> None:
    worker = replace(PLAN, grace_seconds=60.0).worker(1)
    assert worker.environment["ASR_GRACE_SECONDS"] == "60"
    assert worker.stop_seconds > 60


def test_retention_is_repeated_and_its_death_ends_nothing() -> None:
    program = PLAN.retention()
    assert program.arguments[-2:] == ("--every", "60")
    assert not program.essential


def test_only_redis_keeps_the_lock_of_the_folder_open() -> None:
    assert PLAN.redis(SERVER, 7).kept_files == (7,)
    assert PLAN.api().kept_files == PLAN.worker(1).kept_files == ()


def test_everything_that_is_written_lies_in_the_data_folder() -> None:
    for program in (PLAN.redis(SERVER, 7), PLAN.api(), PLAN.worker(1), PLAN.retention()):
        assert program.log_file.is_relative_to(PLAN.data)


def test_metrics_are_served_where_the_api_listens() -> None:
    plan = replace(PLAN, host="0.0.0.0")
    for program in (plan.api(), plan.worker(1), plan.courier()):
        assert program.environment["ASR_API_HOST"] == "0.0.0.0"


def test_the_printed_address_can_be_opened_when_all_addresses_are_listened_on() -> None:
    for everywhere in ("0.0.0.0", "::"):
        assert replace(PLAN, host=everywhere).api_url == "http://127.0.0.1:8000"


def test_the_printed_address_of_ipv6_stands_in_brackets() -> None:
    assert replace(PLAN, host="::1").api_url == "http://[::1]:8000"


def test_workers_share_the_processors_and_one_alone_may_have_them_all() -> None:
    assert threads_per_worker(1, 8) is None
    assert threads_per_worker(3, 8) == 2
    assert threads_per_worker(16, 8) == 1


@pytest.mark.parametrize(
    ("listens_on", "hostname", "names"),
    [
        ("127.0.0.1", "box", ()),
        ("::1", "box", ()),
        ("0.0.0.0", "Box", ("box", "box.local")),
        ("::", "box.example.org", ("box.example.org",)),
        ("10.0.0.7", "not a name", ()),
    ],
)
def test_a_machine_that_listens_for_its_network_is_called_by_its_names(
    listens_on: str, hostname: str, names: tuple[str, ...]
) -> None:
    assert names_of_machine(listens_on, hostname) == names
    told = replace(PLAN, allowed_hosts=names).api().environment["ASR_ALLOWED_HOSTS"]
    assert told == ",".join(names)
