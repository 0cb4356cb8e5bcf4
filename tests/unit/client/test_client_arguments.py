"""What the clients take: addresses, keys, recordings, options, formats."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.datastructures import UploadFile

from asr_platform import AsyncClient, Client, InvalidArgument, SubmitOptions, WrongAddress
from asr_platform.options import form_fields, json_fields

SECRET = "asr_abc_secret"


def test_no_option_is_required() -> None:
    assert not SubmitOptions.__required_keys__


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("asr.example.com/speech", "http://asr.example.com/speech"),
        ("", "http://127.0.0.1:8000"),
        ("//asr.example.com", "http://asr.example.com"),
        ("ftp://asr.example.com", "http://HOST:PORT"),
        ("http://", "http://HOST:PORT"),
        ("http://asr.example.com:80a", "not a URL"),
        ("http://999.999.1.1", "Invalid IPv4"),
        ("http://asr.example.com/?key=1", r"before \?"),
    ],
)
def test_a_wrong_address_is_refused_at_once_with_what_to_write(
    client_class: Any, address: str, told: str
) -> None:
    with pytest.raises(WrongAddress, match=told) as raised:
        client_class(address)
    assert isinstance(raised.value, ValueError)


def test_address_and_key_come_from_the_environment_if_none_is_given(
    script: Any, monkeypatch: pytest.MonkeyPatch, client_class: Any
) -> None:
    monkeypatch.setenv("ASR_API_KEY", "asr_environment\n")
    for given, sent in ((None, "Bearer asr_environment"), ("asr_given", "Bearer asr_given")):
        with script(script.accepted(), api_key=given) as client:
            client.submit(b"RIFF....")
        assert script.seen[0].headers["Authorization"] == sent
    with script(script.accepted(), api_key="", headers={"X-Gateway": "g"}) as client:
        client.submit(b"RIFF....")
    assert "Authorization" not in script.seen[0].headers
    assert script.seen[0].headers["X-Gateway"] == "g"
    with client_class() as client:
        assert client.server == "http://127.0.0.1:8000"
    monkeypatch.setenv("ASR_SERVER", "http://asr.example.com/speech/")
    with client_class() as client:
        assert client.server == "http://asr.example.com/speech"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_neither_the_key_nor_a_password_is_ever_shown(kind: Any) -> None:
    assert repr(kind("http://asr.test", api_key=SECRET)) == f"{kind.__name__}('http://asr.test')"
    shown = repr(kind("http://me:password@asr.test:81/speech"))
    assert shown == f"{kind.__name__}('http://asr.test:81/speech')"
    with pytest.raises(InvalidArgument) as raised:
        kind("http://asr.test", api_key=f"{SECRET}\nx")
    assert SECRET not in str(raised.value)
    with pytest.raises(InvalidArgument, match="exclude each other") as raised:
        kind("http://me:password@asr.test", api_key=SECRET)
    assert "password" not in str(raised.value)


class Pipe(io.BytesIO):
    """It cannot be read twice."""

    def seekable(self) -> bool:
        return False


def recordings(path: Path) -> dict[str, tuple[Any, str]]:
    """Each kind of source, and the name under which it is sent."""
    behind = io.BytesIO()
    behind.write(b"RIFF....")
    return {
        "path": (path, "talk.wav"),
        "text": (str(path), "talk.wav"),
        "bytes": (b"RIFF....", "recording"),
        "memory": (memoryview(b"RIFF...."), "recording"),
        "file": (path.open("rb"), "talk.wav"),
        "buffer": (behind, "recording"),
        "pipe": (Pipe(b"RIFF...."), "recording"),
        "asynchronous file": (anyio.wrap_file(path.open("rb")), "talk.wav"),
        "upload": (UploadFile(io.BytesIO(b"RIFF...."), size=8, filename="up.wav"), "up.wav"),
    }


@pytest.mark.parametrize("kind", list(recordings(Path(__file__))))
def test_a_recording_is_sent_from_its_beginning_in_each_try(
    script: Any, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF....")
    source, name = recordings(path)[kind]
    with script(script.busy(), script.accepted()) as client:
        client.submit(source)
    assert len(script.seen) == 2
    for request in script.seen:
        assert f'filename="{name}"'.encode() in request.content
        assert b"\r\n\r\nRIFF....\r\n" in request.content
        assert int(request.headers["Content-Length"]) == len(request.content)
    if kind == "file":
        assert not source.closed


def test_what_is_no_recording_is_refused_before_anything_is_sent(
    script: Any, tmp_path: Path
) -> None:
    with script() as client:
        with pytest.raises(FileNotFoundError):
            client.submit(tmp_path / "missing.wav")
        for source in (io.StringIO("text"), 17):
            with pytest.raises(InvalidArgument, match="binary mode"):
                client.submit(source)


def test_a_file_name_is_quoted_as_browsers_do(script: Any) -> None:
    with script(script.accepted()) as client:
        client.submit(b"RIFF....", filename='a "b"\r\nü.wav')
    assert 'filename="a %22b%22%0D%0Aü.wav"'.encode() in script.seen[0].content


def test_a_file_that_grows_is_sent_as_it_was(script: Any, tmp_path: Path) -> None:
    path = tmp_path / "growing.wav"
    path.write_bytes(b"RIFF....")

    class Growing(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
            path.write_bytes(b"RIFF....and more")
            return super().read(size)

    with script(script.accepted()) as client:
        client.submit(Growing(path))
    assert b"\r\n\r\nRIFF....\r\n" in script.seen[0].content


def test_options_that_were_not_given_are_not_sent() -> None:
    assert form_fields({}) == json_fields({"language": None, "hotwords": []}) == {}
    assert form_fields({"track": 2, "itn": False}) == {"track": "2", "itn": "false"}
    assert json_fields({"track": 2, "itn": False}) == {"track": 2, "itn": False}


def test_hotwords_may_be_text_with_commas() -> None:
    for words in ("kopf, redis", ("kopf", "redis"), ["kopf", "redis", " "]):
        assert form_fields({"hotwords": words}) == {"hotwords": "kopf,redis"}
        assert json_fields({"hotwords": words}) == {"hotwords": ["kopf", "redis"]}


def test_a_misspelt_option_is_refused_with_the_nearest_name(script: Any) -> None:
    with script() as client:
        with pytest.raises(TypeError, match="'langauge'; did you mean 'language'"):
            client.submit(b"RIFF....", langauge="en")
        with pytest.raises(TypeError, match="'x'; there are: lane, pool"):
            client.transcribe("https://example.com/talk.mp3", x=1)


def test_options_are_a_plain_dictionary_that_can_be_kept_and_given(script: Any) -> None:
    options = SubmitOptions(lane="batch", channels="split")
    with script(script.accepted()) as client:
        client.submit(b"RIFF....", **options)
    assert b'name="lane"\r\n\r\nbatch\r\n' in script.seen[0].content


def test_an_unknown_format_is_refused_with_those_there_are(script: Any) -> None:
    with script() as client, pytest.raises(InvalidArgument, match=r"'docx'.*text, srt, vtt, json"):
        client.result("t1", format="docx")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hotwords", ["x" * 129]),
        ("hotwords", [str(number) for number in range(101)]),
        ("language", "x" * 65),
        ("webhook", "https://" + "x" * 2048),
    ],
)
def test_text_that_the_api_refuses_is_refused_before_an_upload(name: str, value: object) -> None:
    with pytest.raises(InvalidArgument, match="may have") as caught:
        form_fields({name: value})
    assert caught.value.code == "invalid_option"
