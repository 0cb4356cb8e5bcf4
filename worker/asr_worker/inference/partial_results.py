"""What has been transcribed of a task, shown while it still runs: for callers that read along.

Batches bring segments in any order; they are shown in the order of the recording, each text with
the space that joins it to the ones before. The result does not depend on any of this.
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
    """One task's texts in order. Pure bookkeeping.

    `texts` are those that may be shown, `shown` how many of them have been.
    """

    def __init__(self, segments: tuple[RecordedSegment, ...]) -> None:
        self._places = {segment: place for place, segment in enumerate(segments)}
        self._said: dict[int, str] = {}
        self._next = 0
        self._last = ""
        self.texts: list[str] = []
        self.shown = 0

    def add(self, segment: RecordedSegment, text: str) -> None:
        """A segment has been transcribed; later ones wait for earlier ones."""
        self._said[self._places[segment]] = text
        while self._next in self._said:
            ready = self._said.pop(self._next)
            self._next += 1
            if ready:
                self.texts.append(glue(self._last, ready) + ready)
                self._last = ready

    @property
    def pending(self) -> list[str]:
        return self.texts[self.shown :]


class Partials:
    """`run` is its loop. Redis being away delays what is shown, and no more."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._tellings: dict[InFlightTask, PartialTranscript] = {}
        self._news = asyncio.Event()

    def begin(self, task: InFlightTask, recording: Recording) -> None:
        """Only tasks that somebody reads along are shown."""
        if task.claim.task.partials:
            self._tellings[task] = PartialTranscript(recording.segments)

    def said(self, task: InFlightTask, segment: RecordedSegment, text: str) -> None:
        if telling := self._tellings.get(task):
            telling.add(segment, text)
            self._news.set()

    def end(self, task: InFlightTask) -> None:
        """Whatever has not been shown comes with the result."""
        self._tellings.pop(task, None)

    async def run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            for task, telling in list(self._tellings.items()):
                if telling.pending:
                    await self._show(task, telling)

    async def _show(self, task: InFlightTask, telling: PartialTranscript) -> None:
        texts = telling.pending
        try:
            read = await self._consumer.say(*task.key, first=telling.shown, texts=texts)
        except DependencyError as error:
            _log.warning("partial text not shown yet", task_id=task.task_id, error=str(error))
            await asyncio.sleep(_PAUSE_SECONDS)
            self._news.set()
        except Exception:
            _log.exception("partial text not shown", task_id=task.task_id)
            self.end(task)
        else:
            telling.shown += len(texts)
            if not read:
                self.end(task)
