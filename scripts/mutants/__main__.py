"""`make mutants`: prints every change that the unit tests do not notice, and the share they do."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from mutants.changes import Mutant, made, places_of, sampled
from mutants.rooms import Room, Table, TestChoice, read_table
from mutants.trial import Copies, Runner, Trial


def main() -> int:
    arguments = _arguments()
    root = arguments.root.resolve()
    table = read_table(root)
    rooms = [each for each in table.rooms if arguments.room in (None, each.name)]
    if not rooms:
        names = ", ".join(each.name for each in table.rooms)
        print(f"no room {arguments.room!r}; there are {names}", file=sys.stderr)
        return 2
    sys.path[:0] = [str(root / each.name) for each in table.rooms]
    choice = TestChoice(each.package for each in table.rooms)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = Copies(Path(folder), [root / each.name for each in table.rooms], arguments.jobs)
        runner = Runner(copies, root)
        good = [_room(room, table, choice, runner, arguments) for room in rooms]
    return 0 if all(good) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--room", help="api, cli, client, core, operator or worker; all without")
    parser.add_argument("--module", help="only this one, by its full name")
    parser.add_argument("--sample", type=int, default=60, help="changes in a room, 0 for all; 60")
    parser.add_argument("--seed", type=int, default=1, help="draws the sample; 1")
    parser.add_argument("--jobs", type=int, default=2, help="trials side by side; 2")
    parser.add_argument(
        "--spare-seconds", type=float, default=10, help="beyond four times the tests' own time; 10"
    )
    parser.add_argument("--root", type=Path, default=Path(), help="the repository; the one here")
    return parser.parse_args()


def _room(
    room: Room, table: Table, choice: TestChoice, runner: Runner, arguments: argparse.Namespace
) -> bool:
    wanted = [each for each in room.modules if arguments.module in (None, each)]
    sources = {module: (arguments.root / room.path(module)).read_text() for module in wanted}
    places = [
        place
        for module, source in sources.items()
        for place in places_of(module, source, arguments.seed)
    ]
    outdated = table.outdated(places)
    for each in outdated:
        what = f"line {each.before!r} in" if each.before else "definition"
        print(f"  OUTDATED {each.module}: no {what} {each.definition} any more")
    drawn = [
        made(sources[place.module], place)
        for place in sampled(places, arguments.sample, arguments.seed)
    ]
    tests = {module: tuple(choice.of(module, room.tests)) for module in sources}
    limit_seconds = arguments.spare_seconds + 4 * runner.load(room.tests)
    trials = (
        Trial(each, room.path(each.module), tests[each.module])
        for each in drawn
        if tests[each.module]
    )
    unseen = [each for each in drawn if not tests[each.module]]
    unseen += [trial.mutant for trial, noticed in runner.run(trials, limit_seconds) if not noticed]
    return report(room, table, unseen, len(drawn), len(places)) and not outdated


def report(room: Room, table: Table, unseen: list[Mutant], drawn: int, places: int) -> bool:
    nameless = [each for each in unseen if not table.reason(each)]
    for mutant in sorted(unseen, key=lambda each: (each.module, each.place.line)):
        reason = table.reason(mutant)
        print(f"  accepted {mutant}  ({reason})" if reason else f"  SURVIVED {mutant}")
    noticed = 1 - len(unseen) / drawn if drawn else 1.0
    print(
        f"{room.name}: {noticed:.0%} noticed, {drawn - len(unseen)} of {drawn} drawn from "
        f"{places} places; {len(nameless)} of {len(unseen)} survivors have no reason in "
        "tests/mutants.toml",
        flush=True,
    )
    return noticed >= table.least_noticed and not nameless


if __name__ == "__main__":
    sys.exit(main())
