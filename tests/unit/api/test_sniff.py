"""First bytes."""

import pytest

from asr_api.probe.sniff import looks_like_audio


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
    ],
)
def test_containers_that_are_served_are_known_by_their_first_bytes(head):
    assert looks_like_audio(head)


@pytest.mark.parametrize(
    "head",
    [b"", b"\xff", b"\xff\xff\xff", b"hello", b"\x89PNG\r\n", b"RIFF\x00\x00\x00\x00AVI ", b"%PDF"],
)
def test_other_files_are_not(head):
    assert not looks_like_audio(head)
