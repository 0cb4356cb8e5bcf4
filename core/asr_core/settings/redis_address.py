"""Which Redis the settings name: one server, Sentinels and a master's name, or a Cluster.

Pure but for looking at certificate files. What cannot be served is a ValueError of one line that
names the setting; no message holds any part of a password.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from asr_core.settings.redis import RedisSettings

Node = tuple[str, int]
SERVER_PORT = 6379
SENTINEL_PORT = 26379
SCHEMES = (
    "redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster",
    "rediss+cluster",
)  # fmt: skip
_URL = "ASR_REDIS_URL"


class Topology(StrEnum):
    """How the server that takes writes is found."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True)
class RedisAddress:
    """`nodes` are the server, the Sentinels or the Cluster's seeds; none with a Unix socket.

    `options` are those of the URL's query: they win over the settings.
    """

    topology: Topology
    nodes: tuple[Node, ...]
    tls: bool = False
    path: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    master: str = ""
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def places(self) -> str:
        """The nodes, for a message."""
        return self.path or ", ".join(f"{host}:{port}" for host, port in self.nodes)


def redis_address(settings: RedisSettings) -> RedisAddress:
    """The address that the settings name. Raises ValueError for what cannot be served."""
    address = _of_url(settings) if settings.url else _of_parts(settings)
    if address.topology is Topology.CLUSTER:
        if not settings.key_prefix:
            raise ValueError(
                "ASR_KEY_PREFIX must be set for a Redis Cluster: it keeps all keys in one hash slot"
            )
        if address.db:
            raise ValueError(f"a Redis Cluster has database 0 only, not {address.db}")
    _check_certificates(settings, address)
    return address


def _of_parts(settings: RedisSettings) -> RedisAddress:
    if settings.sentinels and settings.cluster:
        raise ValueError("REDIS_SENTINELS and REDIS_CLUSTER exclude each other")
    if settings.sentinels:
        topology = Topology.SENTINEL
        nodes = _nodes(",".join(settings.sentinels), SENTINEL_PORT, "REDIS_SENTINELS")
        if not settings.sentinel_master:
            raise ValueError("REDIS_SENTINEL_MASTER must name the master that the Sentinels watch")
    else:
        topology = Topology.CLUSTER if settings.cluster else Topology.SERVER
        if not settings.host or set(settings.host) & set(" \t,@/"):
            raise ValueError("REDIS_HOST must be one host name or address")
        nodes = ((settings.host, settings.port),)
    return RedisAddress(
        topology=topology,
        nodes=nodes,
        tls=settings.tls,
        db=settings.db,
        username=settings.username,
        password=settings.password,
        master=settings.sentinel_master,
        sentinel_username=settings.sentinel_username,
        sentinel_password=settings.sentinel_password,
    )


def _of_url(settings: RedisSettings) -> RedisAddress:
    """`redis://user:password@host:port/db?option=value`; of Sentinels `…@host,host/master/db`."""
    try:
        parts = urlsplit(settings.url)
    except ValueError:  # a bracket that is not closed
        raise ValueError(f"{_URL} is not a URL: {_FORMS}") from None
    if parts.scheme not in SCHEMES:
        told = f" of scheme {parts.scheme!r}" if "://" in settings.url else ""
        raise ValueError(f"{_URL}{told} is not supported: {_FORMS}")
    if parts.fragment or "@" in parts.path + parts.query or any(c.isspace() for c in parts.netloc):
        raise ValueError(f"{_URL} holds characters that must be percent-encoded: {_ENCODE}")
    scheme, _, kind = parts.scheme.partition("+")
    topology = Topology(kind or Topology.SERVER)
    if settings.cluster and topology is Topology.SENTINEL:
        raise ValueError(f"REDIS_CLUSTER=true and an {_URL} of Sentinels exclude each other")
    if settings.cluster and scheme != "unix":
        topology = Topology.CLUSTER
    if settings.tls and scheme != "rediss":
        raise ValueError(f"REDIS_TLS=true, but {_URL} begins with {parts.scheme}://: see rediss://")
    options = _options(parts.query)
    userinfo, _, hosts = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    port = SENTINEL_PORT if topology is Topology.SENTINEL else SERVER_PORT
    path = [unquote(part) for part in parts.path.split("/")[1:]]
    master = path.pop(0) if topology is Topology.SENTINEL and path else ""
    if topology is Topology.SENTINEL and not master:
        raise ValueError(f"{_URL} names no master: {parts.scheme}://host:26379,host:26379/mymaster")
    nodes: tuple[Node, ...] = () if scheme == "unix" else _nodes(hosts, port, _URL)
    if len(nodes) > 1 and topology is Topology.SERVER:
        raise ValueError(
            f"{_URL} names several hosts: begin it with redis+sentinel:// or redis+cluster://"
        )
    if scheme == "unix" and not parts.path.strip("/"):
        raise ValueError(f"{_URL} names no socket: unix:///path/to/redis.sock")
    for name in options:
        if scheme == "unix" and name.startswith(("ssl_", "socket_keepalive", "sentinel_")):
            raise ValueError(f"{_URL}: option {name} does not go with a Unix socket")
    return RedisAddress(
        topology=topology,
        nodes=nodes,
        tls=scheme == "rediss",
        path=unquote(parts.path) if scheme == "unix" else "",
        db=options.pop("db", None) or (0 if scheme == "unix" else _database(path)),
        username=options.pop("username", "") or unquote(username) or settings.username,
        password=options.pop("password", "") or unquote(password) or settings.password,
        master=master,
        sentinel_username=options.pop("sentinel_username", "") or settings.sentinel_username,
        sentinel_password=options.pop("sentinel_password", "") or settings.sentinel_password,
        options=options,
    )


