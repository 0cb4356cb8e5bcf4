"""Logging as a process has it: streams, files and foreign loggers of the real thing."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from asr_core.process.logs import business_event, configure_logging, get_logger
from asr_core.settings.logs import LogSettings


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Pipe:
    """What the process has written to its standard error, which is no terminal here."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    def getvalue(self) -> str:
        self._text += self._capsys.readouterr().err
        return self._text


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    names = ("", "asr.events", "uvicorn", "uvicorn.error", "uvicorn.access", "httpx")
    before = [(one, one.level, one.propagate) for one in map(logging.getLogger, names)]
    yield
    for one, level, propagate in before:
        for handler in one.handlers[:]:
            if not type(handler).__module__.startswith("_pytest."):
                one.removeHandler(handler)
                handler.close()
        one.setLevel(level)
        one.propagate = propagate
    logging.captureWarnings(False)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def pipe(capsys: pytest.CaptureFixture[str]) -> Pipe:
    return Pipe(capsys)


def settings(**given: object) -> LogSettings:
    return LogSettings(_env_file=None, **given)


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_pipe_gets_json_with_time_level_logger_and_event_first(pipe: Pipe) -> None:
    configure_logging(settings(), "api")
    get_logger("asr_api.routes").info("task submitted", bytes=12)
    [line] = lines(pipe.getvalue())
    assert list(line) == ["timestamp", "level", "logger", "event", "bytes"]
    assert (line["level"], line["logger"], line["bytes"]) == ("info", "asr_api.routes", 12)
    written = datetime.fromisoformat(str(line["timestamp"]))
    assert written.utcoffset() == UTC.utcoffset(None)
    assert abs((datetime.now(UTC) - written).total_seconds()) < 60


def test_a_terminal_gets_a_line_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    configure_logging(settings(), "api")
    get_logger("asr_api").info("task submitted")
    assert "task submitted" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


def test_a_terminal_gets_json_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    configure_logging(settings(log_format="json"), "api")
    get_logger("asr_api").info("hello")
    assert lines(terminal.getvalue())[0]["event"] == "hello"


def test_what_is_bound_to_the_context_stands_in_every_line(pipe: Pipe) -> None:
    configure_logging(settings(), "worker")
    with structlog.contextvars.bound_contextvars(task_id="0190"):
        get_logger("asr_worker").info("decoded")
        logging.getLogger("some.library").warning("odd %s", "file")
    get_logger("asr_worker").info("idle")
    own, foreign, after = lines(pipe.getvalue())
    assert own["task_id"] == foreign["task_id"] == "0190"
    assert (foreign["event"], foreign["logger"]) == ("odd file", "some.library")
    assert "task_id" not in after


def test_uvicorn_writes_through_the_same_chain_once(pipe: Pipe) -> None:
    own = logging.StreamHandler(io.StringIO())
    logging.getLogger("uvicorn").addHandler(own)
    logging.getLogger("uvicorn").propagate = False
    configure_logging(settings(), "api")
    logging.getLogger("uvicorn.error").info("started", extra={"color_message": "\x1b[1mstarted"})
    [line] = lines(pipe.getvalue())
    assert (line["event"], line["logger"]) == ("started", "uvicorn.error")
    assert "color_message" not in line


def test_configuring_twice_does_not_write_twice(pipe: Pipe) -> None:
    configure_logging(settings(), "api")
    configure_logging(settings(), "api")
    get_logger("asr_api").info("once")
    assert len(lines(pipe.getvalue())) == 1


def test_the_level_holds_for_all_loggers(pipe: Pipe) -> None:
    configure_logging(settings(log_level="WARNING"), "api")
    get_logger("asr_api").info("quiet")
    logging.getLogger("library").info("quiet")
    get_logger("asr_api").warning("loud")
    assert [line["event"] for line in lines(pipe.getvalue())] == ["loud"]


