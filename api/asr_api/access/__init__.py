"""Who asks, whether they may, and how often: keys, scopes and request rates, in one place."""

from asr_api.access.authenticator import Authenticator, Principal
from asr_api.access.key_cache import KeyCache

__all__ = ["Authenticator", "KeyCache", "Principal"]
