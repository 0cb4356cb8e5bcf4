"""Whether CTranslate2 can use the GPU that torch has found.

Its wheel has CUDA's code but not cuBLAS 12, which it opens when it first multiplies on a GPU. torch
brings cuBLAS of its own CUDA, which may be another one.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
from pathlib import Path
from typing import Final

from asr_worker.errors import ModelNotLoaded

CUBLAS: Final = "libcublas.so.12"


def usable_device(device: str, use_gpu: bool | None) -> str:
    """`device`, or `cpu` where CTranslate2 cannot use it; with `use_gpu` that is an error.

    Raises ModelNotLoaded.
    """
    if device == "cpu":
        return device
    import ctranslate2

    if not ctranslate2.get_cuda_device_count():
        problem = "CTranslate2 finds no GPU"
    elif not load_cublas():
        problem = f"CTranslate2 needs {CUBLAS}: pip install nvidia-cublas-cu12"
    else:
        return device
    if use_gpu:
        raise ModelNotLoaded(f"a GPU is required (ASR_USE_GPU=true), and {problem}")
    logging.getLogger(__name__).warning("engine whisper runs on the CPU: %s", problem)
    return "cpu"


def load_cublas() -> bool:
    """Loads cuBLAS 12 where the system has it, else that of NVIDIA's wheel, beside torch's."""
    found = (
        importlib.util.find_spec("nvidia.cublas") if importlib.util.find_spec("nvidia") else None
    )
    folders = list(found.submodule_search_locations or ()) if found else []
    for name in (CUBLAS, *(str(Path(folder) / "lib" / CUBLAS) for folder in folders)):
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return True
    return False
