"""The clients say what the OpenAPI document says: what is added to one must be added to the other.

That the document is the app's own is held by `test_api_openapi.py`.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import asr_platform
from asr_platform import AsyncClient, Client, SubmitOptions, models, status
from asr_platform.aio import FORMATS, ResultFormat
from asr_platform.models import Model
from asr_platform.options import LONGEST, MOST_HOTWORDS

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs/openapi.json").read_text("utf-8"))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS: dict[str, Any] = {
    operation["operationId"]: operation
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
}
# Pages, Prometheus, and OpenAI's contract, for which OpenAI has clients; `models` has each model.
NOT_SERVED = {"transcribe_page", "dashboard_page", "metrics", "transcribe", "translate", "model"}
# Where a method has another name than its operation, or a parameter another: `from` is a word of
# Python, and ranges and event ids are the client's own business.
METHODS = {"history": "history_page", "healthz": "check", "readyz": "ready"}
PARAMETERS = {
    "task_id": "task", "from": "first", "to": "last", "wait": "timeout",
    "idempotency-key": "idempotency_key",
}  # fmt: skip
INTERNAL = {"range", "if-range", "if-none-match", "last-event-id"}
BODIES: dict[str, type[Model]] = {
    "Accepted": models.Accepted,
    "DataHealth": status.DataHealth,
    "DayUsage": status.DayUsage,
    "DependencyHealth": status.DependencyHealth,
    "EvictionHealth": status.EvictionHealth,
    "Failure": models.Failure,
    "HealthBody": status.Health,
    "HistoryBody": models.HistoryPage,
    "LaneBody": status.LaneStatus,
    "Links": models.Links,
    "ModelBody": status.ServedModel,
    "ModelListBody": status.ServedModels,
    "Percentiles": status.Percentiles,
    "PoolStatsBody": status.PoolStats,
    "QueueStatusBody": status.QueueStatus,
    "ResultBody": models.Task,
    "RetentionBody": models.Retention,
    "StatsBody": status.Stats,
    "StatsPoint": status.StatsPoint,
    "TenantUsage": status.TenantUsage,
    "TotalsBody": status.Totals,
    "Transcript": models.Transcript,
    "TranscriptSegment": models.Segment,
    "TranscriptWarning": models.TranscriptWarning,
    "TranscriptWord": models.Word,
    "UsageBody": status.Usage,
    "WorkerBody": status.Worker,
    "WorkersHealth": status.WorkersHealth,
}
# `TaskOptions` is a dictionary in `Task.options`; `TaskBody` is a part of ResultBody; errors raise.
NO_MODEL = {"DeletedBody", "ErrorBody", "ErrorDetail", "TaskBody", "TaskOptions"}


def submit_properties(media_type: str) -> dict[str, Any]:
    content = OPERATIONS["submit"]["requestBody"]["content"]
    properties: dict[str, Any] = content[media_type]["schema"]["properties"]
    return properties


@pytest.mark.parametrize(
    ("media_type", "recording"), [("multipart/form-data", "audio"), ("application/json", "url")]
)
def test_every_option_of_a_submit_is_an_option_of_the_client(
    media_type: str, recording: str
) -> None:
    properties = submit_properties(media_type)
    hints = get_type_hints(SubmitOptions)
    assert set(properties) - {recording} == set(hints)
    for name, hint in hints.items():
        allowed = [value for part in get_args(hint) for value in get_args(part)]
        if name not in ("pool", "hotwords"):  # pools are the server's own; words are any
            assert allowed == properties[name].get("enum", []), name


def test_every_option_is_explained() -> None:
    explained = SubmitOptions.__doc__ or ""
    assert [name for name in get_type_hints(SubmitOptions) if f"- `{name}`:" not in explained] == []


def test_every_format_of_a_result_is_one_of_the_client() -> None:
    (parameter,) = (p for p in OPERATIONS["result"]["parameters"] if p["name"] == "format")
    name = parameter["schema"]["$ref"].rpartition("/")[2]
    assert set(SCHEMAS[name]["enum"]) == set(FORMATS) == set(get_args(ResultFormat))


@pytest.mark.parametrize("operation_id", sorted(set(OPERATIONS) - NOT_SERVED))
def test_every_operation_is_a_method_with_its_parameters(operation_id: str) -> None:
    method = getattr(AsyncClient, METHODS.get(operation_id, operation_id))
    parameters = set(inspect.signature(method).parameters)
    if operation_id == "result":  # `task`, `transcript` and `wait` read it too
        parameters |= set(inspect.signature(AsyncClient.wait).parameters)
    names = [p["name"] for p in OPERATIONS[operation_id].get("parameters", ())]
    wanted = {PARAMETERS.get(name, name) for name in names if name not in INTERNAL}
    assert wanted <= parameters


@pytest.mark.parametrize("name", sorted(set(SCHEMAS) - NO_MODEL))
def test_every_body_is_a_model_with_its_fields(name: str) -> None:
    schema = SCHEMAS[name]
    if "enum" in schema:
        return
    fields = set(BODIES[name].model_fields) - ({"task_id"} if name == "Transcript" else set())
    assert fields == set(schema["properties"])


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    def signatures(kind: type) -> dict[str, list[tuple[str, Any, Any]]]:
        found = {
            name: [
                (p.name, p.default, p.annotation)
                for p in inspect.signature(method).parameters.values()
            ]
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }
        return {("close" if name == "aclose" else name): parts for name, parts in found.items()}

    assert signatures(Client) == signatures(AsyncClient)


def test_everything_public_is_explained() -> None:
    public = (getattr(asr_platform, name) for name in asr_platform.__all__)
    bare = [each.__name__ for each in public if inspect.isclass(each) and not each.__doc__]
    for kind in (Client, AsyncClient):
        methods = inspect.getmembers(kind, inspect.isfunction)
        bare += [name for name, method in methods if name[0] != "_" and not method.__doc__]
    assert bare == []


def test_a_newer_server_may_say_more_and_an_older_one_less() -> None:
    task = models.Task.model_validate({"task_id": "t", "status": "napping", "mood": "good"})
    assert (task.status, task.ended, task.model_extra) == ("napping", False, {"mood": "good"})


def test_the_client_refuses_text_that_is_longer_than_the_document_allows() -> None:
    content = OPERATIONS["submit"]["requestBody"]["content"]
    properties = content["application/json"]["schema"]["properties"]
    for name, hint in get_type_hints(SubmitOptions).items():
        if hint == (str | None):
            assert LONGEST[name] == properties[name]["maxLength"], name
    hotwords = properties["hotwords"]
    assert (MOST_HOTWORDS, LONGEST["hotwords"]) == (
        hotwords["maxItems"],
        hotwords["items"]["maxLength"],
    )
