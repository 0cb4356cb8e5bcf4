"""Real Sentinels and a real Cluster, small and quick to fail over, with passwords and, where asked,
TLS with an authority of their own.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from asr_core.queue.permissions import acl_rules
from asr_core.settings.redis import RedisSettings

PASSWORD = "p@ss/w#rd"
ENCODED = "p%40ss%2Fw%23rd"
SENTINEL_PASSWORD = "look"
PREFIX = "t"
WAIT_SECONDS = 30.0


def wait_for(what: Callable[[], Any]) -> Any:
    """What `what` returns, once that is true; errors of a server that is not up yet are passed."""
    deadline = time.monotonic() + WAIT_SECONDS
    error: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if found := what():
                return found
        except redis.exceptions.RedisError as problem:
            error = problem
        time.sleep(0.02)
    raise AssertionError(f"not within {WAIT_SECONDS} s, last error: {error}")


@dataclass
class Node:
    """A redis-server in one of its modes, from a file of settings."""

    program: str
    folder: Path
    port: int
    lines: tuple[str, ...]
    password: str
    arguments: tuple[str, ...] = ()
    certificates: Any = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Node:
        self.folder.mkdir()
        place = "tls-port" if self.certificates else "port"
        lines = [
            f"{place} {self.port}", *(["port 0"] if self.certificates else []),
            "bind 127.0.0.1", f"dir {self.folder}", f"logfile {self.folder / 'log'}",
            f'requirepass "{self.password}"',
        ]  # fmt: skip
        if self.certificates:
            lines += [
                f"tls-cert-file {self.certificates.certificate}",
                f"tls-key-file {self.certificates.key}",
                f"tls-ca-cert-file {self.certificates.authority}",
                "tls-auth-clients no", "tls-replication yes",
            ]  # fmt: skip
        if "--sentinel" not in self.arguments:  # what the product logs in as
            rules = " ".join(acl_rules("", "*"))
            lines.append(f'user speech on ">{self.password}" {rules}')
        lines += self.lines
        file = self.folder / "redis.conf"
        file.write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen([self.program, str(file), *self.arguments])
        wait_for(self.client().ping)
        return self

    def client(self) -> Any:
        tls: dict[str, Any] = {}
        if self.certificates:
            tls = {
                "ssl": True, "ssl_ca_certs": str(self.certificates.authority),
                "ssl_certfile": str(self.certificates.certificate),
                "ssl_keyfile": str(self.certificates.key),
            }  # fmt: skip
        return redis.Redis(
            "127.0.0.1", self.port, password=self.password, decode_responses=True, **tls
        )

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def in_step(master: Node, replica: Node) -> None:
    """Waits until the replica has everything."""

    def is_there() -> bool:
        there = replica.client().info("replication")
        offset = master.client().info("replication")["master_repl_offset"]
        return bool(there["master_link_status"] == "up" and there["slave_repl_offset"] >= offset)

    wait_for(is_there)


@dataclass
class Farm:
    """Starts nodes, and ends them all."""

    program: str
    folder: Path
    free_port: Callable[[], int]
    nodes: list[Node] = field(default_factory=list)

    def node(
        self,
        *lines: str,
        arguments: tuple[str, ...] = (),
        password: str = PASSWORD,
        certificates: Any = None,
        port: int | None = None,
    ) -> Node:
        node = Node(
            self.program, self.folder / f"node-{len(self.nodes)}", port or self.free_port(),
            lines, password, arguments, certificates,
        )  # fmt: skip
        self.nodes.append(node)
        return node.start()


@pytest.fixture
def farm(tmp_path: Path, redis_program: str, free_port: Callable[[], int]) -> Iterator[Farm]:
    made = Farm(redis_program, tmp_path, free_port)
    yield made
    for node in made.nodes:
        node.kill()


@dataclass
class Trio:
    """Three Sentinels that watch a master with one replica."""

    farm: Farm
    certificates: Any = None
    servers: list[Node] = field(default_factory=list)
    sentinels: list[Node] = field(default_factory=list)
    in_step = staticmethod(in_step)

    def __post_init__(self) -> None:
        # A master whose replica was promoted takes no more, as docs/operations.md asks for.
        own = (
            f'masterauth "{PASSWORD}"', "repl-diskless-sync-delay 0", 'save ""',
            "min-replicas-to-write 1",
        )  # fmt: skip
        master = self.farm.node(*own, certificates=self.certificates)
        replica = self.farm.node(
            *own, f"replicaof 127.0.0.1 {master.port}", certificates=self.certificates
        )
        self.servers = [master, replica]
        self.in_step(master, replica)
        for _ in range(3):
            self.sentinels.append(
                self.farm.node(
                    f"sentinel monitor main 127.0.0.1 {master.port} 2",
                    f'sentinel auth-pass main "{PASSWORD}"',
                    f'sentinel sentinel-pass "{SENTINEL_PASSWORD}"',
                    "sentinel down-after-milliseconds main 500",
                    "sentinel failover-timeout main 1000",
                    password=SENTINEL_PASSWORD,
                    arguments=("--sentinel",),
                    certificates=self.certificates,
                )
            )
        for sentinel in self.sentinels:
            # Of seconds otherwise: how soon it takes up what it sees.
            sentinel.client().execute_command(
                "SENTINEL DEBUG", "INFO-PERIOD", 500, "PUBLISH-PERIOD", 200, "PING-PERIOD", 100
            )
            wait_for(lambda sentinel=sentinel: self._sees_all(sentinel))

    @staticmethod
    def _sees_all(sentinel: Node) -> bool:
        state = sentinel.client().sentinel_master("main")
        return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)

    def master(self) -> Node:
        """As the Sentinels have it."""
        _, port = self.sentinels[0].client().sentinel_get_master_addr_by_name("main")
        return next(server for server in self.servers if server.port == int(port))

    @property
    def url(self) -> str:
        scheme = "rediss" if self.certificates else "redis"
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        secret = f"sentinel_password={SENTINEL_PASSWORD}"
        return f"{scheme}+sentinel://speech:{ENCODED}@{places}/main/0?{secret}"

    def environment(self) -> dict[str, str]:
        ca = {"REDIS_CA_FILE": str(self.certificates.authority)} if self.certificates else {}
        return {"ASR_REDIS_URL": self.url, **ca}

    def settings(self) -> RedisSettings:
        return RedisSettings(_env_file=None, **self.environment())


@dataclass
class Cluster:
    """Three masters; the one that holds the keys' slot has a replica."""

    farm: Farm
    certificates: Any = None
    masters: list[Node] = field(default_factory=list)
    slot: int = key_slot(f"{{{PREFIX}}}".encode())
    in_step = staticmethod(in_step)

    def __post_init__(self) -> None:
        self.masters = [self._node() for _ in range(3)]
        bounds = (0, 5461, 10923, 16384)
        for epoch, node in enumerate(self.masters):
            client = node.client()
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", epoch + 1)
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", bounds[epoch], bounds[epoch + 1] - 1)
        self.owner = self.masters[next(n for n in range(3) if self.slot < bounds[n + 1])]
        self.replica = self._node()
        for node in [*self.masters[1:], self.replica]:
            self.meet(node)
        identity = self.identity(self.owner)
        wait_for(lambda: self.replica.client().execute_command("CLUSTER", "REPLICATE", identity))
        for node in self.masters:
            wait_for(lambda node=node: self._is_ready(node, 4))
        self.in_step(self.owner, self.replica)

    def _node(self) -> Node:
        return self.farm.node(
            "cluster-enabled yes", "cluster-node-timeout 1000", "repl-diskless-sync-delay 0",
            f'masterauth "{PASSWORD}"', 'save ""',
            *(["tls-cluster yes"] if self.certificates else []),
            certificates=self.certificates, port=self._low_port(),
        )  # fmt: skip

    def _low_port(self) -> int:
        """The bus listens 10,000 above."""
        while (port := self.farm.free_port()) > 55_000:
            pass
        return port

    def meet(self, node: Node) -> None:
        self.masters[0].client().execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)

    @staticmethod
    def _is_ready(node: Node, nodes: int) -> bool:
        told = node.client().execute_command("CLUSTER", "INFO")
        text = told if isinstance(told, str) else "".join(f"{k}:{v}\r\n" for k, v in told.items())
        return "cluster_state:ok" in text and f"cluster_known_nodes:{nodes}" in text

    @staticmethod
    def identity(node: Node) -> str:
        return str(node.client().execute_command("CLUSTER", "MYID"))

    @property
    def url(self) -> str:
        """Any node is the seed: one that does not hold the keys."""
        seed = next(node for node in self.masters if node is not self.owner)
        scheme = "rediss" if self.certificates else "redis"
        return f"{scheme}+cluster://speech:{ENCODED}@127.0.0.1:{seed.port}"

    def environment(self) -> dict[str, str]:
        ca = {"REDIS_CA_FILE": str(self.certificates.authority)} if self.certificates else {}
        return {"ASR_REDIS_URL": self.url, "ASR_KEY_PREFIX": PREFIX, **ca}

    def settings(self) -> RedisSettings:
        return RedisSettings(_env_file=None, **self.environment())

    def begin_moving(self, target: Node) -> None:
        """The first step of redis-cli's: the slot is open at both ends."""
        here, to = self.identity(self.owner), self.identity(target)
        target.client().execute_command("CLUSTER", "SETSLOT", self.slot, "IMPORTING", here)
        self.owner.client().execute_command("CLUSTER", "SETSLOT", self.slot, "MIGRATING", to)

    def move(self, target: Node, *keys: str) -> None:
        """Some keys."""
        self.owner.client().execute_command(
            "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *keys
        )

    def next_keys(self) -> list[str]:
        """Up to five that have not been moved."""
        asked = ("CLUSTER", "GETKEYSINSLOT", self.slot, 5)
        return list(self.owner.client().execute_command(*asked))

    def end_moving(self, target: Node) -> None:
        """The last step: the slot is the target's."""
        to = self.identity(target)
        for node in (target, self.owner):
            node.client().execute_command("CLUSTER", "SETSLOT", self.slot, "NODE", to)
        self.owner = target


@pytest.fixture
def trio(farm: Farm) -> Trio:
    return Trio(farm)


@pytest.fixture
def cluster(farm: Farm) -> Cluster:
    return Cluster(farm)


@pytest.fixture
def tls_trio(farm: Farm, certificates: Any) -> Trio:
    return Trio(farm, certificates)


@pytest.fixture
def tls_cluster(farm: Farm, certificates: Any) -> Cluster:
    return Cluster(farm, certificates)
