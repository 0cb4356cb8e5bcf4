"""Putting dead letters back one by one: one that cannot be is no reason to leave the rest."""

from __future__ import annotations

from collections.abc import Iterable

from asr_core.errors import RequestError
from asr_core.queue import Producer


async def put_back_each(producer: Producer, task_ids: Iterable[str]) -> tuple[list[str], list[str]]:
    """The ids that were queued again, and why the others were not."""
    done, failed = [], []
    for task_id in task_ids:
        try:
            await producer.redrive(task_id)
        except RequestError as error:
            failed.append(error.message)
        else:
            done.append(task_id)
    return done, failed


async def put_back_all(producer: Producer) -> tuple[list[str], list[str]]:
    """The same for every dead letter there is now."""
    task_ids: list[str] = []
    cursor = ""
    while True:
        page = await producer.dead_letters(cursor=cursor, limit=500)
        task_ids += [letter.task.task_id for letter in page.letters]
        cursor = page.next_cursor
        if not cursor:
            return await put_back_each(producer, task_ids)
