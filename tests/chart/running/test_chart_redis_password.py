"""The release's Redis takes whatever password a Secret holds, and so do its probes and clients."""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any

import pytest
import redis

from chart.local_node import LocalNode
from cluster_lab.programs import free_port

PASSWORDS = {
    "backslashes": r"a\b\\c\x41\n",
    "quotes": 'it\'s "quoted" `id` $HOME $(id)',
    "spaces and signs": " # a b\t; & | < > * ",
    "a line break at its end": "from-a-file\n",
    "other letters": "пароль-密码",
}


@pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS)
def test_a_password_is_taken_byte_for_byte(render: Any, tmp_path: Path, password: str) -> None:
    port = free_port()
    made = render("-f", "values-dev.yaml", "--set", f"ports.redis={port}")
    objects = copy.deepcopy(made.objects)
    (secret,) = [
        each
        for each in objects
        if each["kind"] == "Secret" and each["metadata"]["name"] == "asr-redis"
    ]
    secret["data"]["password"] = base64.b64encode(password.encode()).decode()
    node = LocalNode(objects, tmp_path, {})
    try:
        node.start("asr-redis-0", dict(made.pods())["StatefulSet/asr-redis"])
        client = redis.Redis("127.0.0.1", port, password=password)
        assert client.ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis("127.0.0.1", port, password=f"{password}x").ping()
    finally:
        node.kill()
