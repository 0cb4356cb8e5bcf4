"""Decodes a batch of segments: which pass in which window, and what is accepted.

Every segment is first decoded in its own window with beam search. What looks like a loop there, or
is improbable, is decoded again in the full window that Whisper was trained on; what is improbable
there, too, is sampled at rising temperatures, each segment alone. So a segment's text depends on
nothing but the segment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from asr_worker.engines.base import SegmentAudio
from asr_worker.engines.stage_times import StageTimes
from asr_worker.engines.whisper.features import LogMel
from asr_worker.engines.whisper.hypothesis import (
    TEMPERATURES,
    Hypothesis,
    avg_logprob,
    better_window,
    most_probable,
)
from asr_worker.engines.whisper.runtime import Encoded, Generated, WhisperRuntime
from asr_worker.engines.whisper.vocabulary import Task, Vocabulary
from asr_worker.engines.whisper.windows import FULL_SECONDS, max_tokens, window_seconds
from asr_worker.engines.whisper.word_times import Alignment

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class DecodedSegment:
    """What was found in a segment; `encoded` and `row` are where its encoder output is."""

    hypothesis: Hypothesis
    language: str
    task: Task
    prompt: list[int]
    encoded: Encoded
    row: int
    window: float

    @property
    def alignment_group(self) -> Hashable:
        """What one call of an alignment has in common."""
        return self.encoded, self.language, self.task


class WhisperDecoder:
    """Decodes batches with one model. The engine's thread owns it."""

    def __init__(
        self,
        runtime: WhisperRuntime,
        vocabulary: Vocabulary,
        log_mel: LogMel,
        *,
        beam_size: int,
        times: StageTimes,
    ) -> None:
        self._runtime = runtime
        self._vocabulary = vocabulary
        self._log_mel = log_mel
        self._beam_size = beam_size
        self._times = times

    def decode(self, batch: Sequence[SegmentAudio]) -> list[DecodedSegment]:
        """The accepted decoding of each segment, in order."""
        windows = [window_seconds(segment.seconds) for segment in batch]
        found = self._in_windows(batch, windows, range(len(batch)))
        again = [
            index
            for index, each in found.items()
            if each.window < FULL_SECONDS and each.hypothesis.deserves_full_window
        ]
        full = self._in_windows(batch, [FULL_SECONDS] * len(batch), again)
        for index, each in full.items():
            chosen = better_window(found[index].hypothesis, each.hypothesis)
            if chosen is each.hypothesis:
                found[index] = each
        return [_heard(self._with_temperature(found[index])) for index in range(len(batch))]

    def align(
        self, batch: Sequence[SegmentAudio], decoded: Sequence[DecodedSegment]
    ) -> dict[int, Alignment]:
        """Where the tokens of each text are in its audio, by index of the segment."""
        spoken = [index for index, each in enumerate(decoded) if each.hypothesis.tokens]
        alignments: dict[int, Alignment] = {}
        for _, indexes in grouped(spoken, lambda index: decoded[index].alignment_group):
            first = decoded[indexes[0]]
            found = self._runtime.align(
                first.encoded.select([decoded[index].row for index in indexes]),
                self._vocabulary.start(first.language, first.task),
                [list(decoded[index].hypothesis.tokens) for index in indexes],
                [self._frames(batch[index], first.window) for index in indexes],
            )
            alignments.update(zip(indexes, found, strict=True))
        return alignments

    def warm_up(self) -> None:
        """Every step once, on silence in the shortest window."""
        encoded = self._runtime.encode(
            self._log_mel(np.zeros(0, np.float32), window_seconds(0))[None]
        )
        language = self._languages(encoded, [None])[0]
        prompt = self._vocabulary.prompt(language, "transcribe")
        found = self._runtime.generate(
            encoded, [prompt], beam_size=self._beam_size, max_length=len(prompt) + 4
        )
        tokens = list(self._vocabulary.text_tokens(found[0].tokens)) or prompt[:0]
        if tokens:
            self._runtime.align(
                encoded, self._vocabulary.start(language, "transcribe"), [tokens], [100]
            )

    def _in_windows(
        self, batch: Sequence[SegmentAudio], windows: Sequence[float], indexes: Iterable[int]
    ) -> dict[int, DecodedSegment]:
        """Decodes the segments of `indexes`, those of one window together."""
        found: dict[int, DecodedSegment] = {}
        for window, members in grouped(indexes, windows.__getitem__):
            found.update(
                zip(members, self._pass([batch[each] for each in members], window), strict=True)
            )
        return found

    def _pass(self, segments: Sequence[SegmentAudio], window: float) -> list[DecodedSegment]:
        """One beam search for each segment, all in one window."""
        with self._times.stage("features"):
            features = np.stack([self._log_mel(segment.pcm, window) for segment in segments])
        with self._times.stage("model"):
            encoded = self._runtime.encode(features)
            wanted = [self._vocabulary.known_language(each.options.language) for each in segments]
            languages = self._languages(encoded, wanted)
            prompts = [
                self._prompt(segment, language)
                for segment, language in zip(segments, languages, strict=True)
            ]
            generated = self._generate(encoded, prompts, window)
        return [
            DecodedSegment(
                self._hypothesis(generated[row], room(window, prompts[row])),
                languages[row],
                segment.options.task,
                prompts[row],
                encoded,
                row,
                window,
            )
            for row, segment in enumerate(segments)
        ]

    def _prompt(self, segment: SegmentAudio, language: str) -> list[int]:
        options = segment.options
        return self._vocabulary.prompt(
            language, options.task, prompt=options.prompt, hotwords=options.hotwords
        )

    def _generate(
        self, encoded: Encoded, prompts: Sequence[list[int]], window: float
    ) -> dict[int, Generated]:
        """By row of `encoded`; those with prompts of one length together."""
        generated: dict[int, Generated] = {}
        for length, rows in grouped(range(len(prompts)), lambda row: len(prompts[row])):
            results = self._runtime.generate(
                encoded.select(rows),
                [prompts[row] for row in rows],
                beam_size=self._beam_size,
                max_length=max_tokens(window, length),
            )
            generated.update(zip(rows, results, strict=True))
        return generated

    def _with_temperature(self, decoded: DecodedSegment) -> DecodedSegment:
        """The same, or what was sampled in its place where it is too improbable."""
        if not decoded.hypothesis.needs_temperature:
            return decoded
        encoded = decoded.encoded.select([decoded.row])
        tried = [decoded.hypothesis]
        for temperature in TEMPERATURES:
            (generated,) = self._runtime.generate(
                encoded,
                [decoded.prompt],
                beam_size=self._beam_size,
                max_length=max_tokens(decoded.window, len(decoded.prompt)),
                temperature=temperature,
            )
            sampled = self._hypothesis(generated, room(decoded.window, decoded.prompt), temperature)
            tried.append(sampled)
            if not (sampled.needs_temperature or sampled.looks_like_loop):
                return replace(decoded, hypothesis=sampled)
        return replace(decoded, hypothesis=most_probable(tried))

    def _languages(self, encoded: Encoded, wanted: Sequence[str | None]) -> list[str]:
        """As the callers gave them, else detected from the encoder output that is decoded next."""
        if all(wanted):
            return [language for language in wanted if language]
        detected = self._runtime.languages(encoded)
        return [given or found for given, found in zip(wanted, detected, strict=True)]

    def _hypothesis(self, generated: Generated, most: int, temperature: float = 0.0) -> Hypothesis:
        tokens = self._vocabulary.text_tokens(generated.tokens)
        return Hypothesis(
            tokens=tokens,
            text=self._vocabulary.decode(tokens).strip(),
            avg_logprob=avg_logprob(generated.score, len(generated.tokens)),
            no_speech_prob=generated.no_speech_prob,
            temperature=temperature,
            is_cut_off=len(generated.tokens) >= most,
        )

    def _frames(self, segment: SegmentAudio, window: float) -> int:
        """Frames of features that hold the segment, of those of its window."""
        rate = self._log_mel.shape.frames_per_second
        return max(round(min(segment.seconds, window) * rate), 1)


def room(window: float, prompt: Sequence[int]) -> int:
    """Tokens that may follow a prompt."""
    return max_tokens(window, len(prompt)) - len(prompt)


def _heard(decoded: DecodedSegment) -> DecodedSegment:
    """The same, without the words that were invented for what is not speech."""
    if not decoded.hypothesis.is_no_speech:
        return decoded
    return replace(decoded, hypothesis=replace(decoded.hypothesis, tokens=(), text=""))


def grouped(indexes: Iterable[int], key: Callable[[int], Key]) -> list[tuple[Key, list[int]]]:
    """Indexes with one key together, in the order in which the keys appear."""
    groups: dict[Key, list[int]] = defaultdict(list)
    for index in indexes:
        groups[key(index)].append(index)
    return list(groups.items())
