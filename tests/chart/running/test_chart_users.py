"""Containers as a cluster may run them: a user whom nobody knows, no home, a read-only root.

The other tests of this folder run every program of the chart in such containers; here is what
the container is, and that the worker's libraries find places for their caches in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chart.container_root import UID, ContainerRoot
from chart.local_node import Container, LocalNode

LOOK = """
import os, pwd
try:
    pwd.getpwuid(os.getuid())
except KeyError:
    print("unknown", os.getuid(), os.environ.get("HOME"))
for folder in {folders}:
    try:
        open(os.path.join(folder, "trial"), "w").close()
        print("writes", folder)
    except OSError as error:
        print(error.strerror, folder)
"""
# Each of these asks for a home, a user or a cache when it is imported or first used.
CACHES = """
from asr_core.process.home import ensure_home
ensure_home()
import getpass, funasr, huggingface_hub.constants, librosa, matplotlib.pyplot, modelscope, numpy
import torch
from modelscope.utils.file_utils import get_modelscope_cache_dir
librosa.util.localmax(numpy.array([1.0, 2.0, 1.0]))
torch.compile(torch.neg, backend="eager")(torch.ones(1))
print(getpass.getuser())
print(huggingface_hub.constants.HF_HOME)
print(get_modelscope_cache_dir())
print(torch.hub.get_dir())
"""


@pytest.fixture
def worker(render: Any, tmp_path: Path) -> Container:
    """The worker's container of the dev profile; it is not started."""
    if missing := ContainerRoot.missing():
        pytest.skip(missing)
    rendered = render("-f", "values-dev.yaml")
    node = LocalNode(rendered.objects, tmp_path, {}, ContainerRoot(tmp_path / "container"))
    template = dict(rendered.pods())["Deployment/asr-worker-default"]
    (container,) = node.containers_of("asr-worker-0", template)
    return container


def test_it_writes_where_something_is_mounted_and_nowhere_else(worker: Container) -> None:
    mounted = [each["mountPath"] for each in worker.spec["volumeMounts"]]
    elsewhere = ["/", "/opt/asr", "/var", "/home", "/usr/local"]
    worker.command = ["python", "-c", LOOK.format(folders=[*mounted, *elsewhere])]
    told = worker.run(60)
    lines = told.stdout.splitlines()
    assert lines[0] == f"unknown {UID} None", told.stderr
    assert {line.split()[1] for line in lines[1:] if line.startswith("writes")} == set(mounted)
    assert len(lines) == 1 + len(mounted) + len(elsewhere)


def test_every_library_finds_a_user_and_a_place_for_its_cache(worker: Container) -> None:
    worker.command = ["python", "-c", CACHES]
    told = worker.run(240)
    assert told.returncode == 0, told.stderr
    user, *caches = told.stdout.splitlines()[-4:]
    assert user == "asr"
    assert caches[:2] == ["/models/huggingface", "/models/modelscope"]
    assert caches[2].startswith("/tmp/")
