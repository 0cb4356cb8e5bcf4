"""Stabilisation: what was wanted over the last seconds, and what may be done about it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from asr_operator.planning.observation import Desire, History
from asr_operator.planning.spec import Scaling

_LEAST_DOWN_SECONDS, _MOST_DOWN_SECONDS = 5.0, 300.0


def down_seconds(scaling: Scaling, startup_seconds: float) -> float:
    """As the spec says, else half a start-up, and less where a start is short beside the target: a
    worker that is missed is there again in time."""
    if (down := scaling.stabilization_seconds.down) is not None:
        return down
    ratio = min(1.0, startup_seconds / scaling.target_wait_seconds)
    return min(max(startup_seconds / 2 * ratio**2, _LEAST_DOWN_SECONDS), _MOST_DOWN_SECONDS)


def remember(history: History, now: float, wanted: int, *, up: float, down: float) -> History:
    """The history with one more desire; only what can still matter is kept."""
    if history.watching_since is None or history.watching_since > now:  # or the clock was set back
        history = forget(history)
    desire = Desire(now, wanted)
    highs = [d for d in history.highs if d.at >= now - down and d.replicas > wanted]
    lows = [d for d in history.lows if d.at >= now - up and d.replicas < wanted]
    return replace(
        history,
        watching_since=now if history.watching_since is None else history.watching_since,
        highs=(*highs, desire),
        lows=(*lows, desire),
    )


def forget(history: History) -> History:
    """Nothing can be said about the time without a signal: watching begins anew."""
    return replace(history, watching_since=None, highs=(), lows=())


def stable(
    history: History, now: float, replicas: int, *,
    up: float, down: float, within: Callable[[int], int],
) -> int:  # fmt: skip
    """What `replicas` may become: the largest desire of the down-window if that is fewer, the
    smallest of the up-window if that is more, both `within` what is allowed. From zero one worker
    starts at once.

    Before a whole window has been seen nothing moves in its direction. `remember` comes first.
    """
    watched = now - history.watching_since if history.watching_since is not None else -1.0
    highest, lowest = within(history.highs[0].replicas), within(history.lows[0].replicas)
    if lowest > replicas and watched >= up:
        return lowest
    if replicas == 0 and history.lows[-1].replicas > 0:
        return 1
    if highest < replicas and watched >= down:
        return highest
    return replicas
