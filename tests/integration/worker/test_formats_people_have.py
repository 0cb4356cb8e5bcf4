"""Formats that no encoder here makes, damage in those that one does, and what is never let in."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from asr_core.containers import DECODERS, DEMUXERS, SERVED_DECODERS
from asr_core.errors import UnreadableAudio
from asr_worker.audio import decoder
from asr_worker.audio.decoder import AudioDecoder, decode
from asr_worker.audio.decoding.packets import packets
from asr_worker.audio.pcm import FloatArray

Encode = Callable[..., bytes]


@pytest.fixture(scope="module")
def tone() -> FloatArray:
    """Four seconds of 440 Hz at 16 kHz."""
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(64_000) / 16_000)).astype(np.float32)


def rifx(samples: FloatArray) -> bytes:
    """A wav whose numbers are big-endian."""
    data = (samples * 32767).astype(">i2").tobytes()
    form = struct.pack(">HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    chunks = b"fmt " + struct.pack(">I", 16) + form + b"data" + struct.pack(">I", len(data)) + data
    return b"RIFX" + struct.pack(">I", 4 + len(chunks)) + b"WAVE" + chunks


def swapped_aifc(samples: FloatArray) -> bytes:
    """AIFF-C as macOS writes it: `sowt`, little-endian samples."""
    data = (samples * 32767).astype("<i2").tobytes()
    rate = b"\x40\x0c\xfa\x00\x00\x00\x00\x00\x00\x00"  # 16000 as an 80-bit float
    common = struct.pack(">hIh", 1, len(samples), 16) + rate + b"sowt\x00\x00"
    chunks = b"FVER" + struct.pack(">II", 4, 0xA2805140)
    chunks += b"COMM" + struct.pack(">I", len(common)) + common
    chunks += b"SSND" + struct.pack(">III", 8 + len(data), 0, 0) + data
    return b"FORM" + struct.pack(">I", 4 + len(chunks)) + b"AIFC" + chunks


def m2ts(transport: bytes) -> bytes:
    """As camcorders and Blu-ray write MPEG-TS: four bytes of time before each packet."""
    return b"".join(
        bytes(4) + transport[start : start + 188] for start in range(0, len(transport), 188)
    )


def test_sound_of_other_byte_orders_and_packet_sizes(tone: FloatArray, encode: Encode) -> None:
    transport = encode(tone[None], 16_000, "mpegts", "mp2")
    for made in (rifx(tone), swapped_aifc(tone), m2ts(transport)):
        samples = decode(made)
        assert samples.shape[1] == pytest.approx(64_000, abs=2_500)
        assert np.argmax(np.abs(np.fft.rfft(samples[0, 16_000:32_000]))) == 440


def _ogg_page(packet: bytes, number: int, position: int, flags: int) -> bytes:
    segments = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    head = b"OggS" + struct.pack("<BBqIIIB", 0, flags, position, 7, number, 0, len(segments))
    page = head + segments + packet
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
            crc &= 0xFFFFFFFF
    return page[:22] + struct.pack("<I", crc) + page[26:]


def speex(frames: int) -> bytes:
    """Narrow-band Speex, each frame 20 ms of the submode without data. RFC 5574."""
    header = b"Speex   " + b"1.2".ljust(20, b"\0")
    header += struct.pack("<13i", 1, 80, 8_000, 0, 4, 1, -1, 160, 0, 1, 0, 0, 0)
    comment = struct.pack("<II", 0, 0)
    pages = [_ogg_page(header, 0, 0, 2), _ogg_page(comment, 1, 0, 0)]
    pages += [
        _ogg_page(b"\x03\xff", n + 2, 160 * (n + 1), 4 if n == frames - 1 else 0)
        for n in range(frames)
    ]
    return b"".join(pages)


def test_speex_is_decoded() -> None:
    decoder = AudioDecoder(io.BytesIO(speex(100)))
    assert sum(block.shape[1] for block in decoder.blocks()) == pytest.approx(32_000, abs=700)
    assert decoder.codec in ("speex", "libspeex")


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("aiff", "pcm_s16be"),
        ("au", "pcm_s16be"),
        ("wv", "wavpack"),
        ("flv", "libmp3lame"),
        ("asf", "wmav2"),
    ],
)
def test_a_file_that_was_cut_off_says_so(
    tone: FloatArray,
    encode: Encode,
    resample: Callable[..., FloatArray],
    container: str,
    codec: str,
) -> None:
    whole = encode(resample(tone, 16_000, 44_100)[None], 44_100, container, codec)
    decoder = AudioDecoder(io.BytesIO(whole))
    assert sum(block.shape[1] for block in decoder.blocks()) == pytest.approx(64_000, abs=2_500)
    assert decoder.warnings == ()
    cut = AudioDecoder(io.BytesIO(whole[: len(whole) // 2]))
    half = sum(block.shape[1] for block in cut.blocks()) / 16_000
    assert 1 < half < 3
    [warning] = cut.warnings
    assert warning.code == "cut_off"
    assert warning.start_seconds == pytest.approx(half, abs=0.1)


def test_a_cut_off_rifx_says_so(tone: FloatArray) -> None:
    cut = AudioDecoder(io.BytesIO(rifx(tone)[:64_044]))
    assert sum(block.shape[1] for block in cut.blocks()) == pytest.approx(32_000, abs=10)
    assert [warning.code for warning in cut.warnings] == ["cut_off"]


def test_each_name_of_the_lists_is_known_once() -> None:
    import av

    for names in (DEMUXERS, DECODERS):
        assert len(set(names.split(","))) == len(names.split(","))
    known = {name for joined in av.formats_available for name in joined.split(",")}
    assert set(DEMUXERS.split(",")) <= known
    # Not every build has each library; of every other codec there is a decoder.
    missing = {name for name in SERVED_DECODERS - set(av.codecs_available) if name[:3] != "lib"}
    assert missing == set()


def test_no_list_opens_other_files_or_decodes_pictures() -> None:
    import av

    refused = {"hls", "dash", "concat", "image2", "mpegtsraw", "rtsp", "sdp", "rtp", "lavfi", "rm"}
    assert not refused & set(DEMUXERS.split(","))
    assert not any(name.endswith("pipe") for name in DEMUXERS.split(","))
    present = SERVED_DECODERS & set(av.codecs_available)
    assert {av.Codec(name, "r").type for name in present} == {"audio"}


@pytest.mark.parametrize(
    "content",
    [
        b'<asx version="3.0"><entry><ref href="http://127.0.0.1:9/a.wma"/></entry></asx>',
        b"[Reference]\r\nRef1=http://127.0.0.1:9/a.asf?MSWMExt=.asf\r\n",
        b"[playlist]\nFile1=file:///etc/passwd\nNumberOfEntries=1\n",
        b"ASF http://127.0.0.1:9/a.wma\r\n",
    ],
    ids=["asx", "asf reference", "pls", "asf redirect"],
)
def test_a_list_of_addresses_is_no_audio(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "talk.wma"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudio):
        decode(path)


def test_a_transport_stream_whose_clock_wraps_goes_on(tone: FloatArray, encode: Encode) -> None:
    """33 bits at 90 kHz: after some 26.5 hours a receiver's clock begins again."""
    import av

    source = av.open(io.BytesIO(encode(tone[None], 16_000, "mpegts", "mp2")))
    target = io.BytesIO()
    with source, av.open(target, "w", format="mpegts") as output:
        stream = output.add_stream_from_template(source.streams.audio[0])
        first = (1 << 33) - 90_000 * 2
        for packet in source.demux(audio=0):
            if packet.pts is None:
                continue
            packet.pts = packet.dts = packet.pts - 126_000 + first
            packet.stream = stream
            output.mux(packet)
    assert decode(target.getvalue()).shape[1] / 16_000 == pytest.approx(4.0, abs=0.1)


def test_a_track_that_appears_later_changes_nothing(
    tone: FloatArray, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a broadcast, where the second language begins with the film. At the end PyAV flushes
    what memory behind its list of tracks calls a track: whether it then raises is up to chance.
    """

    class Unlucky:
        def __init__(self, container: InputContainer) -> None:
            self.format = container.format
            self._container = container

        def demux(self, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
            yield from self._container.demux(stream)
            raise IndexError("list index out of range")

    news = encode(tone[None], 16_000, "mpegts", "mp2")
    whole = decode(news).shape[1]
    monkeypatch.setattr(
        decoder,
        "packets",
        lambda container, stream, check: packets(Unlucky(container), stream, check),
    )
    assert decode(news).shape[1] == whole
