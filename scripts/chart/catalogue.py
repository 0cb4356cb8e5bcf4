"""The catalogue of models for the chart: names, and the engine that runs each."""

from __future__ import annotations

from asr_core.models import catalogue

_HEAD = "# Generated from core/asr_core/models/catalogue.py by `make manifests`: change that.\n"


def models_text() -> str:
    """A YAML list of {engine, names}, a model a line."""
    return _HEAD + "".join(
        f"- {{engine: {model.engines[0]}, names: [{', '.join((model.name, *model.aliases))}]}}\n"
        for model in catalogue()
    )
