"""Which track is transcribed."""

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


def test_what_cannot_be_chosen_is_named() -> None:
    with pytest.raises(UnreadableAudio, match=r"^The audio track is the codec dca \(codec dca\)"):
        choose_track([DTS], None)
    with pytest.raises(UnreadableAudio, match=r"^Audio track 2 is the codec dca"):
        choose_track([track(), DTS], 2)
    with pytest.raises(UnreadableAudio, match=r"a codec that is not known"):
        choose_track([AudioTrack("", "", True)], None)
    with pytest.raises(InvalidOption, match=r"no track 3: the file has 2 audio tracks") as caught:
        choose_track([track(), track()], 3)
    assert caught.value.param == "track"
