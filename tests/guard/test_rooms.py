"""The rooms of the project: who may import whom, and what an import may load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("asr_core", "asr_api", "asr_worker", "asr_operator", "asr_cli", "asr_platform")
SCRIPTS = ("chaos", "chart", "cluster_lab", "fuzz")
ROOMS = ("core", "api", "worker", "operator", "cli", "client")


def modules_loaded_by(code: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after `code`."""
    tail = "\nimport sys\nprint('\\n'.join({name.partition('.')[0] for name in sys.modules}))"
    run = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(run.stdout.split())


def test_every_room_imports_only_what_it_may() -> None:
    code = "import sys; from importlinter.cli import lint_imports_command as run; run()"
    run = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], capture_output=True, text=True, cwd=ROOT
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("package", [*PACKAGES, *SCRIPTS])
def test_no_two_modules_import_each_other_over_however_many_steps(package: str) -> None:
    """Settings and the address that they name know each other, for types alone."""
    for_types_too = package != "asr_core"
    graph = grimp.build_graph(
        package, cache_dir=None, exclude_type_checking_imports=not for_types_too
    )
    assert graph.modules
    circles = {
        (importer, imported)
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if graph.find_shortest_chain(imported, importer)
    }
    assert circles == set()


def test_the_operator_folder_never_shadows_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_no_folder_of_tests_is_a_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_no_two_test_files_have_the_same_name() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_importing_the_api_loads_no_engine_and_no_cluster() -> None:
    loaded = modules_loaded_by("import asr_api.app")
    assert "fastapi" in loaded
    assert not loaded & {"torch", "funasr", "transformers", "kopf", "kubernetes", "asr_worker"}


def test_building_the_api_touches_neither_redis_nor_the_store(tmp_path: Path) -> None:
    store = tmp_path / "store"
    modules_loaded_by(
        "from asr_api.app import create_app; from asr_api.settings.api import ApiSettings\n"
        f"create_app(ApiSettings(url='redis://127.0.0.1:1/0', store_url={store.as_uri()!r}))"
    )
    assert not store.exists()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["up", "--help"], ["transcribe", "--help"], ["queue", "--help"]]
)
def test_help_is_shown_without_loading_servers_or_engines(arguments: list[str]) -> None:
    loaded = modules_loaded_by(
        "from typer.testing import CliRunner; from asr_cli.main import app\n"
        f"assert CliRunner().invoke(app, {arguments}).exit_code == 0"
    )
    heavy = {"torch", "funasr", "numpy", "av", "fastapi", "uvicorn", "redis", "obstore"}
    assert not loaded & heavy


def test_importing_a_room_builds_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad setting breaks a program when it starts, never an import."""
    monkeypatch.setenv("REDIS_PORT", "no number")
    assert "asr_api" in modules_loaded_by("import asr_api.app, asr_cli.main, asr_core.queue")


@pytest.mark.parametrize("room", ROOMS)
def test_every_package_ships_its_types(room: str) -> None:
    packages = [path.parent for path in (ROOT / room).glob("asr_*/__init__.py")]
    assert [package / "py.typed" for package in packages] == list((ROOT / room).glob("*/py.typed"))


def test_every_gate_runs_what_a_developer_runs() -> None:
    """`make check`: its lint and types would else be broken where nobody looks."""
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == "exec make check"
    assert "- run: make check\n" in (ROOT / ".github/workflows/ci.yml").read_text()
    makefile = (ROOT / "Makefile").read_text()
    check = makefile.partition("\ncheck:")[2].partition("\n\n")[0]
    for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports", "$(PYTEST)"):
        assert tool in check
