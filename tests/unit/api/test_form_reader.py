"""Multipart as it arrives, in pieces of any size."""

import pytest

from asr_api.errors import MalformedUpload, UnsupportedMediaType
from asr_api.uploads.multipart import FormReader
from asr_core.errors import InvalidOption

CONTENT_TYPE = 'multipart/form-data; boundary="b0"'


def reader() -> FormReader:
    return FormReader(CONTENT_TYPE, file_fields=("audio", "file"), text_fields=("lane", "hotwords"))


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    head = f"--b0\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
    return head + value + b"\r\n"


def read(body: bytes, size: int) -> tuple[FormReader, bytes]:
    form = reader()
    audio = b"".join(form.feed(body[i : i + size]) for i in range(0, len(body), size))
    form.close()
    return form, audio


AUDIO = b"RIFF\r\n--b\r\n--b1\x00\xff" * 50
BODY = part("lane", b"batch") + part("audio", AUDIO, "a.wav") + part("hotwords", "Größe".encode())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_the_size_of_the_pieces_does_not_matter(size):
    form, audio = read(BODY + b"--b0--\r\n", size)
    assert audio == AUDIO
    assert form.fields == [("lane", "batch"), ("hotwords", "Größe")]
    assert form.filename == "a.wav"


@pytest.mark.parametrize("size", [1, 3, 64, 10_000])
@pytest.mark.parametrize("before", [b"\r\n", b"for old mail readers\r\n", b"--b\r\n--b1 --b0\n"])
def test_what_stands_before_the_first_boundary_is_ignored(before, size):
    form, audio = read(before + BODY + b"--b0--\r\n", size)
    assert (audio, len(form.fields)) == (AUDIO, 2)


def test_a_body_that_does_not_begin_is_refused_at_its_end():
    form = reader()
    form.feed(b"no boundary at all")
    with pytest.raises(MalformedUpload):
        form.close()


def test_places_in_lists_are_left_out_of_names_and_other_fields_kept_where_they_may_come():
    form = FormReader(CONTENT_TYPE, file_fields=("audio",), text_fields=("x[]",), any_field=True)
    form.feed(part("x[0]", b"a") + part("x[1]", b"b") + part("other", b"\xff") + part("audio", b""))
    assert form.fields == [("x[]", "a"), ("x[]", "b"), ("other", "\ufffd")]


def test_a_file_without_a_name_is_a_file():
    form, audio = read(part("audio", b"x") + b"--b0--\r\n", 100)
    assert (form.filename, audio) == ("", b"x")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (part("colour", b"red"), "colour"),
        (part("audio", b"x", "a") + part("file", b"y", "b"), "file"),
        (part("lane", b"x" * 70_000), "lane"),
        (part("lane", b"\xff\xfe"), "lane"),
    ],
)
def test_a_part_that_is_not_allowed_is_refused_by_name_before_the_end(body, param):
    form = reader()
    with pytest.raises(InvalidOption) as caught:
        form.feed(body + b"--b0\r\n")
    assert caught.value.param == param


def test_thousands_of_parts_are_refused():
    form = reader()
    with pytest.raises(InvalidOption, match="256 parts"):
        form.feed(part("hotwords", b"x") * 257)


def test_a_form_without_a_file_is_refused_at_its_end():
    form = reader()
    form.feed(part("lane", b"batch") + b"--b0--\r\n")
    with pytest.raises(InvalidOption) as caught:
        form.close()
    assert caught.value.param == "audio"


def test_a_form_that_breaks_off_is_malformed():
    form = reader()
    form.feed(BODY)
    with pytest.raises(MalformedUpload):
        form.close()


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary at all" * 300,
        b"no boundary at all\r\n--b0\r\nContent-Disposition: form-data\r\n\r\nx",
        b"--b0\r\nContent-Disposition: form-data\r\n\r\nx",
        b"--b0\r\nno colon\r\n\r\n",
        b"--b0\r\n" + b"X: " + b"y" * 10_000 + b"\r\n",
    ],
)
def test_a_body_against_the_rules_is_malformed(body):
    with pytest.raises(MalformedUpload):
        reader().feed(body)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_another_content_type_is_not_read(content_type):
    with pytest.raises(UnsupportedMediaType):
        FormReader(content_type, file_fields=("audio",), text_fields=())


@pytest.mark.parametrize("boundary", ["", "; boundary=", f"; boundary={'x' * 300}"])
def test_a_content_type_without_a_usable_boundary_is_malformed(boundary):
    with pytest.raises(MalformedUpload):
        FormReader(f"multipart/form-data{boundary}", file_fields=("audio",), text_fields=())
