"""What `docs/extending.md` asks for and no type checker sees: names that stand in documents."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from asr_core.options import OPTIONS
from asr_worker.engines.base import Feature
from asr_worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
ENGINES = get_args(WorkerSettings.model_fields["engine"].annotation)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def row_of(document: str, name: str) -> str:
    (row,) = re.findall(rf"^\| (?:POST \| )?`{re.escape(name)}` \|.*$", read(document), re.M)
    return str(row)


def missing(names: tuple[str, ...], text: str) -> list[str]:
    return [name for name in names if f"`{name}`" not in text]


@pytest.mark.parametrize(
    ("document", "row"),
    [
        ("README.md", "ASR_ENGINE"),
        ("README.zh-CN.md", "ASR_ENGINE"),
        ("helm/asr-platform/README.md", "worker.model.engine"),
    ],
)
def test_every_engine_is_named_where_one_is_chosen(document: str, row: str) -> None:
    assert missing(ENGINES, row_of(document, row)) == []


def test_the_chart_takes_every_engine() -> None:
    schema = json.loads(read("helm/asr-platform/values.schema.json"))
    model = schema["$defs"]["pool"]["properties"]["model"]["properties"]
    assert sorted(model["engine"]["enum"]) == sorted(ENGINES)


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md"])
def test_every_option_is_named_in_the_row_of_submit(document: str) -> None:
    assert missing(tuple(OPTIONS), row_of(document, "/api/v1/asr/submit")) == []


def test_every_option_is_named_in_the_page_of_the_python_client() -> None:
    assert missing(tuple(OPTIONS), read("docs/python-client.md")) == []


def test_an_engine_can_declare_every_option_that_needs_one() -> None:
    needed = {name for name, field in OPTIONS.items() if field.option.needs_engine}
    assert needed - set(get_args(Feature)) == set()
