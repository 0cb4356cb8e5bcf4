"""The model of voice activity in the repository is the one that its authors publish."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "core" / "asr_core" / "voice"
# In silero_vad-6.2.3-py3-none-any.whl: silero_vad/data/, and dist-info/licenses/ with a line end.
MODEL_SHA256 = "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85"


def test_the_model_holds_the_bytes_of_silero_vad() -> None:
    model = (FOLDER / "silero_vad_16k_sequence.onnx").read_bytes()
    assert hashlib.sha256(model).hexdigest() == MODEL_SHA256
    assert len(model) < 2 * 1024**2


def test_the_wheel_carries_the_model_and_its_licence(tmp_path: Path) -> None:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(built) as wheel:
        names = wheel.namelist()
    assert "asr_core/voice/silero_vad_16k_sequence.onnx" in names
    [licence] = [
        name for name in names if name.endswith("licenses/core/asr_core/voice/LICENSE.silero-vad")
    ]
    with zipfile.ZipFile(built) as wheel:
        text = wheel.read(licence).decode()
    assert "MIT License" in text
    assert "Silero Team" in text
