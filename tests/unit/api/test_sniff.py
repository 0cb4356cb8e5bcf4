"""First bytes."""

import pytest

from asr_api.probe.sniff import looks_like_audio, other_format

_TRANSPORT = (b"\x47" + bytes(187)) * 3


@pytest.mark.parametrize(
    "head",
    [
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"fLaC\x00\x00",
        b"OggS\x00\x02",
        b"ID3\x04\x00",
        b"\xff\xfb\x90\x00",
        b"\xff\xf1\x50\x80",
        b"\x1aE\xdf\xa3",
        b"\x00\x00\x00\x20ftypM4A ",
        b"#!AMR\n",
        b"RIFX\x00\x00\x00\x00WAVEfmt ",
        b"BW64\xff\xff\xff\xffWAVEds64",
        b"RIFF\x00\x00\x00\x00AVI ",
        b"FORM\x00\x00\x00\x00AIFF",
        b"FORM\x00\x00\x00\x00AIFC",
        b"caff\x00\x01",
        b".snd\x00\x00\x00\x18",
        b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\x00\xaa",
        b"FLV\x01\x04",
        b"\x0bw\x00\x00",
        b"wvpk\x00\x00",
        b"\x00\x00\x01\xba\x44",
        _TRANSPORT,
        b"".join(bytes(4) + _TRANSPORT[:188] for _ in range(3)),
    ],
)
def test_containers_that_are_served_are_known_by_their_first_bytes(head):
    assert looks_like_audio(head)


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"\xff", b"\xff\xff\xff", b"hello", b"\x89PNG\r\n", b"%PDF", b"G" * 100),
        *(b"RIFF\x00\x00\x00\x00WEBP", b"\x00\x00\x00\x18ftypheic", b"FORM\x00\x00\x00\x00ILBM"),
    ],
)
def test_other_files_are_not(head):
    assert not looks_like_audio(head)


@pytest.mark.parametrize(
    "head", [b"", b"hello", b"BMX", b"RIFF", b"<", b"#!/bin/sh\n", bytes(1024)]
)
def test_what_is_not_known_gets_no_name(head):
    assert not looks_like_audio(head)
    assert other_format(head) == ""
