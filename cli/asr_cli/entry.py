"""The `asr` script: it says what is missing where only the Python client is installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import NoReturn

_NEEDED = ("typer", "rich", "redis", "pydantic_settings", "structlog")


def main() -> NoReturn:
    """Run the command, or name the extra that it is missing."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(
            f"asr: {', '.join(missing)} is not installed: pip install 'asr-platform[cli]' for the "
            "command against a server, 'asr-platform[all]' to run one"
        )
    from asr_cli.main import main as run

    run()
