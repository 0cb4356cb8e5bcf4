"""Redis answers and takes nothing: out of memory, out of disk, a replica. Clients are told when to
come again; what was accepted is worked off as soon as Redis allows.
"""

import signal
from typing import Any

FULL_BYTES = "1mb"


def refused(platform: Any) -> bool:
    """Whether a submission is refused, as it should be: nothing of it stays."""
    blobs = platform.stored("audio")
    reply = platform.submit()
    if reply.status_code == 202:
        return False
    assert reply.status_code == 503, reply.text
    assert int(reply.headers["Retry-After"]) >= 1
    assert reply.json()["error"]["code"] == "queue_unavailable"
    assert platform.stored("audio") == blobs
    assert platform.client.get("/readyz").status_code == 200
    return True


def test_a_full_redis_refuses_and_its_queue_drains_to_the_end_with_a_new_worker(
    platform_on: Any, eventually: Any
) -> None:
    platform = platform_on("--appendfsync", "everysec")
    with platform.worker_stopped(), platform.another_worker() as joining:
        first = platform.submit("first")
        tasks = [first.json()["task_id"], *platform.accepted(29)]
        platform.raw.config_set("maxmemory", FULL_BYTES)
        platform.raw.script_flush()
        assert refused(platform)
        assert "used memory" in platform.health()["redis"]["message"]
        replayed = platform.submit("first")
        assert (replayed.status_code, replayed.json()["task_id"]) == (202, tasks[0])
        platform.completed(tasks[:1], seconds=90)
        assert not joining.events("no claims")
    platform.completed(tasks)
    assert refused(platform)
    assert platform.status()["waiting"] == 0
    # Upkeep goes on as well.
    platform.raw.xgroup_destroy("asr_tasks", "asr_workers")
    eventually(lambda: platform.api_log.events("queue_mended"))
    platform.raw.config_set("maxmemory", "0")
    platform.completed(platform.accepted(2))
    # Under load an attempt may be lost and leave a result that only a sweep removes.
    assert len({path.parent.name for path in platform.stored("results")}) == len(tasks) + 2


def test_a_disk_without_room_under_everysec_refuses_until_there_is_room(
    platform_on: Any, eventually: Any
) -> None:
    """Nobody can renew a lease meanwhile, for longer than one lasts."""
    platform = platform_on("--appendfsync", "everysec")
    platform.pace(1)
    tasks = platform.accepted(6)
    platform.held(1)
    platform.redis.limit_files(1)
    eventually(lambda: refused(platform))
    eventually(lambda: "leases not renewed for a whole lease" in platform.worker_log.text())
    assert "MISCONF" in platform.health()["redis"]["message"]
    platform.redis.limit_files(-1)
    platform.pace(0)
    eventually(lambda: not refused(platform))
    platform.completed(tasks)
    told = [platform.hash(task_id) for task_id in tasks]
    assert {(task["attempt"], task.get("crashes", "0")) for task in told} == {("1", "0")}
    platform.redis.kill()
    platform.redis.start()
    platform.completed(tasks)


def test_a_disk_without_room_under_always_ends_redis_and_loses_nothing_accepted(
    platform_on: Any, eventually: Any
) -> None:
    platform = platform_on("--appendfsync", "always")
    platform.pace(1)
    tasks = platform.accepted(4)
    [file] = platform.redis.folder.glob("appendonlydir/*.incr.aof")
    platform.redis.limit_files(file.stat().st_size + 700)
    tasks += accepted_until_refused(platform)
    platform.redis.process.wait(20)
    assert "Can't recover from AOF write error" in (platform.redis.folder / "redis.log").read_text()
    assert refused(platform)
    platform.redis.start()
    platform.pace(0)
    platform.completed(tasks)
    platform.completed(platform.accepted(1))


def accepted_until_refused(platform: Any) -> list[str]:
    accepted = []
    while (reply := platform.submit()).status_code == 202:
        accepted.append(reply.json()["task_id"])
    assert reply.status_code == 503
    return accepted


def test_a_replica_refuses_until_it_is_promoted_and_then_goes_on_where_the_master_was(
    platform_on: Any, eventually: Any, tmp_path: Any, free_ports: Any
) -> None:
    """It takes over the master's address, as behind a Service. Its own run id is new."""
    platform = platform_on("--appendfsync", "always", "--repl-diskless-sync-delay", "0")
    platform.pace(0.5)
    tasks = platform.accepted(8)
    platform.held(1)
    [port] = free_ports(1)
    replica = platform.redis_at(port, tmp_path / "replica", "--replicaof", "127.0.0.1",
                                str(platform.redis_port))  # fmt: skip
    eventually(lambda: in_step(platform, replica))
    master = platform.redis
    with replica.client() as raw:
        raw.execute_command("REPLICAOF", "NO", "ONE")
        # Cut off too early: the master accepts one more, and dies.
        unreplicated = platform.submit("late")
        assert unreplicated.status_code == 202
        raw.execute_command("REPLICAOF", "127.0.0.1", "1")
        master.kill(signal.SIGKILL)
        raw.config_set("port", platform.redis_port)
    assert refused(platform)
    eventually(lambda: "replica" in platform.worker_log.text())
    platform.raw.execute_command("REPLICAOF", "NO", "ONE")
    eventually(lambda: not refused(platform))
    assert not platform.status()["trusted"]
    platform.pace(0)
    platform.completed(tasks)
    told = [platform.hash(task_id) for task_id in tasks]
    assert {(task["attempt"], task.get("crashes", "0")) for task in told} == {("1", "0")}
    # What was answered and not replicated is lost; the same key brings it back, once.
    assert platform.state(unreplicated.json()["task_id"]) == "404"
    again = [platform.submit("late").json()["task_id"] for _ in range(2)]
    assert again[0] == again[1]
    platform.completed(again[:1])


def test_a_permission_that_is_taken_away_ends_no_program_and_is_named(
    platform_on: Any, eventually: Any
) -> None:
    platform = platform_on("--appendfsync", "everysec")
    platform.pace(0.5)
    tasks = platform.accepted(4)
    platform.held(1)
    platform.raw.execute_command("ACL", "SETUSER", "default", "-info")
    status = platform.client.get("/api/v1/asr/queue/status")
    assert (status.status_code, status.json()["error"]["code"]) == (503, "queue_unavailable")
    assert "may not run INFO: ACL SETUSER default +info" in status.json()["error"]["message"]
    assert platform.client.get("/readyz").status_code == 200
    eventually(
        lambda: any("INFO" in told["error"] for told in platform.worker_log.events("no claims"))
    )
    platform.raw.execute_command("ACL", "SETUSER", "default", "+info")
    platform.completed([*tasks, *platform.accepted(1)])
    assert "Traceback" not in platform.worker_log.text() + platform.api_log.text()


def in_step(platform: Any, replica: Any) -> bool:
    with replica.client() as raw:
        told = raw.info("replication")
    offset = platform.raw.info("replication")["master_repl_offset"]
    return bool(told["master_link_status"] == "up" and told["slave_repl_offset"] >= offset)
