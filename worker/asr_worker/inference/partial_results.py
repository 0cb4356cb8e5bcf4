"""Publishes the text of running tasks, for callers that stream a transcript.

Batches return segments in any order; texts are published in the recording's order, each with the
space that joins it to the text before it. The final result does not depend on any of this.
"""

from __future__ import annotations

import asyncio

from asr_core.errors import DependencyError
from asr_core.process.logs import get_logger
from asr_core.queue import Consumer
from asr_worker.in_flight.tasks import InFlightTask
from asr_worker.transcript.assemble import glue
from asr_worker.transcript.recording import RecordedSegment, Recording

_PAUSE_SECONDS = 1.0
_log = get_logger(__name__)


class PartialTranscript:
    """The texts of one task in order. Pure bookkeeping.

    `texts` can be published; the first `published` of them already are.
    """

    def __init__(self, segments: tuple[RecordedSegment, ...]) -> None:
        self._places = {segment: place for place, segment in enumerate(segments)}
        self._ahead: dict[int, str] = {}  # by place: an earlier segment is still missing
        self._next = 0
        self._last = ""
        self.texts: list[str] = []
        self.published = 0

    def add(self, segment: RecordedSegment, text: str) -> None:
        """Adds the text of a segment; it is held back until all earlier segments have theirs."""
        self._ahead[self._places[segment]] = text
        while self._next in self._ahead:
            ready = self._ahead.pop(self._next)
            self._next += 1
            if ready:
                self.texts.append(glue(self._last, ready) + ready)
                self._last = ready

    @property
    def pending(self) -> list[str]:
        return self.texts[self.published :]


class PartialResults:
    """`run` is its loop. While Redis is unavailable texts are published later, nothing else."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._transcripts: dict[InFlightTask, PartialTranscript] = {}
        self._changed = asyncio.Event()

    def start(self, task: InFlightTask, recording: Recording) -> None:
        """Only tasks whose caller streams are published."""
        if task.claim.task.partials:
            self._transcripts[task] = PartialTranscript(recording.segments)

    def add(self, task: InFlightTask, segment: RecordedSegment, text: str) -> None:
        if transcript := self._transcripts.get(task):
            transcript.add(segment, text)
            self._changed.set()

    def end(self, task: InFlightTask) -> None:
        """Texts not yet published come with the result."""
        self._transcripts.pop(task, None)

    async def run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            for task, transcript in list(self._transcripts.items()):
                if transcript.pending:
                    await self._publish(task, transcript)

    async def _publish(self, task: InFlightTask, transcript: PartialTranscript) -> None:
        texts = transcript.pending
        try:
            has_reader = await self._consumer.publish_partial(
                *task.key, first=transcript.published, texts=texts
            )
        except DependencyError as error:
            _log.warning("partial text not shown yet", task_id=task.task_id, error=str(error))
            await asyncio.sleep(_PAUSE_SECONDS)
            self._changed.set()
        except Exception:
            _log.exception("partial text not shown", task_id=task.task_id)
            self.end(task)
        else:
            transcript.published += len(texts)
            if not has_reader:
                self.end(task)
