"""Engine `remote` beside a server that answers well, badly, or not at all."""

from __future__ import annotations

import gzip
import logging
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from asr_core.errors import EngineFailed
from asr_core.options import TaskOptions
from asr_worker.engines import remote as remote_module
from asr_worker.engines import remote_health
from asr_worker.engines.base import SegmentAudio
from asr_worker.engines.remote import RemoteEngine
from asr_worker.errors import ModelNotLoaded, ModelServerAway, ModelServerRefused
from asr_worker.settings import WorkerSettings

Make = Callable[..., RemoteEngine]


def loud(level: float, seconds: float = 0.2, **options: Any) -> SegmentAudio:
    pcm = np.full(round(seconds * 16_000), level, np.float32)
    return SegmentAudio(pcm, TaskOptions(**options))


def texts(engine: RemoteEngine, *segments: SegmentAudio) -> list[str]:
    return [each.text for each in engine.submit(segments)()]


def with_status(status: int, body: Any = b"no", **headers: str) -> Any:
    return lambda _asked, handler: handler.reply(body, status, **headers)


def first(number: int, wrong: Any, double: Any) -> Any:
    """So many wrong replies, then what the server usually says."""
    left = [wrong] * number

    def behave(asked: Any, handler: Any) -> None:
        (left.pop() if left else double._default)(asked, handler)

    return behave


def test_a_segment_becomes_one_request_and_its_reply_a_text(
    model_server: Any, remote: Make
) -> None:
    engine = remote(remote_api_key="k-secret")
    options = {"language": "fr", "hotwords": ("Ada Lovelace", "Babbage")}
    (text,) = engine.submit([loud(0.8, **options)])()
    assert (text.text, text.language) == ("level 0.8", "en")
    assert [(w.text, w.start_seconds, w.end_seconds) for w in text.words] == [
        ("level", 0.0, 0.1), ("0.8", 0.1, 0.2),
    ]  # fmt: skip
    (asked,) = model_server.transcribed(0.8)
    assert asked.path == "/v1/audio/transcriptions"
    assert asked.headers["authorization"] == "Bearer k-secret"
    assert asked.fields == {
        "model": ["listener"], "temperature": ["0"], "response_format": ["verbose_json"],
        "timestamp_granularities[]": ["word", "segment"], "language": ["fr"],
        "prompt": ["Ada Lovelace, Babbage"],
    }  # fmt: skip
    assert engine.supports == {"language", "hotwords", "timestamps", "prompt", "task"}
    assert (engine.model_id, engine.device, engine.name) == ("listener", "remote", "remote")


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_the_address_may_be_written_with_and_without_v1(
    model_server: Any, remote: Make, path: str
) -> None:
    remote(remote_url=model_server.url + path)
    paths = ("models", "audio/transcriptions", "audio/translations")
    assert {asked.path for asked in model_server.asked} == {f"/v1/{path}" for path in paths}


def test_of_several_models_one_must_be_named(model_server: Any, remote: Make) -> None:
    model_server.models = ["one", "two"]
    with pytest.raises(ModelNotLoaded, match=r"ASR_REMOTE_MODEL must name .* one, two"):
        remote()
    assert remote(remote_model="two").model_id == "two"


@pytest.mark.parametrize(
    ("able", "supported"),
    [("json", False), ("verbose_json", False), ("words", True)],
)
def test_a_server_is_asked_for_no_more_than_it_can_tell(
    model_server: Any, remote: Make, able: str, supported: bool
) -> None:
    """vLLM refuses `verbose_json` for models with a language model, others leave words out."""

    def behave(asked: Any, handler: Any) -> None:
        verbose = asked.fields["response_format"] == ["verbose_json"]
        if able == "json" and verbose:
            handler.reply({"error": {"message": "verbose_json is not supported"}}, 400)
        elif able == "verbose_json" and verbose:
            handler.reply({"text": "heard", "language": "Chinese"})
        else:
            model_server._default(asked, handler)

    model_server.on["probe"] = behave
    engine = remote()
    assert ("timestamps" in engine.supports) is supported
    assert texts(engine, loud(0.8)) == ["level 0.8"]
    (asked,) = model_server.transcribed(0.8)
    assert asked.fields["response_format"] == ["json" if able == "json" else "verbose_json"]
    assert ("timestamp_granularities[]" in asked.fields) is supported


