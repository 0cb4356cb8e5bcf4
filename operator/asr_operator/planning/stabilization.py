"""Stabilization windows over the desired replicas, as a HorizontalPodAutoscaler has them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from asr_operator.planning.observation import Desire, History
from asr_operator.planning.spec import Scaling

_LEAST_DOWN_SECONDS, _MOST_DOWN_SECONDS = 5.0, 300.0


def down_seconds(scaling: Scaling, startup_seconds: float) -> float:
    """From the spec, else half a start-up, less where a start is short compared with the target:
    a worker that is needed again is then ready in time."""
    if (down := scaling.stabilization_seconds.down) is not None:
        return down
    ratio = min(1.0, startup_seconds / scaling.target_wait_seconds)
    return min(max(startup_seconds / 2 * ratio**2, _LEAST_DOWN_SECONDS), _MOST_DOWN_SECONDS)


def record_desire(history: History, now: float, wanted: int, *, up: float, down: float) -> History:
    """Adds a desire; drops those that can no longer be the highest or lowest of a window."""
    # Later than now: the clock was set back.
    if history.watching_since is None or history.watching_since > now:
        history = reset_window(history)
    desire = Desire(now, wanted)
    highs = [d for d in history.highs if d.at >= now - down and d.replicas > wanted]
    lows = [d for d in history.lows if d.at >= now - up and d.replicas < wanted]
    return replace(
        history,
        watching_since=now if history.watching_since is None else history.watching_since,
        highs=(*highs, desire),
        lows=(*lows, desire),
    )


def reset_window(history: History) -> History:
    """Starts new windows: while there was no signal, nothing was observed."""
    return replace(history, watching_since=None, highs=(), lows=())


def stabilized(
    history: History, now: float, replicas: int, *,
    up: float, down: float, within: Callable[[int], int],
) -> int:  # fmt: skip
    """The stabilized number of replicas.

    That is the largest desire of the down-window if it is below `replicas`, the smallest of the
    up-window if it is above, both limited by `within`. From zero, one worker starts at once. Before
    a whole window was observed nothing changes in its direction. Call `record_desire` first.
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
