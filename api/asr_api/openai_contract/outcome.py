"""A finished task as a transcript or as the error OpenAI's clients expect."""

from __future__ import annotations

from asr_api.errors import TranscriptionFailed
from asr_api.openai_contract.parameters import Granularity, TranscriptionRequest, words_missing
from asr_api.tasks.results import TaskReader
from asr_core.errors import (
    AudioTooLong,
    EmptyAudio,
    ModelCannotTranslate,
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
    it was cancelled; UnsupportedParameter where words were requested and have no times;
    ModelCannotTranslate of a worker of an older release, which transcribes instead.
    """
    if task.state is not State.COMPLETED:
        raise _failure(task)
    transcript = await reader.transcript(task)
    if request.translates and "task" in transcript.options_ignored:
        raise ModelCannotTranslate(
            f"The model {transcript.model!r} transcribed this and did not translate it.",
            param="model",
        )
    timed = any(segment.words for segment in transcript.segments)
    if Granularity.WORD in request.granularities and transcript.text and not timed:
        raise words_missing()
    return transcript


def _failure(task: Task) -> Exception:
    if task.error is None or task.state is State.CANCELLED:
        return StateConflict("The transcription was cancelled.")
    if task.error.code == ModelCannotTranslate.code:
        return ModelCannotTranslate(task.error.message, param="model")
    permanent = _PERMANENT.get(task.error.code)
    if permanent is not None:
        return permanent(task.error.message, param="file")
    return TranscriptionFailed(f"{task.error.code}: {task.error.message}")
