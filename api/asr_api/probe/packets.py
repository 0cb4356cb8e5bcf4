"""The packets of a track."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet


def packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """Up to the end. In MPEG and FLV files tracks may appear later than the beginning: PyAV does
    not know them, and at the end of the file it raises IndexError over them.
    """
    try:
        yield from container.demux(stream)
    except IndexError:
        return
