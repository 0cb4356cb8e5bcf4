"""A finished task as a transcript or as the error OpenAI's clients expect."""

from __future__ import annotations

from asr_api.errors import TranscriptionFailed
from asr_api.openai_contract.parameters import Granularity, TranscriptionRequest, words_missing
from asr_api.tasks.results import TaskReader
from asr_core.errors import (
    AudioTooLong,
    EmptyAudio,
    PermanentTaskError,
    StateConflict,
    TooExpensive,
    UnreadableAudio,
)
from asr_core.result import Transcript
from asr_core.task import State, Task

_PERMANENT: dict[str, type[PermanentTaskError]] = {
    kind.code: kind for kind in (UnreadableAudio, EmptyAudio, AudioTooLong, TooExpensive)
}


async def transcript_after(
    reader: TaskReader, task: Task, request: TranscriptionRequest
) -> Transcript:
    """The transcript of a task that has ended. Raises the error it failed with; StateConflict if
    it was cancelled; UnsupportedParameter where words were requested and have no times.
    """
    if task.state is not State.COMPLETED:
        raise _failure(task)
    transcript = await reader.transcript(task)
    timed = any(segment.words for segment in transcript.segments)
    if Granularity.WORD in request.granularities and transcript.text and not timed:
        raise words_missing()
    return transcript


def _failure(task: Task) -> Exception:
    if task.error is None or task.state is State.CANCELLED:
        return StateConflict("The transcription was cancelled.")
    permanent = _PERMANENT.get(task.error.code)
    if permanent is not None:
        return permanent(task.error.message, param="file")
    return TranscriptionFailed(f"{task.error.code}: {task.error.message}")
