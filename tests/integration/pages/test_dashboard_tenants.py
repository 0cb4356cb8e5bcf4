"""`/dashboard` with keys: a tenant sees its own tasks and is told so; an operator those of all."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

SHOTS = os.environ.get("ASR_TEST_SHOTS", "")


def tile(page: Page, name: str) -> Any:
    heading = page.locator("dt", has_text=re.compile(f"^{name}$"))
    return page.locator(".tile").filter(has=heading).locator(".figure")


def transcribe(url: str, key: str, audio: bytes, count: int) -> None:
    """Tasks of the key's tenant, to their end."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        files = [("audio", ("a.wav", audio))]
        replies = [client.post("/api/v1/asr/submit", files=files) for _ in range(count)]
        for reply in replies:
            client.get(reply.json()["links"]["result"], params={"wait": 30}).raise_for_status()


def enter(page: Page, key: str) -> None:
    page.locator("#key-field").fill(key)
    page.locator("#key-form button.main").click()


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def test_a_tenant_sees_its_own_tasks_and_an_admin_all_or_those_of_one(
    open_page: Any, guarded: Any, demo: Path
) -> None:
    audio = demo.read_bytes()
    small, large = (guarded.make_key("--tenant", name) for name in ("dash-small", "dash-large"))
    transcribe(guarded.url, small, audio, 2)
    transcribe(guarded.url, large, audio, 5)

    page = open_page("/dashboard", url=guarded.url)
    enter(page, small)
    expect(page.locator("#whose")).to_contain_text("Your tasks")
    expect(page.locator("#whose")).to_contain_text("dash-small")
    expect(tile(page, "Done")).to_have_text("2")
    expect(tile(page, "Serving")).to_have_text("Yes")
    expect(page.locator("#workers-card")).to_be_hidden()
    expect(page.locator("#tenant-label")).to_be_hidden()
    assert "worker-1" not in page.content()
    shoot(page, "tenant")

    page.locator("#key-button").click()
    enter(page, guarded.make_key("--scope", "admin"))
    expect(page.locator("#whose")).to_be_hidden()
    expect(page.locator("#workers")).to_contain_text("worker-1")
    expect(tile(page, "Workers")).to_have_text("1")
    assert int(tile(page, "Done").inner_text()) >= 7
    shoot(page, "admin")
    page.locator("#tenant").select_option("dash-large")
    expect(tile(page, "Done")).to_have_text("5")
    expect(page.locator("#whose")).to_contain_text("Tasks of dash-large")
    expect(page.locator("#workers")).to_contain_text("worker-1")
    shoot(page, "admin-one-tenant")

    page.locator("#key-button").click()
    enter(page, large)
    expect(page.locator("#whose")).to_contain_text("Your tasks")
    expect(tile(page, "Done")).to_have_text("5")
    expect(page.locator("#tenant-label")).to_be_hidden()
