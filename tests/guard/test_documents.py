"""The documents say what the code does: settings, endpoints, commands."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import AliasChoices
from typer.main import get_command
from typer.testing import CliRunner

from asr_api.app import create_app
from asr_api.courier.metrics import CourierMetrics
from asr_api.monitoring.metrics import ApiMetrics
from asr_api.monitoring.queue_collector import QueueCollector
from asr_api.settings.api import ApiSettings
from asr_api.settings.courier import CourierSettings
from asr_cli.main import app
from asr_core.process.setting_names import KNOWN
from asr_core.settings.base import Settings
from asr_core.settings.store import RetentionSettings
from asr_operator.planning.conditions import Reason
from asr_operator.reconcile.metrics import OperatorMetrics
from asr_operator.reconcile.status_patch import CONDITIONS
from asr_operator.settings import OperatorSettings
from asr_worker.metrics import WorkerMetrics
from asr_worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")


def settings_in_code() -> dict[str, str]:
    """The names of each setting as one text, and its default as it stands in a table."""
    told = {}
    classes = (ApiSettings, CourierSettings, WorkerSettings, RetentionSettings, OperatorSettings)
    for settings in classes:
        for field_name, field in settings.model_fields.items():
            alias = field.validation_alias
            names = list(alias.choices) if isinstance(alias, AliasChoices) else [alias]
            texts = [str(name or f"ASR_{field_name.upper()}") for name in names]
            told[", ".join(texts)] = default_text(field.default)
    return told


def names_read() -> set[str]:
    """Every variable that a settings class or an option of a command reads."""
    for room in ("core", "api", "worker", "operator", "cli"):
        for path in (ROOT / room).rglob("*.py"):
            if re.search(r"^class \w+\((?:\w+, )*Settings", path.read_text(), re.MULTILINE):
                importlib.import_module(
                    ".".join(path.relative_to(ROOT / room).with_suffix("").parts)
                )
    names = set()
    classes = list(Settings.__subclasses__())
    while classes:
        settings = classes.pop()
        classes += settings.__subclasses__()
        for field_name, field in settings.model_fields.items():
            alias = field.validation_alias or f"ASR_{field_name.upper()}"
            names |= set(alias.choices) if isinstance(alias, AliasChoices) else {alias}
    commands = [get_command(app)]
    while commands:
        command = commands.pop()
        commands += getattr(command, "commands", {}).values()
        names |= {str(each.envvar) for each in command.params if each.envvar}
    return names


def default_text(value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(default_text(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def settings_in(readme: str) -> dict[str, str]:
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \| (.*?) \| .* ?\|$", read(readme), re.MULTILINE)
    return {names.replace("`", ""): default.strip("` ") for names, default in rows}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("readme", READMES)
def test_the_table_of_settings_is_that_of_the_code(readme: str) -> None:
    assert settings_in(readme) == settings_in_code()


@pytest.mark.parametrize("readme", READMES)
def test_the_table_of_endpoints_is_that_of_the_api(readme: str) -> None:
    schema = create_app(ApiSettings(_env_file=None)).openapi()  # type: ignore[call-arg]
    served = {
        f"{method.upper()} {path}" for path, item in schema["paths"].items() for method in item
    }
    rows = re.findall(r"^\| (GET|POST|DELETE|PUT|PATCH) \| `(\S+)` \|", read(readme), re.MULTILINE)
    assert {f"{method} {path}" for method, path in rows} == served | {"GET /docs"}


def test_every_program_knows_the_names_of_all_settings() -> None:
    """Else it would warn of what another program reads."""
    of_others = {"HOSTNAME", "POD_NAME", "FORWARDED_ALLOW_IPS"}
    assert names_read() - of_others == KNOWN, "write them into asr_core/process/setting_names.py"


def test_the_example_environment_names_only_settings_that_exist() -> None:
    known = {name for names in settings_in_code() for name in names.split(", ")}
    named = set(re.findall(r"^# ?([A-Z][A-Z_]+)=", read(".env.example"), re.MULTILINE))
    clouds = {name for name in named if name.startswith("AWS_")}
    assert named - clouds <= known
    assert len(named) > 10


def test_the_documents_know_that_there_are_keys() -> None:
    for path in (ROOT / "docs").glob("*.md"):
        assert "no API keys" not in path.read_text("utf-8"), path.name
    assert "[access](access.md)" in read("docs/operations.md").rpartition("\n## ")[2]


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    registry = CollectorRegistry()
    ApiMetrics(registry)
    WorkerMetrics(registry)
    families = [*registry.collect(), *QueueCollector().describe()]
    names = {f.name + ("_total" if f.type == "counter" else "") for f in families}
    rows = re.findall(r"^\| `(asr_[a-z_]+)(?:\{[a-z,]+\})?` \|", read("docs/operations.md"), re.M)
    assert sorted(rows) == sorted(names)


def test_every_condition_and_reason_of_a_worker_pool_is_documented() -> None:
    """Reasons stand in the code as the third argument of a Condition, or in an enumeration."""
    document = read("docs/operator.md")
    rows = re.findall(r"^\| `([A-Z][A-Za-z]+)` \|.*\|.*\|$", document, re.M)
    assert list(CONDITIONS) == rows
    sources = "".join(each.read_text() for each in (ROOT / "operator/asr_operator").rglob("*.py"))
    written = re.findall(
        r"(?:Condition|Hold|_say_not_ready|Event|IgnoredField)\(([^)]*)\)", sources
    )
    reasons = {name for text in written for name in re.findall(r'"([A-Z][a-z]+[A-Z]\w+)"', text)}
    assert len(reasons) > 20
    assert {name for name in reasons | set(Reason) if f"`{name}`" not in document} == set()


def test_the_table_of_the_operators_metrics_is_that_of_the_code() -> None:
    families = OperatorMetrics(CollectorRegistry()).registry.collect()
    names = {f.name + ("_total" if f.type == "counter" else "") for f in families}
    rows = re.findall(r"^\| `(asr_[a-z_]+)(?:\{[a-z,]+\})?` \|", read("docs/operator.md"), re.M)
    assert sorted(rows) == sorted(names)


def test_the_table_of_the_couriers_metrics_is_that_of_the_code() -> None:
    families = CourierMetrics(CollectorRegistry()).registry.collect()
    names = {f.name + ("_total" if f.type == "counter" else "") for f in families}
    rows = re.findall(r"^\| `(asr_[a-z_]+)(?:\{[a-z,]+\})?` \|", read("docs/webhooks.md"), re.M)
    assert sorted(rows) == sorted(names)


@pytest.mark.parametrize("document", [*READMES, "docs/operations.md", "docs/architecture.md"])
def test_every_asr_command_in_the_documents_exists(document: str) -> None:
    found = set(re.findall(r"\basr ((?:queue )?[a-z][a-z-]+)(?=[\s`|])", code_of(read(document))))
    assert found
    for command in sorted(found):
        shown = CliRunner().invoke(app, [*command.split(), "--help"])
        assert shown.exit_code == 0, f"{document}: asr {command}"


def code_of(markdown: str) -> str:
    """Fenced shell blocks and inline code."""
    parts = re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", markdown, re.DOTALL)
    return "\n".join(block or inline for block, inline in parts)


@pytest.mark.parametrize(
    "document",
    [
        *READMES,
        "CONTRIBUTING.md",
        "SECURITY.md",
        *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")),
    ],
)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", read(document)):
        if "://" not in target:
            assert (folder / target).exists(), f"{document} → {target}"


def test_every_test_that_the_guarantees_name_exists() -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    known = {path.name for path in files}
    for path in files:
        known |= set(re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8")))
    table = read("docs/guarantees.md").partition("### Faults")[2]
    named = set(re.findall(r"`(test_[a-z0-9_]+(?:\.py)?)`", table))
    assert named - known == set()
    assert len(named) > 50


def test_every_test_that_holds_a_trust_boundary_exists_where_it_is_said_to() -> None:
    page = read("SECURITY.md").partition("## Trust boundaries")[2].partition("## Run it safely")[0]
    _, *boundaries = page.split("\n### ")
    words = (
        *("Client", "Tenant", "courier", "Files", "Redis", "Store", "Cluster", "Supply chain"),
        "Model server",
    )
    assert len(boundaries) == len(words)
    for boundary, word in zip(boundaries, words, strict=True):
        assert word in boundary.splitlines()[0]
        rows = re.findall(r"^\| (?!what holds|-)(.+) \| (.+) \|$", boundary, re.M)
        assert len(rows) >= 4
        for held, shown in rows:
            named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", shown)
            assert named, f"nothing shows: {held}"
            for file, test in named:
                assert re.search(rf"def {test}\(", read(file)), f"{file}::{test}"


@pytest.mark.parametrize("name", ["docs/architecture.md", "docs/extending.md", "CONTRIBUTING.md"])
def test_every_file_that_a_document_names_is_there(name: str) -> None:
    rooms = "core|api|worker|operator|cli|client|docs|helm|scripts|tests"
    named = re.findall(rf"`((?:{rooms})/[\w/.-]+)`", read(name))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_architecture_shows_every_sub_room() -> None:
    """In its picture or its table, by name."""
    document = read("docs/architecture.md")
    rooms = [ROOT / "core/asr_core", ROOT / "api/asr_api", ROOT / "worker/asr_worker"]
    rooms += [ROOT / "operator/asr_operator", ROOT / "cli/asr_cli"]
    found = {each.parent.name for room in rooms for each in room.glob("*/__init__.py")}
    assert len(found) > 30
    assert {name for name in found if f"`{name}`" not in document} <= {"pages"}
