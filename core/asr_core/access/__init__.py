"""API keys, scopes and tenant limits, as plain data."""

from asr_core.access.api_key import ApiKey, Scope, key_digest, new_secret
from asr_core.access.limits import TenantLimits, Usage

__all__ = ["ApiKey", "Scope", "TenantLimits", "Usage", "key_digest", "new_secret"]
