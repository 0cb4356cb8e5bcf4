"""The running `asr up` of a folder, as other commands find it: a file in that folder holds the
addresses of its Redis and API, and its Redis's socket shows whether it still runs.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from asr_cli.console import say
from asr_cli.local.data_folder import PARTS, RUNNING
from asr_cli.local.redis_socket import listens, private_settings, socket_url
from asr_core.errors import QueueUnavailable
from asr_core.settings.models import FolderSettings
from asr_core.settings.redis import RedisSettings
from asr_core.settings.store import StoreSettings

DEFAULT_SERVER = "http://127.0.0.1:8000"
# Of these settings none says which Redis is meant.
_TUNING = frozenset({"key_prefix", "timeout_seconds", "max_connections"})


def data_folder(given: Path | None) -> Path:
    """Of `--data`, else of ASR_DATA, else `data` in the working directory."""
    return Path(given or FolderSettings().data).resolve()


@dataclass(frozen=True)
class RunningPlatform:
    """What the file says. It holds no secret."""

    redis_socket: str
    key_prefix: str
    api_url: str

    def write(self, folder: Path) -> None:
        """In one step, for its owner alone."""
        draft = folder / f"{RUNNING}.new"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file)
        draft.replace(folder / RUNNING)


def find_running(folder: Path) -> RunningPlatform | None:
    """None where none runs. Raises QueueUnavailable where this user may not look."""
    try:
        fields = json.loads((folder / RUNNING).read_text())
        running = RunningPlatform(**fields)
        return running if listens(Path(running.redis_socket)) else None
    except PermissionError:
        raise QueueUnavailable(
            f"{folder} belongs to another user, and so does its `asr up`"
        ) from None
    except (OSError, ValueError, TypeError):  # none, or that of another version
        return None


@dataclass(frozen=True)
class Place:
    """Which Redis and store a command works on."""

    redis: RedisSettings
    store_url: str
    advice: str = ""

    @contextmanager
    def advising(self) -> Iterator[None]:
        """Adds to the error that Redis is unavailable what else could have been meant."""
        try:
            yield
        except QueueUnavailable as error:
            if self.advice and type(error) is QueueUnavailable:
                raise QueueUnavailable(f"{error.message.rstrip('.')}. {self.advice}") from error
            raise


def find_place(given: Path | None, *, store: bool = False) -> Place:
    """Of `--data` if it is given, else of the settings if they name a Redis (or, where one is asked
    for, a store), else of the running `asr up` of the folder, else the settings' defaults.

    Raises QueueUnavailable for an `asr up` that does not run, or is another user's.
    """
    settings, stores = RedisSettings(), StoreSettings()
    if given is None and (
        _names_redis(settings) or (store and "store_url" in stores.model_fields_set)
    ):
        return Place(settings, stores.store_url)
    folder = data_folder(given)
    running = find_running(folder)
    if running:
        prefix = settings.key_prefix or running.key_prefix
        redis = private_settings(socket_url(Path(running.redis_socket)), key_prefix=prefix)
        return Place(redis, (folder / "store").as_uri())
    is_meant = given is not None or "data" in FolderSettings().model_fields_set
    advice = (
        f"No `asr up` runs in {folder}: start one (`asr up --data {shlex.quote(str(folder))}`), "
        "name the folder of another (--data, ASR_DATA), or a Redis (ASR_REDIS_URL, REDIS_HOST)"
    )
    if is_meant or all((folder / part).is_dir() for part in PARTS):
        raise QueueUnavailable(advice)
    say(f"no `asr up` runs in {folder}: using Redis on {settings.host}:{settings.port}")
    return Place(settings, stores.store_url, advice)


def default_server() -> str:
    """The API's address for commands that name none."""
    running = None
    with suppress(QueueUnavailable):  # another user's: it may serve all the same
        running = find_running(data_folder(None))
    return running.api_url if running else DEFAULT_SERVER


def _names_redis(settings: RedisSettings) -> bool:
    return any(getattr(settings, name) for name in settings.model_fields_set - _TUNING)
