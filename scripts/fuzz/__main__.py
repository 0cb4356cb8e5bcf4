"""`python -m fuzz`: is there a file that takes down more than itself?"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
from pathlib import Path

from fuzz.costly import costly_cases
from fuzz.mutations import draw
from fuzz.report import Report
from fuzz.run import fuzz
from fuzz.seeds import seeds

EXAMPLES = """
examples:
  python -m fuzz --files 10000 --seed 1    thousands of files; findings are kept in fuzz-finds
  python -m fuzz --seed 1 --only 4711      one of them again
"""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzz",
        description="Damage valid recordings by a seed, submit them and some that cost much to "
        "decode to a real API with real workers behind it, and account for each; then send it "
        "hostile text in every place of a request. Exit status 0 only if every bound holds: no "
        "5xx, no task that is tried twice or never ends, no process lost.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--files", type=int, default=2000, help="how many (default 2000)")
    add("--seed", type=int, default=1, help="which ones (default 1)")
    add("--only", type=int, nargs="+", metavar="NUMBER", help="only these files of the seed")
    add("--workers", type=int, default=2, help="worker processes (default 2)")
    add("--finds", type=Path, default=Path("fuzz-finds"), help="where findings are kept")
    add("--keep", type=Path, metavar="FOLDER", help="keep logs, Redis and store there")
    return parser.parse_args(arguments)


def main() -> int:
    """Returns the exit status."""
    asked = parse()
    sources = seeds()
    numbers = asked.only or range(asked.files)
    costly = [] if asked.only else costly_cases(asked.files)
    cases = itertools.chain(costly, (draw(asked.seed, number, sources) for number in numbers))
    with tempfile.TemporaryDirectory(prefix="asr-fuzz-") as temporary:
        folder = (asked.keep or Path(temporary)).absolute()
        report = asyncio.run(
            fuzz(
                cases,
                seed=asked.seed,
                workers=asked.workers,
                folder=folder,
                texts=not asked.only,
            )
        )
    for line in report.lines():
        print(line)
    keep_finds(report, asked.finds)
    return 1 if report.findings else 0


def keep_finds(report: Report, folder: Path) -> None:
    """Write the files that broke a bound, and say how to send them again."""
    found = [finding.fate.case for finding in report.findings if finding.fate is not None]
    if not found:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for case in found:
        (folder / f"{report.seed}-{case.name}").write_bytes(case.data)
    numbers = " ".join(str(case.number) for case in found[:20])
    print(f'files are in {folder}; again: make fuzz ARGS="--seed {report.seed} --only {numbers}"')


if __name__ == "__main__":
    sys.exit(main())
