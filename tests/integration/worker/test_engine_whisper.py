"""The engine `whisper` with Whisper base, on recordings of people."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr_core.options import TaskOptions
from asr_worker.audio.pcm import FloatArray
from asr_worker.engines.base import SegmentAudio, SegmentText
from asr_worker.engines.choose import load_engine
from asr_worker.engines.memory import BatchBudget, padded_seconds, submit_within_memory
from asr_worker.engines.whisper.engine import WhisperEngine
from asr_worker.engines.whisper.runtime import WhisperRuntime
from asr_worker.errors import ModelNotLoaded
from asr_worker.settings import WorkerSettings

JFK = (
    "and so my fellow americans ask not what your country can do for you ask what you can do for "
    "your country"
)
SORROW = (
    "it was the first great sorrow of his life it was not so much the loss of the cotton itself "
    "but the fantasy the hopes the dreams built around it"
)
CHINESE = "欢迎大家来体验达摩院推出的语音识别模型"
Recording = Callable[[str], FloatArray]


@pytest.fixture(scope="module")
def engine(whisper_folder: Path) -> Any:
    return load_engine(_settings(whisper_folder))


def _settings(folder: Path, **fields: Any) -> WorkerSettings:
    return WorkerSettings(_env_file=None, model=str(folder), cpu_threads=1, use_gpu=False, **fields)


def _plain(text: str) -> str:
    kept = [each if each.isalnum() or each == "'" else " " for each in text.lower()]
    return " ".join("".join(kept).split())


@pytest.fixture(scope="module")
def people(recording: Recording) -> list[FloatArray]:
    """English, English and Chinese."""
    return [recording(name) for name in ("jfk.en.flac", "librispeech.en.wav", "asr_example.zh.mp3")]


def test_people_are_understood_and_their_languages_found(
    engine: WhisperEngine, people: list[FloatArray]
) -> None:
    jfk, sorrow, chinese = engine.transcribe([SegmentAudio(each) for each in people])
    assert _plain(jfk.text) == JFK
    assert _plain(sorrow.text) == SORROW
    assert sum(a != b for a, b in zip(_plain(chinese.text), CHINESE, strict=True)) <= 2
    assert [each.language for each in (jfk, sorrow, chinese)] == ["en", "en", "zh"]
    for each in (jfk, sorrow, chinese):
        assert each.avg_logprob is not None
        assert each.no_speech_prob is not None
        assert each.compression_ratio is not None
        assert -0.6 < each.avg_logprob < 0
        assert 0 <= each.no_speech_prob < 0.5
        assert 0 < each.compression_ratio < 2.4
        assert each.temperature == 0


def test_it_is_chosen_by_its_folder_and_says_what_it_can_do(
    engine: WhisperEngine, whisper_folder: Path
) -> None:
    assert (engine.name, engine.device, engine.model_id) == ("whisper", "cpu", str(whisper_folder))
    assert engine.supports == {"language", "task", "itn", "hotwords", "prompt", "timestamps"}
    assert {"en", "zh", "de", "jw", "haw"} <= engine.languages
    assert len(engine.languages) == 100


def test_words_have_times_within_their_segment(
    engine: WhisperEngine, people: list[FloatArray]
) -> None:
    for pcm, text in zip(people, engine.transcribe([SegmentAudio(p) for p in people]), strict=True):
        written = "".join(text.text.split())
        assert "".join("".join(word.text.split()) for word in text.words) == written
        times = [each for word in text.words for each in (word.start_seconds, word.end_seconds)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= len(pcm) / 16_000
        assert all(word.confidence is not None for word in text.words)
    jfk = engine.transcribe([SegmentAudio(people[0])])[0].words
    second_ask = [word for word in jfk if _plain(word.text) == "ask"][1]
    assert second_ask.start_seconds == pytest.approx(7.9, abs=0.4)


@pytest.fixture(scope="module")
def mixed(people: list[FloatArray]) -> list[SegmentAudio]:
    """Sixteen segments of two windows, with and without prompts, and of two tasks.

    None is improbable, since what is sampled differs each time.
    """
    jfk, sorrow, chinese = people
    second = 16_000
    pause = np.zeros(9 * second, np.float32)
    english = [jfk[: 2 * second], sorrow[: 2 * second]]
    english.append(np.concatenate([english[0], pause, english[1]]))
    options = [
        TaskOptions(),
        TaskOptions(hotwords=("Americans",)),
        TaskOptions(prompt="A speech of 1961."),
        TaskOptions(task="translate"),
    ]
    segments = [SegmentAudio(clip, option) for option in options for clip in english]
    in_chinese = [option.model_copy(update={"language": "zh"}) for option in options[:3]]
    clip = chinese[: 3 * second]
    return [*segments, *(SegmentAudio(clip, each) for each in (options[0], *in_chinese))]


@pytest.fixture(scope="module")
def alone(engine: WhisperEngine, mixed: list[SegmentAudio]) -> list[SegmentText]:
    """Each segment by itself, the last one first."""
    backwards = [engine.transcribe([segment])[0] for segment in reversed(mixed)]
    return backwards[::-1]


@pytest.mark.parametrize("size", [4, 16])
def test_a_text_does_not_depend_on_what_shares_its_batch(
    engine: WhisperEngine, mixed: list[SegmentAudio], alone: list[SegmentText], size: int
) -> None:
    found = [
        text
        for first in range(0, len(mixed), size)
        for text in engine.transcribe(mixed[first : first + size])
    ]
    assert {each.temperature for each in alone} == {0}
    assert [each.text for each in found] == [each.text for each in alone]
    assert [each.language for each in found] == [each.language for each in alone]
    for one, other in zip(found, alone, strict=True):
        assert [word.text for word in one.words] == [word.text for word in other.words]
        assert one.avg_logprob == pytest.approx(other.avg_logprob, abs=1e-3)
        starts = [word.start_seconds for word in one.words]
        assert starts == pytest.approx([word.start_seconds for word in other.words], abs=0.021)


def test_a_given_language_is_used_and_an_unknown_one_is_detected(
    engine: WhisperEngine, people: list[FloatArray]
) -> None:
    batch = [SegmentAudio(people[1], TaskOptions(language=each)) for each in ("de", "en", "xx")]
    german, english, unknown = engine.transcribe(batch)
    assert german.language == "de"
    assert _plain(german.text) != SORROW
    assert (english.language, unknown.language) == ("en", "en")
    assert english.text == unknown.text
    assert TaskOptions(language="xx").unheeded(engine.supports, engine.languages) == ("language",)


def test_chinese_is_translated_where_that_is_asked(
    engine: WhisperEngine, people: list[FloatArray]
) -> None:
    ((text,)) = engine.transcribe([SegmentAudio(people[2], TaskOptions(task="translate"))])
    assert text.language == "zh"
    assert "welcome" in text.text.lower()
    assert text.text.isascii()


def test_a_prompt_decides_how_it_is_written(
    engine: WhisperEngine, people: list[FloatArray]
) -> None:
    lower = "and so it goes on without any capitals or commas it is all lower case"
    prompts = {1: ("", lower), 2: ("", "請用繁體中文。")}
    batch = [
        SegmentAudio(people[number], TaskOptions(prompt=prompt))
        for number, both in prompts.items()
        for prompt in both
    ]
    english, prompted, simplified, traditional = (each.text for each in engine.transcribe(batch))
    assert english.startswith("It was")
    assert prompted.startswith("it was")
    assert simplified.startswith("欢迎大家来体验")
    assert traditional.startswith("歡迎大家來體驗")


@pytest.mark.parametrize("kind", ["silence", "faint noise", "noise", "hum", "tone"])
@pytest.mark.parametrize("language", ["auto", "zh"])
def test_nothing_spoken_is_no_word(engine: WhisperEngine, kind: str, language: str) -> None:
    time = np.arange(6 * 16_000) / 16_000
    noise = np.random.default_rng(3).normal(0, 1, len(time))
    sounds = {
        "silence": 0 * time,
        "faint noise": 1e-3 * noise,
        "noise": 0.03 * noise,
        "hum": 0.05 * np.sin(2 * np.pi * 50 * time) + 0.02 * np.sin(2 * np.pi * 100 * time),
        "tone": 0.1 * np.sin(2 * np.pi * 440 * time),
    }
    options = TaskOptions(language=language)
    (text,) = engine.transcribe([SegmentAudio(sounds[kind].astype(np.float32), options)])
    assert (text.text, text.words, text.language) == ("", (), None)
    assert text.no_speech_prob is not None
    assert text.no_speech_prob > 0.6


def test_an_empty_batch_is_no_text_and_a_scrap_of_sound_is_no_error(engine: WhisperEngine) -> None:
    assert engine.transcribe([]) == []
    assert len(engine.transcribe([SegmentAudio(np.zeros(1, np.float32))])) == 1


def test_a_loop_in_a_short_window_is_decoded_again_in_the_full_one(
    engine: WhisperEngine, people: list[FloatArray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short windows are made to loop: they repeat their first token to the end."""
    generate, widths = WhisperRuntime.generate, []

    def looping(self: WhisperRuntime, encoded: Any, prompts: Any, **options: Any) -> Any:
        widths.append(encoded.view.shape[1])
        found = generate(self, encoded, prompts, **options)
        if encoded.view.shape[1] == 1500:
            return found
        room = options["max_length"] - len(prompts[0])
        return [type(each)([each.tokens[0]] * room, -0.1, each.no_speech_prob) for each in found]

    monkeypatch.setattr(WhisperRuntime, "generate", looping)
    (text,) = engine.transcribe([SegmentAudio(people[1])])
    assert _plain(text.text) == SORROW
    assert widths == [600, 1500]


