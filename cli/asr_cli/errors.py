"""Errors of commands, of the tree in `asr_core.errors`.

A command that raises one prints its message and ends with status 1.

AsrError
├── RedisMissing        no server program for `asr up` that is new enough
├── FolderInUse         another `asr up` works in the folder
├── FolderOfOthers      another user can change what is in the folder
├── PortBusy            something listens on the API's port
├── ProgramFailed       a program of `asr up` does not run
├── ProgramEnded        a program of `asr bench` has ended
├── ModelNotFetched     no source has a model as its authors publish it
├── NoRoomForModel      the disk is full
├── SourceFailed        one source of a model: the next one is tried
│   └── WrongContent    the received content is wrong
└── FileFailed          one file of `asr transcribe` has no transcript
"""

from __future__ import annotations

from asr_core.errors import AsrError


class RedisMissing(AsrError):
    """No Redis server that is new enough."""

    code = "redis_missing"


class FolderInUse(AsrError):
    """Another `asr up`, or a Redis left by one, uses this folder."""

    code = "folder_in_use"


class FolderOfOthers(AsrError):
    """Another user can change its contents."""

    code = "folder_of_others"


class PortBusy(AsrError):
    """Another program listens on the API's port."""

    code = "port_busy"


class ProgramFailed(AsrError):
    """A required program does not run; the message holds the end of its log."""

    code = "program_failed"


class ProgramEnded(AsrError):
    """A program that the measurement needs has ended; the message holds its last output."""

    code = "program_ended"


class FileFailed(AsrError):
    """One file has no transcript."""

    code = "file_failed"


class ModelNotFetched(AsrError):
    """No source has the model; the message gives each source's failure."""

    code = "model_not_fetched"


class NoRoomForModel(AsrError):
    """The disk of the model cache is full."""

    code = "no_room_for_model"


class SourceFailed(AsrError):
    """One source does not have the model, or has other bytes; not raised by `asr_cli.models`."""

    code = "source_failed"


class WrongContent(SourceFailed):
    """The received content is not what the catalogue says; it was deleted."""

    code = "wrong_content"
