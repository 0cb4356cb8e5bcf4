"""What the settings of Redis may say, and the one line that tells what is wrong with them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from asr_core.settings.redis import RedisSettings
from asr_core.settings.redis_address import RedisAddress, Topology, redis_address

SECRET = "geheim"


def address(**given: Any) -> RedisAddress:
    return redis_address(RedisSettings(_env_file=None, **given))


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASR_REDIS_URL", "REDIS_URL", "REDIS_HOST", "REDIS_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (Topology.SERVER, (("127.0.0.1", 6379),), False, 0, "", "")),
        (
            {"url": "rediss://u:p%2Fw%40@redis.example:6390/3"},
            (Topology.SERVER, (("redis.example", 6390),), True, 3, "u", "p/w@"),
        ),
        (
            {"url": "redis://redis?db=2\n", "password": "apart"},
            (Topology.SERVER, (("redis", 6379),), False, 2, "", "apart"),
        ),
        (
            {"url": "redis://[::1]:6380", "REDIS_USERNAME": "u"},
            (Topology.SERVER, (("::1", 6380),), False, 0, "u", ""),
        ),
        (
            {"host": "fd00::7", "port": 6380},
            (Topology.SERVER, (("fd00::7", 6380),), False, 0, "", ""),
        ),
        (
            {"url": "redis+sentinel://:p@a,b:26380,[::1]/mymaster/1"},
            (
                Topology.SENTINEL,
                (("a", 26379), ("b", 26380), ("::1", 26379)),
                False,
                1,
                "",
                "p",
            ),
        ),
        (
            {"sentinels": "a, b:26380", "tls": True, "password": "p", "db": 4},
            (Topology.SENTINEL, (("a", 26379), ("b", 26380)), True, 4, "", "p"),
        ),
        (
            {"url": "rediss+cluster://a:7000,b", "key_prefix": "t"},
            (Topology.CLUSTER, (("a", 7000), ("b", 6379)), True, 0, "", ""),
        ),
        (
            {"url": "redis://seed", "cluster": True, "key_prefix": "t"},
            (Topology.CLUSTER, (("seed", 6379),), False, 0, "", ""),
        ),
        (
            {"host": "seed", "cluster": True, "key_prefix": "t"},
            (Topology.CLUSTER, (("seed", 6379),), False, 0, "", ""),
        ),
    ],
)
def test_addresses_are_read_from_a_url_or_from_parts(given: Any, expected: Any) -> None:
    found = address(**given)
    assert expected == (
        found.topology, found.nodes, found.tls, found.db, found.username, found.password,
    )  # fmt: skip


def test_a_socket_and_sentinels_of_a_url_keep_what_is_theirs() -> None:
    socket = address(url="unix:///run/redis%20a.sock?db=2&password=p")
    assert (socket.path, socket.nodes, socket.db, socket.password) == (
        "/run/redis a.sock",
        (),
        2,
        "p",
    )
    found = address(url="redis+sentinel://a/main?sentinel_username=s&sentinel_password=t")
    assert (found.master, found.sentinel_username, found.sentinel_password) == ("main", "s", "t")
    assert address(sentinels=("a",)).master == "mymaster"


def test_a_socket_has_database_0_and_no_encryption_unless_it_says_so() -> None:
    socket = address(url="unix:///run/a.sock")
    assert (socket.db, socket.tls) == (0, False)
    assert RedisAddress(Topology.SERVER, ()).db == 0
    with pytest.raises(ValueError, match="REDIS_TLS=true, but ASR_REDIS_URL begins with unix://"):
        address(url="unix:///run/a.sock", tls=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("Yes", True), ("1", True), ("false", False), ("NO", False), ("0", False)],
)
def test_a_switch_of_a_url_may_be_written_in_several_ways(text: str, value: bool) -> None:
    found = address(url=f"rediss://a?ssl_check_hostname={text}")
    assert found.options["ssl_check_hostname"] is value


@pytest.mark.parametrize(("port", "good"), [(0, False), (1, True), (65535, True), (65536, False)])
def test_a_port_is_from_1_to_65535(port: int, good: bool) -> None:
    if good:
        assert address(url=f"redis://a:{port}").nodes == (("a", port),)
    else:
        with pytest.raises(ValueError, match="a port is not a number from 1 to 65535"):
            address(url=f"redis://a:{port}")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"url": "localhost:6379"}, "is not supported: give redis://"),
        ({"url": "http://redis"}, "'http' is not supported"),
        ({"url": "redis://"}, "a host is missing"),
        ({"url": "redis://ho st:6379"}, "percent-encoded"),
        ({"url": f"redis://:{SECRET}/x@redis:6379/0"}, "percent-encoded"),
        ({"url": f"redis://:{SECRET}#x@redis:6379/0"}, "percent-encoded"),
        ({"url": f"redis://u:{SECRET}"}, "a port is not a number"),
        ({"url": "redis://redis:70000"}, "a port is not a number"),
        ({"url": "redis://[::1:6379"}, "is not a URL"),
        ({"url": "redis://::1:6379"}, "a host is missing, or is not a name"),
        ({"url": "redis://redis/zero"}, "the database is a number"),
        ({"url": "redis://redis?db=x"}, "option db cannot be 'x'"),
        ({"url": "redis://redis?retries=3"}, "option 'retries' is not known"),
        ({"url": "redis://a,b"}, "names several hosts"),
        ({"url": "unix://"}, "names no socket"),
        ({"url": "unix:///s?socket_keepalive=yes"}, "does not go with a Unix socket"),
        ({"url": "redis+sentinel://a:26379"}, "names no master"),
        ({"url": "redis+cluster://a"}, "ASR_KEY_PREFIX must be set"),
        ({"url": "redis+cluster://a/1", "key_prefix": "t"}, "database 0 only, not 1"),
        ({"cluster": True, "sentinels": "a"}, "exclude each other"),
        ({"cluster": True, "url": "redis+sentinel://a/m"}, "exclude each other"),
        ({"sentinels": "a", "sentinel_master": ""}, "REDIS_SENTINEL_MASTER must name"),
        ({"sentinels": "a:x"}, "REDIS_SENTINELS: a port is not a number"),
        ({"host": "a, b"}, "REDIS_HOST must be one host"),
        ({"host": ""}, "REDIS_HOST must be one host"),
        (
            {"tls": True, "url": "redis://a"},
            "REDIS_TLS=true, but ASR_REDIS_URL begins with redis://",
        ),
        ({"ca_file": "/ca.crt"}, "REDIS_CA_FILE is set, but the connection is not encrypted"),
        ({"ca_file": "/nowhere.crt", "tls": True}, "/nowhere.crt cannot be read: No such file"),
        ({"ca_file": "/", "tls": True}, "/ cannot be read: Is a directory"),
        ({"ca_file": __file__, "tls": True}, "holds no certificate in PEM form"),
        ({"url": "rediss://a?ssl_certfile=/x.crt"}, "ssl_certfile: /x.crt cannot be read"),
        ({"cert_file": "/x.crt"}, "REDIS_CERT_FILE is set, but the connection is not encrypted"),
        ({"cert_file": "/x.crt", "tls": True}, "REDIS_CERT_FILE: /x.crt cannot be read"),
        ({"key_file": "/x.key", "tls": True}, "no certificate that goes with it: REDIS_CERT_FILE"),
        ({"cert_file": __file__, "key_file": "/x.key", "tls": True}, "/x.key cannot be read"),
        ({"cert_file": __file__, "tls": True}, "holds no certificate, or none that goes with"),
        ({"max_connections": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line_without_the_password(
    given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        address(**given)
    [problem] = refused.value.errors()
    assert says in problem["msg"]
    assert "\n" not in problem["msg"]
    assert SECRET not in problem["msg"] + str(refused.value)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "ca.crt"
    file.touch(mode=0)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr("ssl.SSLContext.load_verify_locations", refuse)  # root may read it
    with pytest.raises(ValidationError, match=r"ca\.crt cannot be read: Permission denied"):
        address(ca_file=file, tls=True)


def test_neither_settings_nor_addresses_show_passwords() -> None:
    settings = RedisSettings(
        _env_file=None, url=f"redis+sentinel://:{SECRET}@a/m?sentinel_password={SECRET}",
        REDIS_PASSWORD=SECRET,
    )  # fmt: skip
    assert SECRET not in repr(settings) + repr(redis_address(settings))