def test_only_improbable_words_are_sampled_and_each_segment_alone(
    engine: WhisperEngine, people: list[FloatArray], monkeypatch: pytest.MonkeyPatch
) -> None:
    generate, sampled = WhisperRuntime.generate, []

    def doubting(self: WhisperRuntime, encoded: Any, prompts: Any, **options: Any) -> Any:
        found = generate(self, encoded, prompts, **options)
        temperature = options.get("temperature", 0.0)
        if temperature:
            sampled.append((temperature, len(prompts)))
        if temperature >= 0.4:
            return found
        return [type(each)(each.tokens, -1.5, 0.0) for each in found]

    monkeypatch.setattr(WhisperRuntime, "generate", doubting)
    texts = engine.transcribe([SegmentAudio(people[0]), SegmentAudio(people[1])])
    assert sampled == [(0.2, 1), (0.4, 1)] * 2
    assert [each.temperature for each in texts] == [0.4, 0.4]
    assert all(each.words for each in texts)


def test_batches_are_counted_by_their_windows_and_halved_where_cuda_has_no_memory(
    engine: WhisperEngine, people: list[FloatArray], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = [SegmentAudio(people[1][:32_000])] * 3 + [SegmentAudio(people[1])]
    assert padded_seconds(engine, batch) == 48
    encode, sizes = WhisperRuntime.encode, []

    def small(self: WhisperRuntime, features: FloatArray) -> Any:
        sizes.append(len(features))
        if len(features) > 1:
            raise RuntimeError("CUDA failed with error out of memory")
        return encode(self, features)

    monkeypatch.setattr(WhisperRuntime, "encode", small)
    budget = BatchBudget(500)
    texts = submit_within_memory(engine, batch, budget)()
    assert _plain(texts[3].text) == SORROW
    assert texts[0].text == texts[1].text == texts[2].text
    assert budget.seconds == 12
    assert sizes[0] == 4


@pytest.mark.parametrize("precision", ["int8", "int8_float32"])
def test_lower_precisions_understand_english(
    whisper_folder: Path, people: list[FloatArray], precision: str
) -> None:
    engine = load_engine(_settings(whisper_folder, precision=precision))
    (text,) = engine.transcribe([SegmentAudio(people[1])])
    assert _plain(text.text) == SORROW


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"precision": "bfloat16"}, "precision bfloat16 is for the engines sensevoice"),
        ({"precision": "float16"}, "float16"),
        ({"segment_max_seconds": 40.0}, "ASR_SEGMENT_MAX_SECONDS is 40"),
        ({"engine": "sensevoice"}, "is Whisper"),
    ],
)
def test_what_cannot_be_is_refused_at_start(
    whisper_folder: Path, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelNotLoaded, match=message):
        load_engine(_settings(whisper_folder, **fields))


