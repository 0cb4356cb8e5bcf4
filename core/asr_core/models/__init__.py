"""Published models: which files they are, by size and SHA-256, where they can be had, and the
folder that caches them. Pure but for the cache's own files; nothing here uses the network, and
nothing here loads a model. `asr_cli.models` fetches, workers load.
"""

from asr_core.models.cache import CacheState, ModelCache
from asr_core.models.catalogue import AUTO, AUTO_NAME, WHISPER_BASE, catalogue, find_model
from asr_core.models.entry import EMBEDDED, Hub, Member, Model, ModelFile, Wheels, notice_of
from asr_core.models.lock import FolderLock

__all__ = [
    "AUTO",
    "AUTO_NAME",
    "EMBEDDED",
    "WHISPER_BASE",
    "CacheState",
    "FolderLock",
    "Hub",
    "Member",
    "Model",
    "ModelCache",
    "ModelFile",
    "Wheels",
    "catalogue",
    "find_model",
    "notice_of",
]
