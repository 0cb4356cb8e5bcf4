"""Who asks, whether they may, and how often: keys, scopes and request rates, in one place."""

from asr_api.access.authenticator import AccessDesk, Principal
from asr_api.access.key_cache import KeyCache

__all__ = ["AccessDesk", "KeyCache", "Principal"]
