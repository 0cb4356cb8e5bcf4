from __future__ import annotations

import pytest
from typer.testing import CliRunner

from asr_cli.commands.retention import in_words
from asr_cli.main import app
from asr_core.lifecycle.retention import Retained


def test_a_pass_is_told_in_one_line() -> None:
    done = Retained(False, 1200, 3_450_000, 1, 10, 2, 0, "", 1.26)
    assert in_words(done) == (
        "deleted 1,200 recordings (3.5 MB) and 1 record, 10 recordings of finished tasks kept, "
        "2 files of no known task, 0 errors, in 1.3 s"
    )


def test_a_dry_run_says_that_nothing_was_deleted_and_no_limit_that_nothing_was_counted() -> None:
    told = in_words(Retained(dry_run=True))
    assert told == "would delete 0 recordings (0.0 MB) and 0 records, 0 errors, in 0.0 s"


@pytest.mark.parametrize(
    ("arguments", "env", "named", "status"),
    [
        (["--dry-run", "--every", "60"], {}, "--every", 2),
        (["--max-recordings", "-1"], {}, "--max-recordings", 2),
        (["--every", "0"], {}, "--every", 2),
        (["--results-max-age-days", "0"], {}, "results_max_age_days", 1),
        ([], {"MAX_RECORDINGS": "-1"}, "MAX_RECORDINGS", 1),
        ([], {"ASR_RESULTS_MAX_AGE_DAYS": "soon"}, "results_max_age_days", 1),
    ],
)
def test_limits_that_make_no_sense_are_refused_before_redis_is_asked(
    arguments: list[str], env: dict[str, str], named: str, status: int
) -> None:
    wide = {"COLUMNS": "200", "REDIS_PORT": "1", **env}
    done = CliRunner().invoke(app, ["retention", *arguments], env=wide)
    assert (done.exit_code, named in done.output) == (status, True), done.output