_FORMS = (
    "give redis://host:6379/0, rediss:// for TLS, unix:///socket, "
    "redis+sentinel://host:26379,host:26379/mymaster/0 or redis+cluster://host:6379"
)
_ENCODE = "in a user name or password write / as %2F, ? as %3F, # as %23, @ as %40, % as %25"


def _nodes(text: str, default_port: int, setting: str) -> tuple[Node, ...]:
    """`host`, `host:port`, `[v6]:port`, several with commas between."""
    nodes = []
    for each in text.split(","):
        host, port = each.strip(), str(default_port)
        if host.startswith("["):
            host, bracket, rest = host[1:].partition("]")
            port = rest.removeprefix(":") or port
            if not bracket or (rest and not rest.startswith(":")):
                raise ValueError(f"{setting}: an IPv6 address is written [::1]:6379")
        elif ":" in host:
            host, _, port = host.rpartition(":")
        if not host or (":" in host and not each.strip().startswith("[")):
            raise ValueError(f"{setting}: a host is missing, or is not a name or address")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            # Not shown: after a password that is not encoded it is a piece of it.
            raise ValueError(f"{setting}: a port is not a number from 1 to 65535; {_ENCODE}")
        nodes.append((unquote(host), int(port)))
    return tuple(nodes)


def _database(path: list[str]) -> int:
    text = "".join(path)
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"{_URL}: the database is a number, as in redis://host:6379/0; {_ENCODE}")
    return int(text or 0)


def _flag(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    return known[text.lower()]


_OPTIONS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("db", "max_connections", "protocol", "socket_read_size"), int),
    **dict.fromkeys(("health_check_interval", "ssl_min_version"), int),
    **dict.fromkeys(("socket_timeout", "socket_connect_timeout", "timeout"), float),
    **dict.fromkeys(("socket_keepalive", "ssl_check_hostname"), _flag),
    **dict.fromkeys(("username", "password", "client_name"), str),
    **dict.fromkeys(("sentinel_username", "sentinel_password"), str),
    **dict.fromkeys(("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"), str),
}


def _options(query: str) -> dict[str, Any]:
    options = {}
    for name, text in parse_qsl(query):
        if name not in _OPTIONS:
            raise ValueError(f"{_URL}: option {name!r} is not known; known: {', '.join(_OPTIONS)}")
        try:
            options[name] = _OPTIONS[name](text)
        except (KeyError, ValueError):
            raise ValueError(f"{_URL}: option {name} cannot be {text!r}") from None
    return options


def _check_certificates(settings: RedisSettings, address: RedisAddress) -> None:
    """Loads each file as a connection would. Those of the URL win."""
    files: dict[str, tuple[str, str | Path]] = {}
    for setting, option, own in (
        ("REDIS_CA_FILE", "ssl_ca_certs", settings.ca_file),
        ("REDIS_CERT_FILE", "ssl_certfile", settings.cert_file),
        ("REDIS_KEY_FILE", "ssl_keyfile", settings.key_file),
    ):
        if own and not address.tls:
            raise ValueError(
                f"{setting} is set, but the connection is not encrypted: begin {_URL} with "
                "rediss:// (or set REDIS_TLS=true beside REDIS_HOST), or leave it out"
            )
        if option in address.options:
            files[option] = (f"{_URL}: {option}", address.options[option])
        elif own:
            files[option] = (setting, own)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if "ssl_ca_certs" in files:
        setting, file = files["ssl_ca_certs"]
        with _naming(setting, file, "no certificate"):
            context.load_verify_locations(file)
    key = files.get("ssl_keyfile")
    if "ssl_certfile" in files:
        setting, file = files["ssl_certfile"]
        if key:
            with _naming(*key, "no key"):
                Path(key[1]).read_bytes()
        with _naming(setting, file, "no certificate, or none that goes with its key,"):
            context.load_cert_chain(file, key[1] if key else None)
    elif key:
        raise ValueError(f"{key[0]} is set, and no certificate that goes with it: REDIS_CERT_FILE")


@contextmanager
def _naming(setting: str, file: str | Path, lacks: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError:
        raise ValueError(f"{setting}: {file} holds {lacks} in PEM form") from None
    except OSError as error:
        raise ValueError(f"{setting}: {file} cannot be read: {error.strerror}") from None
