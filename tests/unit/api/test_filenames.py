"""File names from strangers."""

import pytest

from asr_api.http.filenames import attachment_disposition, clean_filename


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("meeting.wav", "meeting.wav"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\call.mp3", "call.mp3"),
        ("wee\x00k\r\nly\x7f.wav", "weekly.wav"),
        ("\u202egnp.wav", "gnp.wav"),
        ("  padded.wav ", "padded.wav"),
        ("..", ""),
        ("folder/", ""),
        ("", ""),
        ("会议.wav", "会议.wav"),
    ],
)
def test_a_name_keeps_its_last_part_and_what_can_be_seen(raw, clean):
    assert clean_filename(raw) == clean


def test_a_long_name_is_cut():
    assert len(clean_filename("x" * 1000)) == 255


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a b.wav", 'attachment; filename="a b.wav"'),
        ("", 'attachment; filename="id-1"'),
        ('x"y\\z.wav', "attachment; filename=\"x_y_z.wav\"; filename*=UTF-8''x%22y%5Cz.wav"),
        ("ü.wav", "attachment; filename=\"_.wav\"; filename*=UTF-8''%C3%BC.wav"),
    ],
)
def test_a_disposition_is_ascii_and_cannot_be_broken_out_of(name, value):
    assert attachment_disposition(name, fallback="id-1") == value
    assert value.isascii()