@pytest.mark.parametrize(
    ("fields", "secret"),
    [
        ({"password": "hunter2hunter2"}, "hunter2hunter2"),
        ({"redis_password": "hunter2hunter2"}, "hunter2hunter2"),
        ({"headers": {"Authorization": "Bearer abcdefgh1234"}}, "abcdefgh1234"),
        ({"api_key": "k-123456"}, "k-123456"),
        ({"AWS_SECRET_ACCESS_KEY": "abc/def"}, "abc/def"),
        ({"token": "t-123456"}, "t-123456"),
        ({"url": "redis://user:hunter2@redis:6379/0"}, "hunter2"),
        ({"urls": ["rediss://:hunter2@redis:6379/0"]}, "hunter2"),
        ({"header": "authorization: Bearer abcdefgh1234"}, "abcdefgh1234"),
        ({"webhook": "https://h/x?a=1&sig=abc%2Bdef&b=2"}, "abc%2Bdef"),
        ({"webhook": "https://h/x?X-Amz-Signature=abcdef"}, "abcdef"),
        ({"error": ValueError("redis://u:hunter2@h")}, "hunter2"),
    ],
)
def test_credentials_are_masked(pipe: Pipe, fields: dict[str, object], secret: str) -> None:
    configure_logging(settings(), "api")
    get_logger("asr_api").info("called", **fields)
    assert secret not in pipe.getvalue()
    assert "***" in pipe.getvalue()


def test_what_only_sounds_secret_is_kept(pipe: Pipe) -> None:
    configure_logging(settings(), "api")
    fields = {"tokens": 12, "keyboard": "de", "idempotency_key": "k", "url": "https://h:1/x?a=b"}
    get_logger("asr_api").info("called", password=None, **fields)
    [line] = lines(pipe.getvalue())
    assert {key: line[key] for key in fields} == fields
    assert line["password"] is None


def test_credentials_in_a_message_or_a_traceback_are_masked(pipe: Pipe) -> None:
    configure_logging(settings(), "api")
    logging.getLogger("redis").warning("cannot reach %s", "redis://u:hunter2@h:6379")
    try:
        raise ConnectionError("redis://u:hunter2@h:6379 is away")
    except ConnectionError:
        get_logger("asr_api").exception("queue is away")
    warned, failed = lines(pipe.getvalue())
    assert "redis://***@h:6379" in str(warned["event"])
    assert "ConnectionError: redis://***@h:6379 is away" in str(failed["exception"])
    assert "hunter2" not in pipe.getvalue()


def test_a_line_stays_one_line_whatever_a_file_is_called(pipe: Pipe) -> None:
    configure_logging(settings(), "api")
    get_logger("asr_api").info("submitted", filename='a\n{"event": "forged"}\u2028\udcff')
    [line] = lines(pipe.getvalue())
    assert line["event"] == "submitted"


def test_log_files_are_json_named_after_the_program(pipe: Pipe, tmp_path: Path) -> None:
    configure_logging(settings(log_dir=tmp_path / "logs", log_format="console"), "worker")
    get_logger("asr_worker").info("decoded", seconds=1.5)
    [line] = lines((tmp_path / "logs" / "asr_worker.log").read_text())
    assert (line["event"], line["seconds"]) == ("decoded", 1.5)
    assert "decoded" in pipe.getvalue()


def test_business_events_have_a_file_of_their_own(pipe: Pipe, tmp_path: Path) -> None:
    configure_logging(settings(log_dir=tmp_path, log_level="ERROR"), "api")
    with structlog.contextvars.bound_contextvars(task_id="0190"):
        business_event("task_submitted", lane="normal")
    [line] = lines((tmp_path / "asr_events.jsonl").read_text())
    assert (line["event"], line["lane"], line["task_id"]) == ("task_submitted", "normal", "0190")
    assert pipe.getvalue() == ""
    assert not (tmp_path / "asr_api.log").exists()


def test_business_events_are_marked_in_the_normal_log_without_a_folder(pipe: Pipe) -> None:
    configure_logging(settings(), "api")
    business_event("task_submitted")
    get_logger("asr_api").info("other")
    event, other = lines(pipe.getvalue())
    assert event["business"] is True
    assert "business" not in other


def test_a_log_file_that_was_moved_away_is_made_again(pipe: Pipe, tmp_path: Path) -> None:
    configure_logging(settings(log_dir=tmp_path), "api")
    get_logger("asr_api").info("first")
    (tmp_path / "asr_api.log").rename(tmp_path / "asr_api.log.1")
    get_logger("asr_api").info("second")
    assert [line["event"] for line in lines((tmp_path / "asr_api.log").read_text())] == ["second"]
