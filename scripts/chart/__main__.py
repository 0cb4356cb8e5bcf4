"""`python -m chart [--check]` generates; `python -m chart tool helm|kubectl` says where one is."""

from __future__ import annotations

import argparse
import sys

from chart.generated import ROOT, copies, rendered, stale, write
from chart.tools import ToolMissing, find_any_helm, find_kubectl


def main() -> int:
    """1 when `--check` finds a stale file, or helm is wanted and cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m chart", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, name stale files")
    parser.add_argument("what", nargs="?", choices=["tool"])
    parser.add_argument("name", nargs="?", choices=["helm", "kubectl"])
    arguments = parser.parse_args()
    try:
        if arguments.what:
            print(find_kubectl() if arguments.name == "kubectl" else find_any_helm().path)
            return 0
        helm = find_any_helm()
    except ToolMissing as error:
        print(f"chart: {error}", file=sys.stderr)
        return 1
    if not arguments.check:
        write(copies())
        write(rendered(helm))
        return 0
    found = [*stale(copies()), *stale(rendered(helm))]
    for path in found:
        print(f"{path.relative_to(ROOT)} is stale: run make manifests", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
