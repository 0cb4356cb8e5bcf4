"""The OpenAPI document: committed, complete and with examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr_api.app import create_app
from asr_api.settings.api import ApiSettings

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def schema():
    return create_app(ApiSettings(_env_file=None)).openapi()


def operations(schema):
    return {
        f"{method.upper()} {path}": operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def test_the_committed_document_is_that_of_the_app(schema):
    committed = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(schema)), "run python scripts/openapi.py"


def test_every_route_documents_its_errors_with_examples_of_the_one_body(schema):
    for name, operation in operations(schema).items():
        if not name.split()[1].startswith("/api/v1/asr"):
            continue
        errors = {code: r for code, r in operation["responses"].items() if int(code) >= 400}
        assert {"500", "503"} <= set(errors), name
        for code, response in errors.items():
            content = response["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}, (name, code)
            for example in content["examples"].values():
                assert set(example["value"]["error"]) == {"message", "type", "param", "code"}


def test_every_route_has_a_summary_and_an_example_of_success(schema):
    for name, operation in operations(schema).items():
        assert operation["summary"], name
        success = next(r for code, r in operation["responses"].items() if code.startswith("2"))
        assert "content" in success, name
        for content in success["content"].values():
            described = "example" in content or "examples" in content or "schema" in content
            assert described, name


def test_frameworks_own_error_model_is_nowhere(schema):
    assert "HTTPValidationError" not in json.dumps(schema)
