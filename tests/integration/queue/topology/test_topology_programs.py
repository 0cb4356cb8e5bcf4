"""Programs beside API and worker, on what Sentinels watch and on a Cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import uuid_utils

from asr_core.errors import QueueUnavailable
from asr_core.queue import ApiKeyStore, Consumer, Finish, Outbox, Producer, RedisConnection, Tenants
from asr_core.queue.fetching import Fetching
from asr_core.settings.queue import QueueSettings, TenantSettings
from asr_core.settings.redis import RedisSettings
from asr_core.store import Store
from asr_core.task import NewTask, result_path
from asr_operator.planning.observation import Signal
from asr_operator.planning.spec import PoolSpec
from asr_operator.reconcile.queue_client import PoolQueue
from asr_operator.settings import OperatorSettings

SENTINEL_PASSWORD = "look"

pytestmark = pytest.mark.asyncio


def asr(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """What `asr … --json` prints."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("ASR_", "REDIS_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "asr_cli", *arguments, "--json"],
        env={**own, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


class Secrets:
    """A cluster that has nothing but the Secret of the pool."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._texts = {"url": environment["ASR_REDIS_URL"] + "\n"}
        self._texts["ca"] = Path(environment["REDIS_CA_FILE"]).read_text()

    async def secret_text(self, _: str, ref: Any) -> str:
        return self._texts[ref.key]


@pytest.mark.parametrize("place", ["tls_trio", "tls_cluster"])
async def test_every_program_works_with_both(place: str, request: Any, tmp_path: Path) -> None:
    where = request.getfixturevalue(place)
    prefix = where.settings().key_prefix
    url = (tmp_path / "store").as_uri()
    environment = {**where.environment(), "ASR_STORE_URL": url, "MAX_RECORDINGS": "0"}
    connection, queue = RedisConnection(where.settings()), QueueSettings(_env_file=None)
    producer = Producer(connection, queue)
    await producer.prepare()
    store = Store.open(url)
    await store.ready()
    for _ in range(3):
        task_id = str(uuid_utils.uuid7())
        await store.put(f"audio/{task_id}", b"abc")
        await producer.submit(NewTask(task_id=task_id, bytes=3, duration_seconds=1))
    consumer = Consumer(connection, queue, pool="default", name="w")
    [claim] = await consumer.claim(room_seconds=1, room_tasks=1, in_flight=0)
    result = result_path(claim.task.task_id, 1)
    await store.put(result, b"{}")
    await consumer.finish([Finish(claim.task.task_id, claim.token, result, 0.1)])

    assert asr(environment, "queue", "status")["waiting"] == 2
    assert asr(environment, "reconcile", "--adopt-store", "--sweep")["orphans"] == 0
    assert asr(environment, "retention")["recordings_deleted"] == 1

    # What asks with several commands at once.
    assert (await Outbox(connection).depth()).waiting == 0
    assert await Fetching(connection, queue).depth() == 0
    [standing] = await Tenants(connection, TenantSettings(_env_file=None)).tenant_usage()
    assert standing.open_tasks == 2
    await ApiKeyStore(connection).create("k", tenant="t", scopes=())
    assert [key.name for key in await ApiKeyStore(connection).list()] == ["k"]
    assert len((await producer.history(tenant="default")).tasks) == 3
    await connection.close()

    redis = {name: {"name": "redis", "key": name[:-9]} for name in ("urlSecretRef", "caSecretRef")}
    spec = PoolSpec.parse(
        {"scaleTargetRef": {"name": "w"}, "redis": {**redis, "keyPrefix": prefix}}
    )
    pool = PoolQueue(Secrets(environment), "asr", OperatorSettings(_env_file=None))  # type: ignore[arg-type]
    queue = (await pool.observe(spec)).queue
    assert (queue.signal, queue.waiting, queue.error) == (Signal.OK, 2, "")
    await pool.close()


async def test_a_server_that_asks_for_a_certificate_is_shown_the_one_of_the_settings(
    farm: Any, certificates: Any
) -> None:
    server = farm.node("tls-auth-clients yes", certificates=certificates)
    given: dict[str, Any] = {
        "REDIS_PORT": server.port, "REDIS_PASSWORD": server.password, "REDIS_TLS": True,
        "REDIS_CA_FILE": certificates.authority,
    }  # fmt: skip
    shown = {"REDIS_CERT_FILE": certificates.certificate, "REDIS_KEY_FILE": certificates.key}
    for settings, is_let_in in ((given, False), ({**given, **shown}, True)):
        connection = RedisConnection(RedisSettings(_env_file=None, **settings))
        with nullcontext() if is_let_in else pytest.raises(QueueUnavailable):
            await connection.ready()
        await connection.close()


async def test_the_operator_says_what_is_wrong_with_a_secret_and_shows_no_password() -> None:
    class Wrong:
        async def secret_text(self, *_: Any) -> str:
            return "redis+cluster://:secret@redis"

    spec = PoolSpec.parse(
        {
            "scaleTargetRef": {"name": "w"},
            "redis": {"urlSecretRef": {"name": "redis", "key": "url"}},
        }
    )
    pool = PoolQueue(Wrong(), "asr", OperatorSettings(_env_file=None))  # type: ignore[arg-type]
    error = (await pool.observe(spec)).queue.error
    await pool.close()
    assert error.startswith("Secret 'redis', key 'url': ASR_KEY_PREFIX must be set")
    assert "secret@" not in error


async def test_a_url_that_does_not_say_so_is_told_that_it_names_a_cluster_or_sentinels(
    trio: Any, cluster: Any
) -> None:
    seed = next(node for node in cluster.masters if node is not cluster.owner)
    for settings, says in (
        ({"REDIS_PORT": seed.port, "REDIS_PASSWORD": seed.password}, r"redis\+cluster://"),
        (
            {"REDIS_PORT": trio.sentinels[0].port, "REDIS_PASSWORD": SENTINEL_PASSWORD},
            r"redis\+sentinel://",
        ),
        ({"REDIS_SENTINELS": f"127.0.0.1:{seed.port}"}, "names? no master"),
        ({"REDIS_CLUSTER": True, "REDIS_PORT": trio.servers[0].port}, "cluster support disabled"),
    ):
        given = {"ASR_KEY_PREFIX": cluster.settings().key_prefix, "REDIS_PASSWORD": seed.password}
        connection = RedisConnection(RedisSettings(_env_file=None, **{**given, **settings}))
        with pytest.raises(QueueUnavailable, match=says):
            await connection.ready()
        await connection.close()
