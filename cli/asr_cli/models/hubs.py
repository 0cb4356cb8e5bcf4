"""Model hubs: the addresses of files, and whether a hub answers at all."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

from asr_cli.models.download import reason, timeout
from asr_core.models import Hub, Model

_HUGGINGFACE = "https://huggingface.co"
_MODELSCOPE = "https://www.modelscope.cn"


def file_url(hub: Hub, name: str, environment: Mapping[str, str] = os.environ) -> httpx.URL:
    """Where a hub has a file. `HF_ENDPOINT` and `MODELSCOPE_DOMAIN` name mirrors of the hubs, as in
    the hubs' own libraries.
    """
    if hub.kind == "huggingface":
        base = environment.get("HF_ENDPOINT") or _HUGGINGFACE
        path = f"{hub.repository}/resolve/{hub.revision}/{name}"
    else:
        domain = environment.get("MODELSCOPE_DOMAIN", "")
        base = (domain if "://" in domain else f"https://{domain}") if domain else _MODELSCOPE
        path = f"models/{hub.repository}/resolve/{hub.revision}/{name}"
    return httpx.URL(f"{base.rstrip('/')}/{path}")


def login(hub: Hub, environment: Mapping[str, str] = os.environ) -> tuple[tuple[str, str], ...]:
    """The header with the token of HF_TOKEN; httpx takes it off where a reply leads elsewhere."""
    token = environment.get("HF_TOKEN", "") if hub.kind == "huggingface" else ""
    return (("authorization", f"Bearer {token}"),) if token else ()


@dataclass(frozen=True)
class Answers:
    """Which hubs may be asked for a model, and why the others are not. `unreachable` are the kinds
    of hubs that did not answer at all, whatever they are asked for.
    """

    answering: tuple[Hub, ...]
    silent: Mapping[Hub, str]
    unreachable: frozenset[str]


def ask(model: Model, hubs: Sequence[Hub], seconds: float) -> Answers:
    """Asks all for the smallest file at once, `seconds` in all; done when the first answers."""
    smallest = min(model.files, key=lambda file: file.size)
    replies: queue.SimpleQueue[tuple[Hub, int, str]] = queue.SimpleQueue()
    for hub in hubs:
        # Threads of their own, which end with the program: looking up a name has no time limit.
        arguments = (hub, smallest.name, seconds, replies)
        threading.Thread(target=_ask_one, args=arguments, daemon=True).start()
    silent = dict.fromkeys(hubs, f"no answer within {seconds:g} s")
    reached = set()
    deadline = time.monotonic() + seconds
    for _ in hubs:
        try:
            hub, status, problem = replies.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            break
        if not problem:
            others = tuple(each for each in hubs if each != hub)
            return Answers((hub, *others), {}, frozenset())
        silent[hub] = problem
        if status:
            reached.add(hub.kind)
    return Answers((), silent, frozenset({hub.kind for hub in hubs} - reached))


def _ask_one(
    hub: Hub, name: str, seconds: float, replies: queue.SimpleQueue[tuple[Hub, int, str]]
) -> None:
    """Puts the status (0 if there was no reply) and the problem (empty if there is none)."""
    url = file_url(hub, name)
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=timeout(seconds)) as client,
            client.stream("GET", url, headers=dict(login(hub))) as reply,
        ):
            status = reply.status_code
            replies.put((hub, status, "" if reply.is_success else f"answers {status}"))
    except Exception as error:
        replies.put((hub, 0, reason(error)))