def test_damaged_weights_are_refused(whisper_folder: Path, tmp_path: Path) -> None:
    for path in whisper_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:100_000] if path.suffix == ".bin"
                                           else path.read_bytes())  # fmt: skip
    with pytest.raises(ModelNotLoaded, match="cannot be loaded"):
        load_engine(_settings(tmp_path))


def test_measures_are_finite(engine: WhisperEngine, people: list[FloatArray]) -> None:
    for text in engine.transcribe([SegmentAudio(people[2]), SegmentAudio(people[2][:1600])]):
        values = (text.avg_logprob, text.no_speech_prob, text.compression_ratio)
        assert all(value is not None and math.isfinite(value) for value in values)


def test_speakers_are_told_apart_beside_whisper(
    whisper_folder: Path, people: list[FloatArray], two_voices: Any
) -> None:
    engine = load_engine(_settings(whisper_folder, speaker_model=str(two_voices.folder)))
    assert {"speakers", "task", "prompt"} <= engine.supports
    assert engine.computed_seconds(3.0) == 12.0
    texts = engine.submit(
        [
            SegmentAudio(people[2], TaskOptions(speakers=True)),
            SegmentAudio(people[2]),
        ]
    )()
    assert texts[0].text == texts[1].text != ""
    assert texts[0].speaker_embeddings
    assert not texts[1].speaker_embeddings


def test_a_second_language_in_a_segment_is_heard_as_well(
    engine: WhisperEngine, people: list[FloatArray]
) -> None:
    pause = np.zeros(8_000, np.float32)
    both = np.concatenate([people[2], pause, people[1]])
    (text,) = engine.transcribe([SegmentAudio(both)])
    assert text.text.startswith("欢迎大家")
    assert _plain(text.text).endswith(SORROW)
    starts = [word.start_seconds for word in text.words]
    assert starts == sorted(starts)
    assert text.language == "en"
