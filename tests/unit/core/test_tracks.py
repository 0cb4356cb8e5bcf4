"""Which track is transcribed."""

from types import SimpleNamespace

import pytest

from asr_core.errors import InvalidOption, UnreadableAudio
from asr_core.tracks import AudioTrack, choose_track


def track(codec: str = "aac", *, default: bool = False) -> AudioTrack:
    return AudioTrack(codec, f"the codec {codec}", default)


DTS = track("dca")
DTS_DEFAULT = track("dca", default=True)


@pytest.mark.parametrize(
    ("tracks", "place"),
    [
        ([track()], 0),
        ([track(), track()], 0),
        ([track(), track(default=True)], 1),
        ([track(default=True), track(default=True)], 0),
        ([DTS, track()], 1),
        ([DTS_DEFAULT, track(), track("mp2")], 1),
        ([DTS_DEFAULT, track(), track("mp2", default=True)], 2),
        ([AudioTrack("", "", False), track()], 1),
    ],
)
def test_the_default_track_is_chosen_else_the_first_that_is_served(
    tracks: list[AudioTrack], place: int
) -> None:
    assert choose_track(tracks, None) == place


def test_a_number_chooses_whatever_is_flagged() -> None:
    tracks = [track(), track(default=True), DTS]
    assert [choose_track(tracks, number) for number in (1, 2)] == [0, 1]


def stream(disposition: int, codec: bool = True) -> SimpleNamespace:
    """An audio stream as PyAV has it."""
    context = SimpleNamespace(name="dca", codec=SimpleNamespace(long_name="DTS"))
    return SimpleNamespace(codec_context=context if codec else None, disposition=disposition)


def test_a_track_is_described_as_its_container_does() -> None:
    """The lowest bit of a disposition says default; a dub and others stand above it."""
    assert AudioTrack.of(stream(0b1)) == AudioTrack("dca", "DTS", True)
    assert AudioTrack.of(stream(0b11)).is_default
    assert not AudioTrack.of(stream(0b10)).is_default
    assert not AudioTrack.of(stream(0)).is_default
    assert AudioTrack.of(stream(0, codec=False)) == AudioTrack("", "", False)


def test_what_cannot_be_chosen_is_named() -> None:
    with pytest.raises(InvalidOption, match=r"no track 1: the file has 0 audio tracks\."):
        choose_track([], 1)
    with pytest.raises(InvalidOption, match=r"no track 2: the file has 1 audio track\."):
        choose_track([track()], 2)
    with pytest.raises(UnreadableAudio, match=r"^The audio track is the codec dca \(codec dca\)"):
        choose_track([DTS], None)
    with pytest.raises(UnreadableAudio, match=r"^Audio track 2 is the codec dca"):
        choose_track([track(), DTS], 2)
    with pytest.raises(UnreadableAudio, match=r"a codec that is not known"):
        choose_track([AudioTrack("", "", True)], None)
    with pytest.raises(InvalidOption, match=r"no track 3: the file has 2 audio tracks") as caught:
        choose_track([track(), track()], 3)
    assert caught.value.param == "track"