def test_a_server_that_takes_no_prompt_is_given_none_and_hotwords_are_not_promised(
    model_server: Any, remote: Make
) -> None:
    def behave(asked: Any, handler: Any) -> None:
        if "prompt" in asked.fields:
            handler.reply({"error": "no prompts"}, 400)
        else:
            model_server._default(asked, handler)

    model_server.on["any"] = behave
    engine = remote()
    assert engine.supports == {"language", "timestamps", "task"}
    assert texts(engine, loud(0.8, hotwords=("Ada",), prompt="As before.")) == ["level 0.8"]


@pytest.mark.parametrize("able", [True, False])
def test_a_translation_is_asked_of_its_own_endpoint_where_the_server_has_it(
    model_server: Any, remote: Make, able: bool
) -> None:
    def behave(asked: Any, handler: Any) -> None:
        if not able and asked.path.endswith("translations"):
            handler.reply({"error": "not found"}, 404)
        else:
            model_server._default(asked, handler)

    model_server.on["probe"] = behave
    engine = remote()
    assert ("task" in engine.supports) is able
    if able:
        options = {"task": "translate", "language": "fr", "prompt": "Names: Ada."}
        assert texts(engine, loud(0.8, **options)) == ["level 0.8"]
        (asked,) = model_server.transcribed(0.8)
        assert asked.path == "/v1/audio/translations"
        assert asked.fields == {
            "model": ["listener"], "temperature": ["0"], "response_format": ["verbose_json"],
            "prompt": ["Names: Ada."],
        }  # fmt: skip


@pytest.mark.parametrize("status", [503, 429])
def test_a_server_that_is_still_loading_is_waited_for(
    model_server: Any, remote: Make, status: int
) -> None:
    model_server.on["models"] = first(2, with_status(status), model_server)
    model_server.on["probe"] = first(2, with_status(status), model_server)
    assert remote().model_id == "listener"


def test_a_server_that_is_not_there_yet_is_waited_for(model_server: Any, remote: Make) -> None:
    model_server.stop()
    engine = remote(load=False)
    loading = threading.Thread(target=engine.load, daemon=True)
    loading.start()
    model_server.start()
    loading.join(60)
    assert not loading.is_alive()
    assert engine.model_id == "listener"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (with_status(401, {"error": "bad key"}), "status 401: .*bad key"),
        (with_status(404), "status 404"),
        (with_status(302, Location="/elsewhere"), "status 302"),
        (with_status(200, b"<html>hello</html>"), "no list of models"),
        (with_status(500), "status 500"),
    ],
)
def test_what_waiting_does_not_mend_ends_the_start_with_the_reason(
    model_server: Any, remote: Make, wrong: Any, words: str
) -> None:
    model_server.on["models"] = wrong
    with pytest.raises(ModelNotLoaded, match=words):
        remote()


def broken(_asked: Any, handler: Any) -> None:
    handler.break_off()


@pytest.mark.parametrize(
    "wrong",
    [
        with_status(500),
        with_status(503),
        with_status(429, Retry_After="0"),
        with_status(200, b"{}"),
        broken,
    ],
)
def test_what_passes_is_tried_again(model_server: Any, remote: Make, wrong: Any) -> None:
    engine = remote()
    model_server.on[0.8] = first(2, wrong, model_server)
    assert texts(engine, loud(0.8)) == ["level 0.8"]
    assert len(model_server.transcribed(0.8)) == 3
    assert engine.server.problem == ""


