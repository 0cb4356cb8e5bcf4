"""`/dashboard`: what it shows is what the platform does, also after the API has died."""

from __future__ import annotations

import re
from typing import Any

import httpx
from playwright.sync_api import Page, expect


def tile(page: Page, name: str) -> Any:
    heading = page.locator("dt", has_text=re.compile(f"^{name}$"))
    return page.locator(".tile").filter(has=heading).locator(".figure")


def submit(url: str, audio: bytes, count: int) -> list[str]:
    with httpx.Client(base_url=url, timeout=30) as client:
        replies = [
            client.post("/api/v1/asr/submit", files={"audio": (f"{n}.wav", audio)})
            for n in range(count)
        ]
        return [reply.json()["task_id"] for reply in replies]


def test_the_dashboard_moves_under_load_and_goes_on_after_an_api_restart(open_page, stack, demo):
    page = open_page("/dashboard")
    expect(page.locator("#state")).to_have_text("Live")
    expect(page.locator("#workers")).to_contain_text("worker-1")
    done_before = int(tile(page, "Done").inner_text())
    page.locator("label", has_text="15 min").click()
    submit(stack.url, demo.read_bytes(), 12)
    done = str(done_before + 12)
    expect(tile(page, "Done")).to_have_text(done)
    charts = page.locator(".chart svg")
    expect(charts).to_have_count(7)
    expect(charts.nth(1)).to_have_attribute(
        "aria-label", re.compile(r"finished: last .*highest [1-9]")
    )

    stack.end("api")
    expect(page.locator("#state")).to_have_text("No answer")
    expect(page.locator("#problem")).to_contain_text("reconnects by itself")
    stack.start_api()
    expect(page.locator("#state")).to_have_text("Live")
    expect(page.locator("#problem")).to_be_hidden()
    page.reload()
    expect(page.get_by_role("radio", name="15 min")).to_be_checked()
    expect(tile(page, "Done")).to_have_text(done)


def test_a_redis_that_is_away_is_said_and_old_figures_are_not_taken_for_new(open_page, stack):
    page = open_page("/dashboard")
    expect(page.locator("#state")).to_have_text("Live")
    stack.end("redis")
    expect(page.locator("#state")).to_have_text("Redis unavailable")
    expect(page.locator("#problem")).to_contain_text("The figures below are out of date.")
    stack.start_redis()
    expect(page.locator("#state")).to_have_text("Live")


def test_the_workers_processor_and_memory_are_told(stack):
    reply = httpx.get(f"{stack.url}/api/v1/asr/queue/status").json()
    (worker,) = reply["workers"]
    assert (worker["name"], worker["pool"], worker["device"]) == ("worker-1", "default", "cpu")
    assert 50e6 < worker["memory_bytes"] < 8e9
    assert worker["gpu_memory_bytes"] is None


def test_a_hidden_tab_asks_nothing(open_page):
    page = open_page("/dashboard")
    expect(page.locator("#state")).to_have_text("Live")
    hide(page, hidden=True)
    page.wait_for_timeout(2500)  # the look under way, and its pause, are over
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert asked == []
    with page.expect_request("**/api/v1/asr/queue/status**"):
        hide(page, hidden=False)


def hide(page: Page, *, hidden: bool) -> None:
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
            document.dispatchEvent(new Event('visibilitychange'));
        }""",
        hidden,
    )


def test_latencies_are_those_of_the_tasks(stack, demo):
    (task_id,) = submit(stack.url, demo.read_bytes(), 1)
    httpx.get(f"{stack.url}/api/v1/asr/result/{task_id}?wait=30", timeout=60).raise_for_status()
    told = httpx.get(f"{stack.url}/api/v1/stats?minutes=15").json()["pools"]["default"]
    for latency in (told["wait"], told["total"]):
        assert 0 <= latency["p50"] <= latency["p95"] <= latency["p99"] < 600
    assert told["total"]["p99"] > 0
