"""The options of a submit, whether they came as a form or as JSON, checked against the settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from asr_api.egress.ssrf_policy import SsrfPolicy
from asr_api.egress.target import OutboundUrl, respelled
from asr_api.errors import UrlRefused
from asr_api.settings.api import ApiSettings
from asr_api.settings.outbound import OutboundSettings
from asr_api.submission.options import SubmitOptions, parse_options
from asr_core.errors import InvalidOption, ModelCannotTranslate
from asr_core.options import TaskOptions
from asr_core.queue import RedisConnection, ServedModel, list_models
from asr_core.text_limits import URL


def submit_options(fields: Iterable[tuple[str, str]], settings: ApiSettings) -> SubmitOptions:
    """Raises InvalidOption or UrlRefused, naming the field."""
    options = parse_options(fields, pools=settings.pools)
    if options.webhook:
        options = replace(options, webhook=_check_webhook(options.webhook, settings))
    return options


async def with_unheeded(
    connection: RedisConnection, options: SubmitOptions, settings: ApiSettings
) -> SubmitOptions:
    """Told what the pool's workers cannot do of it, by what they, or the last ones, say of
    themselves; of a pool that never had any nothing is told, and its worker refuses what it must.

    Raises ModelCannotTranslate.
    """
    if not options.task.needing_engine:
        return options
    served = await list_models(connection, options.pool)
    if not all_do(options.task, served):
        by_pool = {pool: await list_models(connection, pool) for pool in settings.pools}
        raise cannot_translate(options.pool, by_pool, options.task, param="task")
    ignored = (name for m in served for name in options.task.unheeded(m.features, m.languages))
    return replace(options, ignored=tuple(dict.fromkeys(ignored)))


def all_do(task: TaskOptions, served: Iterable[ServedModel]) -> bool:
    """Whether each of a pool's models may run it: any of them may get the task."""
    return not any(task.refused(model.features) for model in served)


def cannot_translate(
    pool: str, by_pool: Mapping[str, Sequence[ServedModel]], task: TaskOptions, *, param: str
) -> ModelCannotTranslate:
    """Names the pools that can."""
    able = [name for name, served in by_pool.items() if served and all_do(task, served)]
    there = f"these do: {', '.join(able)}" if able else "nor does that of any other pool"
    models = ", ".join(model.model_id for model in by_pool[pool])
    return ModelCannotTranslate(
        f"The model of pool {pool!r} ({models}) does not translate; {there}.", param=param
    )


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