def test_a_pause_that_a_server_asks_for_is_kept_by_all(
    model_server: Any, remote: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = remote()
    slept: list[float] = []
    sleep = remote_health.asyncio.sleep
    model_server.on[0.8] = first(1, with_status(429, Retry_After="20"), model_server)

    async def quick(seconds: float) -> None:
        slept.append(seconds)
        engine.server._health._resume_at = 0.0
        await sleep(0)

    monkeypatch.setattr(remote_health.asyncio, "sleep", quick)
    assert texts(engine, loud(0.8)) == ["level 0.8"]
    assert max(slept) >= 20


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_segment_that_is_refused_fails_alone_and_is_not_sent_again(
    model_server: Any, remote: Make, status: int
) -> None:
    engine = remote()
    model_server.on[0.8] = with_status(status)
    mates = engine.submit([loud(0.9)]), engine.submit([loud(0.8)]), engine.submit([loud(0.7)])
    with pytest.raises(ModelServerRefused):
        mates[1]()
    assert [mates[0]()[0].text, mates[2]()[0].text] == ["level 0.9", "level 0.7"]
    assert len(model_server.transcribed(0.8)) == 1


def drip(_asked: Any, handler: Any) -> None:
    """One byte at a time, each in time by itself, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not handler.double.stopped.wait(0.05):
        handler.wfile.write(b" ")


def hang(_asked: Any, handler: Any) -> None:
    handler.double.stopped.wait(60)
    handler.close_connection = True


def endless(_asked: Any, handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        handler.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


@pytest.mark.parametrize(
    "wrong",
    [
        with_status(500),
        with_status(200, b'{"text": ["no", "text"]}'),
        with_status(200, b'{"text": "x", "words": [{"word": "x", "start": NaN, "end": 1}]}'),
        with_status(200, gzip.compress(b'{"text": "' + b" " * 10**6), Content_Encoding="gzip"),
        endless,
        broken,
        hang,
        drip,
    ],
)
def test_a_segment_over_which_the_server_breaks_down_fails_after_a_few_attempts(
    model_server: Any, remote: Make, wrong: Any
) -> None:
    model_server.stopped = threading.Event()
    engine = remote(remote_timeout_seconds=2.0)
    model_server.on[0.8] = wrong
    pending = engine.submit([loud(0.8)])
    try:
        assert texts(engine, loud(0.9)) == ["level 0.9"]
        with pytest.raises(EngineFailed):
            pending()
    finally:
        model_server.stopped.set()
    assert len(model_server.transcribed(0.8)) == remote_health.MOST_FAILURES
    assert engine.server.problem == ""


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 302, 500, 502, 503, 429])
def test_a_server_that_refuses_everybody_is_at_fault_and_not_the_segment(
    model_server: Any, remote: Make, status: int
) -> None:
    engine = remote()
    asked_before = len(model_server.asked)
    model_server.on["any"] = with_status(status, Location="/elsewhere")
    with pytest.raises(ModelServerAway):
        engine.submit([loud(0.8)])()
    assert str(status) in engine.server.problem
    assert len(model_server.asked) > asked_before
    assert "/elsewhere" not in {asked.path for asked in model_server.asked}


@pytest.mark.usefixtures("impatient")
def test_a_server_that_went_away_is_a_problem_until_it_transcribes_again(
    model_server: Any, remote: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = remote()
    model_server.stop()
    for _ in range(2):
        with pytest.raises(ModelServerAway):
            engine.submit([loud(0.8)])()
    assert "no connection" in engine.server.problem
    back = threading.Event()
    answered = engine.server._health.answered
    monkeypatch.setattr(engine.server._health, "answered", lambda: (answered(), back.set()))
    model_server.start()
    assert back.wait(60)
    assert engine.server.problem == ""
    assert texts(engine, loud(0.8)) == ["level 0.8"]


def test_an_idle_worker_notices_that_its_server_is_away(
    model_server: Any, remote: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_health, "PING_SECONDS", 0.05)
    noticed = threading.Event()
    found_down = remote_health.ServerHealth._found_down
    monkeypatch.setattr(
        remote_health.ServerHealth,
        "_found_down",
        lambda self, failure: (found_down(self, failure), noticed.set()),
    )
    engine = remote()
    model_server.stop()
    assert noticed.wait(30)
    assert "no connection" in engine.server.problem


def test_segments_are_there_at_once_up_to_the_limit_and_keep_their_order(
    model_server: Any, remote: Make
) -> None:
    engine = remote(remote_concurrency=3)
    together = threading.Barrier(3)
    levels = [0.9, 0.8, 0.7, 0.6, 0.4, 0.3]

    def meet(asked: Any, handler: Any) -> None:
        together.wait(30)  # breaks unless three are here at once
        model_server._default(asked, handler)

    model_server.on |= dict.fromkeys(levels, meet)
    assert texts(engine, *map(loud, levels)) == [f"level {level}" for level in levels]
    assert model_server.most_in_flight == 3


def test_neither_logs_nor_errors_nor_settings_show_the_key(
    model_server: Any, remote: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "sk-do-not-tell"
    engine = remote(remote_api_key=f" {key}\n")
    model_server.on[0.8] = with_status(400)
    with pytest.raises(ModelServerRefused) as raised:
        engine.submit([loud(0.8)])()
    settings = repr(WorkerSettings(_env_file=None, remote_api_key=key))  # type: ignore[call-arg]
    assert key not in caplog.text + str(raised.value) + settings
    assert model_server.asked[-1].headers["authorization"] == f"Bearer {key}"


def test_the_reply_is_read_to_its_limit(monkeypatch: pytest.MonkeyPatch, remote: Make) -> None:
    engine = remote()
    monkeypatch.setattr(remote_module, "MOST_REPLY_BYTES", 10)
    with pytest.raises((EngineFailed, ModelServerAway)):
        engine.submit([loud(0.8)])()
