"""Writes docs/openapi.json from the app, or with `--check` says whether it is up to date."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from asr_api.app import create_app
from asr_api.settings.api import ApiSettings

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"


def document() -> str:
    """The OpenAPI document of an app with default settings; building it touches no service."""
    schema = create_app(ApiSettings(_env_file=None)).openapi()
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Returns 1 when `--check` finds that the file differs from the app."""
    if arguments == ["--check"]:
        if DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == document():
            return 0
        print(
            f"{DOCUMENT.name} does not fit the app: run python scripts/openapi.py", file=sys.stderr
        )
        return 1
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
