"""Authentication, authorization and rate limits: API keys, scopes and request rates."""

from asr_api.access.authenticator import Authenticator, Principal
from asr_api.access.key_cache import KeyCache

__all__ = ["Authenticator", "KeyCache", "Principal"]
