"""Prints what pyproject.toml asks for, with the extras and groups that are named; one a line.

For `pip install --require-hashes`, which cannot take a folder, and so none of its extras.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def requirements(*names: str) -> list[str]:
    """Raises KeyError for a name that is neither an extra nor a group."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    parts = project["optional-dependencies"] | document["dependency-groups"]
    own = re.compile(rf"{project['name']}\[([\w,-]+)\]")
    found = set(project["dependencies"])
    for name in names:
        for each in parts[name]:
            match = own.fullmatch(each)
            found.update(requirements(*match[1].split(",")) if match else [each])
    return sorted(found)


if __name__ == "__main__":
    print("\n".join(requirements(*sys.argv[1:])))
