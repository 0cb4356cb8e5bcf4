"""What `pip install asr-platform` gives: the wheel, and what it depends on."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest

import asr_core
from asr_platform import __version__

ROOT = Path(__file__).parents[2]
ROOMS = {"asr_api", "asr_cli", "asr_core", "asr_operator", "asr_platform", "asr_worker"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built, and unpacked as an installer does."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    (path,) = wheel.glob("*.dist-info/METADATA")
    return Parser().parsestr(path.read_text("utf-8"))


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return found[0].lower()


def test_the_wheel_holds_every_room_with_its_types(wheel: Path) -> None:
    assert {path.name for path in wheel.iterdir() if path.suffix != ".dist-info"} == ROOMS
    assert {path.parent.name for path in wheel.glob("*/py.typed")} == ROOMS


def test_an_install_without_extras_needs_httpx_and_pydantic_alone(metadata: Message) -> None:
    required = metadata.get_all("Requires-Dist", [])
    assert {name_of(each) for each in required if "extra ==" not in each} == {"httpx", "pydantic"}
    extras = set(metadata.get_all("Provides-Extra", []))
    assert {"api", "worker", "operator", "cli", "simulate", "all"} <= extras


def test_the_client_says_the_version_of_the_platform(metadata: Message) -> None:
    assert __version__ == asr_core.__version__ == metadata["Version"]


def with_dependencies(*names: str) -> set[str]:
    """The distributions that these need, with themselves; without their extras."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        for requirement in distribution(name).requires or ():
            marker = requirement.partition(";")[2]
            if "extra ==" not in marker and "python_version <" not in marker:
                left.append(name_of(requirement))
    return found


def run_bare(wheel: Path, code: str, *names: str) -> subprocess.CompletedProcess[str]:
    """In an interpreter that sees the wheel and these distributions, and no other: as a fresh
    environment after `pip install`, which would take a network.
    """
    site = wheel.parent / f"site-{'-'.join(names)}"
    site.mkdir(exist_ok=True)
    for name in with_dependencies(*names):
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top != ".." and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    head = f"import sys; sys.path[:0] = [{str(wheel)!r}, {str(site)!r}]\n"
    command = [sys.executable, "-I", "-S", "-c", head + code]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_client_works_where_nothing_but_httpx_and_pydantic_is_installed(wheel: Path) -> None:
    code = """
import asyncio, importlib, pkgutil, httpx
import asr_platform
from asr_platform import AsyncClient, Client

for module in pkgutil.iter_modules(asr_platform.__path__, "asr_platform."):
    importlib.import_module(module.name)
answer = lambda request: httpx.Response(202, json={"task_id": "t1", "status": "queued"})
with Client("http://asr.test", transport=httpx.MockTransport(answer)) as client:
    assert client.submit(b"RIFF").task_id == "t1"
print(sorted({name.partition(".")[0] for name in sys.modules if name.startswith("asr_")}))
"""
    done = run_bare(wheel, code, "httpx", "pydantic")
    assert (done.stdout, done.stderr) == ("['asr_platform']\n", "")


def test_the_command_says_there_what_it_lacks(wheel: Path) -> None:
    done = run_bare(wheel, "from asr_cli.entry import main; main()", "httpx", "pydantic")
    assert done.returncode == 1
    assert "pip install 'asr-platform[cli]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
