"""Magic bytes of supported containers, and of other formats by name. Pure.

Only distinguishes damaged audio from other files for the error message; the demuxer decides whether
a file is supported.
"""

from __future__ import annotations

from typing import Final

SNIFF_BYTES: Final = 1024

_SERVED: Final = (
    b"fLaC", b"OggS", b"ID3", b"#!AMR\n", b"#!AMR-WB\n", b"#!AMR_MC", b"#!AMR-WB_MC",
    b"\x1aE\xdf\xa3", b"caff", b".snd", b"wvpk", b"FLV\x01", b"\x0bw",
    b"0&\xb2u\x8ef\xcf\x11", b"\x00\x00\x01\xba",
)  # fmt: skip
# Of chunks: the first four bytes, and what follows the length.
_SERVED_CHUNKS: Final = frozenset(
    {
        *((riff, b"WAVE") for riff in (b"RIFF", b"RIFX", b"RF64", b"BW64")),
        *((b"RIFF", kind) for kind in (b"AVI ", b"AVIX")),
        *((b"FORM", kind) for kind in (b"AIFF", b"AIFC")),
    }
)
_OTHER_CHUNKS: Final = {
    (b"RIFF", b"WEBP"): "A WebP picture",
    (b"RIFF", b"RMID"): "MIDI",
    (b"FORM", b"8SVX"): "IFF 8SVX",
}
_BRANDS: Final = {
    **dict.fromkeys((b"heic", b"heix", b"mif1", b"msf1"), "A HEIC picture"),
    **dict.fromkeys((b"avif", b"avis"), "An AVIF picture"),
}
_OTHERS: Final = (
    (b"\xff\xd8\xff", "A JPEG picture"),
    (b"\x89PNG", "A PNG picture"),
    (b"GIF8", "A GIF picture"),
    (b"II*\0", "A TIFF picture"),
    (b"MM\0*", "A TIFF picture"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "A ZIP archive or office document"),
    (b"\x1f\x8b", "A gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "A 7z archive"),
    (b"Rar!", "A RAR archive"),
    (b"BZh", "A bzip2 archive"),
    (b"\xfd7zXZ", "An xz archive"),
    (b"{\\rtf", "RTF"),
    (b"MThd", "MIDI"),
    (b".RMF", "RealMedia"),
    (b".ra\xfd", "RealAudio"),
    (b"MAC ", "Monkey's Audio"),
    (b"TTA", "True Audio (TTA)"),
    (b"MPCK", "Musepack"),
    (b"MP+", "Musepack"),
    (b"tBaK", "TAK"),
    (b"OFR ", "OptimFROG"),
    (b"ajkg", "Shorten"),
    (b"DSD ", "DSF"),
    (b"FRM8", "DSDIFF"),
    (b"\x7f\xfe\x80\x01", "DTS"),
    (b"\xfe\x7f\x01\x80", "DTS"),
    (b"DTSHDHDR", "DTS"),
    (b"\x06\x0e\x2b\x34", "MXF"),
    (b"Creative Voice File", "VOC"),
    (b"NIST_1A", "NIST SPHERE"),
    (b"#!SILK_V3", "SILK"),
    (b"\x02#!SILK_V3", "SILK"),
    (b"FWS", "Flash (SWF)"),
    (b"CWS", "Flash (SWF)"),
    (b"qoaf", "QOA"),
    (b"#extm3u", "A playlist (M3U)"),
    (b"[playlist]", "A playlist (PLS)"),
    (b"ffconcat version", "A playlist (ffconcat)"),
    (b"<asx", "A playlist (ASX)"),
    (b"<!doctype html", "An HTML page"),
    (b"<html", "An HTML page"),
    (b"<?xml", "XML"),
    (b"<svg", "An SVG picture"),
    (b"WEBVTT", "Subtitles (WebVTT)"),
)


def looks_like_audio(head: bytes) -> bool:
    """True when `head` begins as one of the served containers does."""
    if head.startswith(_SERVED) or (head[:4], head[8:12]) in _SERVED_CHUNKS:
        return True
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return head[8:12] not in _BRANDS
    if _is_transport_stream(head):
        return True
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] != 0xFF


def other_format(head: bytes) -> str:
    """What people call a format that is not served; empty if it is not known."""
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return _BRANDS[head[8:12]]
    if name := _OTHER_CHUNKS.get((head[:4], head[8:12])):
        return name
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "A BMP picture"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for magic, name in _OTHERS:
        if head.startswith(magic) or (magic[:1] in b"<[#" and text.startswith(magic)):
            return name
    return ""


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes, or of 192 with a time code before each (Blu-ray, camcorders), or of 204
    with error correction behind.
    """
    return any(
        len(head) > first + 2 * size and all(head[first + n * size] == 0x47 for n in range(3))
        for first, size in ((0, 188), (4, 192), (0, 204))
    )
