"""Streaming multipart/form-data: small fields are kept, the one file is passed on in chunks.

python-multipart parses; limits are enforced here, part by part, before the content is read.
Starlette's `form()` has no size limit for files and reports errors only after reading everything.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from asr_api.errors import MalformedUpload, UnsupportedMediaType
from asr_api.uploads.disposition import parse_disposition
from asr_core.errors import InvalidOption
from asr_core.text_limits import SHOWN_CHARACTERS, shortened

FIELD_MAX_BYTES = 64 * 1024
PARTS_MAX = 256
NAME_MAX_CHARACTERS = 256
CONTENT_TYPE_MAX_CHARACTERS = 1024
BOUNDARY_MAX_BYTES = 70  # RFC 2046, section 5.1.1
PREAMBLE_MAX_BYTES = 4096
_PLACE_IN_LIST = re.compile(r"\[\d+\]$")  # `x[0]`, as some clients write `x[]`


class FormReader:
    """Feed it chunks; `feed` returns the file's bytes within the chunk.

    `fields` holds the text fields in order of arrival; `filename` is None until the file part
    starts. With `any_field`, unknown fields are kept instead of refused.
    """

    def __init__(
        self,
        content_type: str,
        *,
        file_fields: Collection[str],
        text_fields: Collection[str],
        any_field: bool = False,
    ) -> None:
        self.fields: list[tuple[str, str]] = []
        self.filename: str | None = None
        self.finished = False
        self._file_fields = file_fields
        self._text_fields = text_fields
        self._any_field = any_field
        boundary = _boundary(content_type)
        self._delimiter = b"--" + boundary
        self._preamble: bytearray | None = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_end": self._on_end,
            },
        )
        self._file_bytes = bytearray()
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._name = ""
        self._in_file = False
        self._value = bytearray()
        self._parts = 0

    def feed(self, chunk: bytes) -> bytes:
        """Parse one chunk. Raises MalformedUpload, or InvalidOption naming the field."""
        self._file_bytes.clear()
        if self._preamble is not None:
            chunk = self._after_preamble(self._preamble, chunk)
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedUpload(f"The multipart body cannot be read: {error}.") from error
        return bytes(self._file_bytes)

    def _after_preamble(self, preamble: bytearray, chunk: bytes) -> bytes:
        """The bytes from the first boundary on, empty until it arrives. RFC 2046, section 5.1.1:
        the preamble is ignored.
        """
        preamble += chunk
        at = (
            0
            if preamble.startswith(self._delimiter)
            else preamble.find(b"\n" + self._delimiter) + 1
        )
        if at or preamble.startswith(self._delimiter):
            self._preamble = None
            return bytes(preamble[at:])
        if len(preamble) > PREAMBLE_MAX_BYTES:
            shown = self._delimiter.decode("latin-1")
            raise MalformedUpload(
                f"The multipart body cannot be read: within its first {PREAMBLE_MAX_BYTES} bytes "
                f"there is no {shown!r}, the boundary that Content-Type names."
            )
        return b""

    def close(self) -> None:
        """End of the body. Raises MalformedUpload if it is incomplete, InvalidOption without a
        file.
        """
        if not self.finished:
            raise MalformedUpload("The multipart body ends before its last boundary.")
        if self.filename is None:
            names = " or ".join(f"`{name}`" for name in self._file_fields)
            raise InvalidOption(
                f"The form has no file in {names}.", param=next(iter(self._file_fields))
            )

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise InvalidOption(f"The form has more than {PARTS_MAX} parts.")
        self._disposition = b""
        self._value.clear()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        name, filename = parse_disposition(self._disposition)
        if name is None:
            raise MalformedUpload("A part of the form has no name.")
        if len(name) > NAME_MAX_CHARACTERS:
            raise MalformedUpload(
                f"The name of a field has {len(name)} characters, and may have "
                f"{NAME_MAX_CHARACTERS}: it begins with {shortened(name)}."
            )
        self._name = _PLACE_IN_LIST.sub("[]", name)
        self._in_file = self._name in self._file_fields
        if self._in_file:
            self._begin_file(filename or "")
        elif self._name not in self._text_fields and not self._any_field:
            known = ", ".join((*self._file_fields, *self._text_fields))
            shown = self._name[:SHOWN_CHARACTERS]
            raise InvalidOption(f"Unknown field {shown!r}; the form has: {known}.", param=shown)

    def _begin_file(self, filename: str) -> None:
        if self.filename is not None:
            raise InvalidOption(
                f"The form has more than one file; the second is {self._name!r}.", param=self._name
            )
        self.filename = filename

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._file_bytes += data[start:end]
            return
        self._value += data[start:end]
        if len(self._value) > FIELD_MAX_BYTES:
            raise InvalidOption(
                f"Field {self._name!r} is longer than {FIELD_MAX_BYTES} bytes.", param=self._name
            )

    def _on_part_end(self) -> None:
        if self._in_file:
            return
        known = self._name in self._text_fields
        try:
            self.fields.append(
                (self._name, self._value.decode("utf-8", "strict" if known else "replace"))
            )
        except UnicodeDecodeError as error:
            raise InvalidOption(f"Field {self._name!r} is not UTF-8.", param=self._name) from error

    def _on_end(self) -> None:
        self.finished = True


def _boundary(content_type: str) -> bytes:
    if len(content_type) > CONTENT_TYPE_MAX_CHARACTERS:
        raise UnsupportedMediaType(
            f"The content type is longer than {CONTENT_TYPE_MAX_CHARACTERS} characters.",
            param="content-type",
        )
    media_type, parameters = parse_options_header(content_type)
    if media_type != b"multipart/form-data":
        shown = media_type.decode("latin-1")[:SHOWN_CHARACTERS] or "nothing"
        raise UnsupportedMediaType(
            f"The body must be multipart/form-data, not {shown}.", param="content-type"
        )
    boundary = parameters.get(b"boundary", b"")
    if not 1 <= len(boundary) <= BOUNDARY_MAX_BYTES:
        raise MalformedUpload(
            f"The content type must name a boundary of 1 to {BOUNDARY_MAX_BYTES} bytes.",
            param="content-type",
        )
    return boundary
