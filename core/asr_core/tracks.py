"""Which of a file's audio tracks is transcribed, for the API's probe and the worker alike. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from asr_core.containers import SERVED_DECODERS
from asr_core.errors import InvalidOption, UnreadableAudio

_FLAGGED_AS_DEFAULT = 0x1  # AV_DISPOSITION_DEFAULT of FFmpeg's avformat.h


@dataclass(frozen=True)
class AudioTrack:
    """What a container says of a track. `codec` is FFmpeg's name, empty if it knows none; `called`
    is what people call the codec.
    """

    codec: str
    called: str
    is_default: bool

    @classmethod
    def of(cls, stream: Any) -> Self:
        """From an audio stream of PyAV, which this room does not import."""
        codec = stream.codec_context
        return cls(
            codec=codec.name if codec else "",
            called=codec.codec.long_name if codec else "",
            is_default=bool(int(stream.disposition) & _FLAGGED_AS_DEFAULT),
        )

    @property
    def is_served(self) -> bool:
        return self.codec in SERVED_DECODERS


def choose_track(tracks: Sequence[AudioTrack], wanted: int | None) -> int:
    """The place of a track in `tracks`: the `wanted`th, from 1; else the first that is served among
    those flagged as default; else the first that is served.

    Raises InvalidOption if there are fewer, UnreadableAudio if it is not served, or none is.
    """
    if wanted is not None:
        if wanted > len(tracks):
            held = "1 audio track" if len(tracks) == 1 else f"{len(tracks)} audio tracks"
            raise InvalidOption(f"There is no track {wanted}: the file has {held}.", param="track")
        place = wanted - 1
        if not tracks[place].is_served:
            raise UnreadableAudio(_refusal(f"Audio track {wanted}", tracks[place]))
        return place
    served = [place for place, track in enumerate(tracks) if track.is_served]
    if not served:
        raise UnreadableAudio(_refusal("The audio track", tracks[0]))
    return next((place for place in served if tracks[place].is_default), served[0])


def _refusal(name: str, track: AudioTrack) -> str:
    if not track.codec:
        return f"{name} has a codec that is not known."
    return f"{name} is {track.called} (codec {track.codec}), which is not supported."
