"""What the load test sends is read by the API's own reader of forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_api.uploads.multipart import FormReader
from asr_cli.load.recording import Recording

pytestmark = pytest.mark.asyncio
FIELDS = {"lane": "batch", "pool": "default"}


async def read(recording: Recording) -> tuple[FormReader, bytes, int]:
    reader = FormReader(
        recording.headers["Content-Type"], file_fields=("audio",), text_fields=tuple(FIELDS)
    )
    chunks = [chunk async for chunk in recording.body()]
    audio = b"".join(reader.feed(chunk) for chunk in chunks)
    reader.close()
    return reader, audio, sum(map(len, chunks))


@pytest.mark.parametrize("name", ["talk.wav", 'a "b".wav', "会议.mp3"])
@pytest.mark.parametrize("size", [1, 300_000, 2 * 256 * 1024])
async def test_the_form_brings_the_fields_the_name_and_every_byte(
    tmp_path: Path, name: str, size: int
) -> None:
    path = tmp_path / name
    content = bytes(range(256)) * (size // 256) + b"\r\n--"[: size % 256]
    path.write_bytes(content)
    recording = Recording(path, FIELDS)
    for _ in range(2):
        reader, audio, sent = await read(recording)
        assert audio == content
        assert dict(reader.fields) == FIELDS
        assert reader.filename == name
        assert str(sent) == recording.headers["Content-Length"]


async def test_an_empty_file_is_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "nothing.wav"
    path.touch()
    with pytest.raises(ValueError, match="empty"):
        Recording(path, FIELDS)
