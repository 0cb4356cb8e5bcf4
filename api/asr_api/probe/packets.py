"""The packets of a track."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet


def packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """All packets. In MPEG and FLV files a track may first appear mid-file; PyAV does not register
    it and raises IndexError at the end of the file.
    """
    try:
        yield from container.demux(stream)
    except IndexError:
        return
