"""Whose numbers a request is told: a key those of its own tenant, the scope `admin` those of all,
or of one that it names. Without keys there is no other tenant to hide.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from asr_api.dependencies import PrincipalOf
from asr_core.errors import Forbidden
from asr_core.task import TENANT_PATTERN


async def tenant_in_view(
    principal: PrincipalOf,
    tenant: Annotated[
        str | None,
        Query(
            pattern=TENANT_PATTERN,
            description="only this tenant's figures; other tenants' need the scope `admin`, which "
            "sees all tenants by default",
            examples=["acme"],
        ),
    ] = None,
) -> str | None:
    """None for all tenants together. Raises Forbidden."""
    if principal.admin:
        return tenant
    if tenant not in (None, principal.tenant):
        raise Forbidden("this key lacks the scope 'admin', which figures of other tenants need")
    return principal.tenant


ViewOf = Annotated[str | None, Depends(tenant_in_view)]
