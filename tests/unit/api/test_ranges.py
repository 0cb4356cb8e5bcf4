"""The Range header, by RFC 9110."""

import pytest

from asr_api.http.ranges import ByteRange, parse_range
from asr_core.errors import RangeNotSatisfiable


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-9", 0, 10),
        ("bytes=90-", 90, 100),
        ("bytes=90-5000", 90, 100),
        ("bytes=-10", 90, 100),
        ("bytes=-5000", 0, 100),
        (" Bytes = 5 - 6 ", 5, 7),
    ],
)
def test_one_range_is_clipped_to_the_file(header, start, end):
    assert parse_range(header, 100) == ByteRange(start, end, 100)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "lines=0-9",
        "bytes=0-1,3-4",
        "bytes=9-3",
        "bytes=0",
    ],
)
def test_what_is_no_single_range_is_ignored(header):
    assert parse_range(header, 100) is None


def test_a_header_and_its_numbers_may_have_their_longest_and_no_more():
    """256 characters, 18 digits."""
    for spaces, found in ((256 - 9, ByteRange(0, 10, 100)), (256 - 8, None)):
        assert parse_range("bytes=" + " " * spaces + "0-9", 100) == found
    assert parse_range("bytes=0-" + "9" * 18, 100) == ByteRange(0, 100, 100)
    assert parse_range("bytes=0-" + "9" * 19, 100) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)]
)
def test_a_range_outside_of_the_file_is_not_satisfiable(header, size):
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, size)


def test_a_range_names_its_last_byte_on_the_wire():
    assert ByteRange(10, 20, 100).content_range == "bytes 10-19/100"
    assert ByteRange(10, 20, 100).length == 10
