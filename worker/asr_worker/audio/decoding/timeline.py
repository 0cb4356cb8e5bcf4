"""Places the frames of one recording by its timestamps, filling gaps with silence."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from asr_core.errors import AudioTooLong
from asr_worker.audio.decoding.damage import Damage
from asr_worker.audio.decoding.packets import Lost
from asr_worker.audio.decoding.resampling import FloatFrame, Silence
from asr_worker.audio.decoding.sound_clock import SoundClock

# Formats whose frames are contiguous: a gap in their timestamps is damage.
_PACKED: Final = ("flac", "mp3", "aac", "ac3", "eac3", "wv")


class Timeline:
    """The timeline of one recording, which starts at `began_seconds` of its file's audio."""

    def __init__(
        self,
        container: InputContainer,
        stream: AudioStream,
        damage: Damage,
        began_seconds: float,
    ) -> None:
        self._others_seconds = _others_begin(container, stream)
        self._clock = SoundClock()
        self._damage = damage
        self._began_seconds = began_seconds
        self._lead_seconds = 0.0
        self._is_packed = container.format.name in _PACKED
        self._is_cut = False

    def placed(
        self, items: Iterator[FloatFrame | Lost], limit_seconds: float
    ) -> Iterator[FloatFrame | Silence]:
        """Frames, with silence for gaps in their timestamps. Raises AudioTooLong."""
        ahead: deque[FloatFrame | Lost] = deque()

        def peek() -> float | None:
            if not ahead and (item := next(items, None)) is not None:
                ahead.append(item)
            return ahead[0].time_seconds if ahead and isinstance(ahead[0], FloatFrame) else None

        clock: SoundClock | None = None
        while (item := ahead.popleft() if ahead else next(items, None)) is not None:
            if isinstance(item, Lost):
                self._lost(item)
                continue
            if clock is None:
                clock = self._clock = SoundClock(self._origin(item))
            if gap := clock.gap(item.time_seconds, peek):
                yield self._silence(gap, limit_seconds)
            yield item
            clock.advance(item.samples.shape[1] / item.rate)

    def end(self, declared_seconds: float | None, *, is_cut: bool) -> None:
        """Records the end, and whether the file is shorter than it declares."""
        if declared_seconds is not None:
            declared_seconds += self._began_seconds + self._lead_seconds
        at = self._began_seconds + self._clock.position_seconds
        self._damage.ended(at, declared_seconds, is_cut=is_cut or self._is_cut)

    def _lost(self, item: Lost) -> None:
        self._damage.lost(self._began_seconds + self._clock.position_seconds, item.seconds)
        self._is_cut = item.ends_file

    def _origin(self, first: FloatFrame) -> float:
        """The container time of second 0: of the first frame, so that timestamps that start late
        cause no delay, or of another track that starts earlier.
        """
        if first.time_seconds is None or self._others_seconds is None:
            return first.time_seconds or 0.0
        origin = min(first.time_seconds, self._others_seconds)
        self._lead_seconds = first.time_seconds - origin
        return origin

    def _silence(self, seconds: float, limit_seconds: float) -> Silence:
        start = self._clock.position_seconds
        self._clock.advance(seconds)
        end = self._clock.position_seconds
        if self._began_seconds + end > limit_seconds:
            raise AudioTooLong(
                f"longer than the {limit_seconds:g} s that are supported:"
                f" the recording's clock jumps to {self._began_seconds + end:.0f} s"
            )
        if self._is_packed:
            self._damage.lost(self._began_seconds + start)
        self._damage.silence(self._began_seconds + start, self._began_seconds + end)
        return Silence(end)


def _others_begin(container: InputContainer, stream: AudioStream) -> float | None:
    """The start of the earliest other audio or video track, without cover images."""
    begins = [
        float(other.start_time * other.time_base)
        for other in container.streams
        if other.index != stream.index
        and isinstance(other, VideoStream | AudioStream)
        and not other.disposition & Disposition.attached_pic
        and other.start_time is not None
        and other.time_base is not None
    ]
    return min(begins, default=None)
