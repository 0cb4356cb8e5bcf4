"""Log-mel features are those that Whisper's own code computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from asr_worker.audio.pcm import FloatArray
from asr_worker.engines.whisper.features import FeatureShape, LogMel, feature_shape, mel_filters
from asr_worker.errors import ModelNotLoaded

theirs = pytest.importorskip("faster_whisper.feature_extractor").FeatureExtractor


def _sound(seconds: float) -> FloatArray:
    noise = np.random.default_rng(5)
    time = np.arange(round(seconds * 16_000)) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * (200 + 300 * time) * time)
    sound: FloatArray = (tone + noise.normal(0, 0.01, len(time))).astype(np.float32)
    return sound


@pytest.mark.parametrize("mels", [80, 128])
def test_the_filters_are_slaneys(mels: int) -> None:
    expected = theirs(feature_size=mels).mel_filters
    assert np.allclose(mel_filters(mels, 400), expected, atol=1e-7)


@pytest.mark.parametrize("mels", [80, 128])
@pytest.mark.parametrize(("seconds", "window"), [(0.05, 12), (3.217, 12), (11.99, 12), (30.0, 30)])
def test_features_are_those_of_samples_followed_by_silence(
    mels: int, seconds: float, window: float
) -> None:
    sound = _sound(seconds)
    silence = np.zeros(int(window * 16_000) - len(sound), np.float32)
    expected = theirs(feature_size=mels)(np.concatenate([sound, silence]), padding=160)
    features = LogMel(FeatureShape(mels))(sound, window)
    frames = int(window * 100)
    assert features.shape == (mels, frames)
    assert features.dtype == np.float32
    assert np.allclose(features, expected[:, :frames], atol=2e-3)


@pytest.mark.parametrize("sound", [np.zeros(0, np.float32), np.zeros(16_000, np.float32)])
def test_silence_and_nothing_at_all_are_the_quietest_features(sound: FloatArray) -> None:
    expected = theirs()(np.zeros(12 * 16_000, np.float32), padding=160)[:, :1200]
    assert np.allclose(LogMel(FeatureShape())(sound, 12.0), expected)


def test_a_longer_window_only_adds_silence() -> None:
    log_mel, sound = LogMel(FeatureShape()), _sound(4)
    short, full = log_mel(sound, 12.0), log_mel(sound, 30.0)
    assert np.array_equal(short, full[:, :1200])
    assert len(np.unique(full[:, 1200:])) == 1


def test_sizes_come_from_the_folder(tmp_path: Path) -> None:
    assert feature_shape(tmp_path, 128) == FeatureShape(128, 400, 160)
    config = {"feature_size": 128, "sampling_rate": 16_000, "n_fft": 400, "hop_length": 160}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    assert feature_shape(tmp_path, 128) == FeatureShape(128, 400, 160)
    with pytest.raises(ModelNotLoaded, match="feature_size is 128; it must be 80"):
        feature_shape(tmp_path, 80)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(ModelNotLoaded, match="is not JSON"):
        feature_shape(tmp_path, 128)
