"""The options of a submit, whether they came as a form or as JSON, checked against the settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from asr_api.egress.ssrf_policy import SsrfPolicy
from asr_api.egress.target import OutboundUrl, respelled
from asr_api.errors import UrlRefused
from asr_api.settings.api import ApiSettings
from asr_api.settings.outbound import OutboundSettings
from asr_api.submission.options import SubmitOptions, parse_options
from asr_core.errors import InvalidOption
from asr_core.queue import RedisConnection, list_models
from asr_core.text_limits import URL


def submit_options(fields: Iterable[tuple[str, str]], settings: ApiSettings) -> SubmitOptions:
    """Raises InvalidOption or UrlRefused, naming the field."""
    options = parse_options(fields, pools=settings.pools)
    if options.webhook:
        options = replace(options, webhook=_check_webhook(options.webhook, settings))
    return options


async def with_unheeded(connection: RedisConnection, options: SubmitOptions) -> SubmitOptions:
    """Told what the pool's workers cannot do of it, by what they, or the last ones, say of
    themselves; of a pool that never had any nothing is told.
    """
    if not options.task.needing_engine:
        return options
    served = await list_models(connection, options.pool)
    ignored = (name for m in served for name in options.task.unheeded(m.features, m.languages))
    return replace(options, ignored=tuple(dict.fromkeys(ignored)))


def check_url(url: str, settings: OutboundSettings, *, param: str) -> str:
    """`url` with its host in the one spelling. Checked is what is certain without looking its name
    up; the courier looks again before it calls.

    Raises UrlRefused; InvalidOption for one that is too long.
    """
    URL.check(param, url)
    try:
        url = respelled(url)
        SsrfPolicy(settings.allow_private_urls).check_early(OutboundUrl.parse(url))
    except UrlRefused as refused:
        raise UrlRefused(refused.message, param=param) from None
    return url


def _check_webhook(url: str, settings: OutboundSettings) -> str:
    if not settings.webhook_secret:
        raise InvalidOption(
            "Webhooks are not set up on this server: ASR_WEBHOOK_SECRET is not set.",
            param="webhook",
        )
    return check_url(url, settings, param="webhook")
