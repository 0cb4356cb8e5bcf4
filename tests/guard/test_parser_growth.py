"""Every parser of what a client controls takes time that grows no faster than its input."""

from __future__ import annotations

import re

import pytest

from fuzz.growth import TIMES, grows_too_fast
from fuzz.parsers import PARSERS, Parser


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_of_what_a_client_sends_grows_no_faster_than_its_input(parser: Parser) -> None:
    found = {case: times for case in parser.hostile if (times := grows_too_fast(parser, *case))}
    assert not found, f"{parser.name}: {TIMES} times as much takes {found} times as long"


def test_the_measure_sees_an_expression_that_backtracks() -> None:
    """The one of `Range` that blocked the API for 12.8 s."""
    old = re.compile(r"^\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*$", re.IGNORECASE)
    assert grows_too_fast(Parser("old", old.match, ()), "bytes=1-", " ")
