"""Pages that everybody can use: screen readers, phones, keys, a strict browser, a path prefix."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

PAGES = ("/", "/dashboard")


def ready(page: Page, path: str, demo: Any) -> None:
    """Something stands on the page."""
    if path == "/dashboard":
        expect(page.locator("#state")).to_have_text("Live")
        return
    content = demo.read_bytes()
    files: Any = [
        {"name": "good.wav", "mimeType": "audio/wav", "buffer": content},
        {"name": "bad.wav", "mimeType": "audio/wav", "buffer": b"no audio"},
    ]
    page.set_input_files("#files", files)
    expect(page.locator("#transcript")).to_contain_text("good morning")
    expect(page.locator("#uploads")).to_contain_text("Refused")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious_at_either_width(open_page, demo, path, scheme):
    page = open_page(path, color_scheme=scheme, reduced_motion="reduce")
    ready(page, path, demo)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        found = Axe().run(page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], each["nodes"][0]["html"]) for each in serious] == []


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_wider_than_a_small_phone(open_page, demo, path):
    page = open_page(path, width=360)
    ready(page, path, demo)
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_everything_is_reached_with_the_tab_key(open_page, demo):
    page = open_page("/")
    ready(page, "/", demo)
    reached = set()
    page.locator(".skip").focus()
    for _ in range(40):
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
        page.keyboard.press("Tab")
    wanted = {"choose", "record", "scope", "open", "audio", "copy", "delete", "time", "key-button"}
    assert wanted <= reached


def test_a_key_is_asked_for_kept_in_the_tab_and_sent(open_page):
    page = open_page("/dashboard")
    expect(page.locator("#state")).to_have_text("Live")
    sent: list[str | None] = []

    def guard(route: Any) -> None:
        given = route.request.headers.get("authorization")
        sent.append(given)
        if given == "Bearer right":
            route.continue_()
            return
        error = {"message": "This key is not known.", "type": "", "param": None, "code": "x"}
        route.fulfill(status=401, json={"error": error})

    page.route("**/api/v1/**", guard)
    dialog = page.locator("#key-dialog")
    expect(dialog).to_be_visible()
    page.locator("#key-field").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#key-problem")).to_contain_text("This key is not known.")
    page.locator("#key-field").fill("right")
    with page.expect_response(lambda reply: reply.ok and "/api/v1/" in reply.url):
        page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#state")).to_have_text("Live")
    assert page.evaluate("sessionStorage.getItem('asr-key')") == "right"
    assert page.evaluate("JSON.stringify(localStorage)").count("right") == 0
    assert {None, "Bearer wrong", "Bearer right"} == set(sent)


def test_where_keys_are_on_the_page_asks_for_one_and_then_plays_audio(
    open_page, stack, guarded, demo
):
    page = open_page("/", url=guarded.url)
    expect(page.locator("#key-dialog")).to_be_visible()
    page.locator("#key-field").fill("asr_of_somebody_else")
    page.keyboard.press("Enter")
    expect(page.locator("#key-problem")).not_to_be_empty()
    page.locator("#key-field").fill(guarded.make_key("--tenant", "acme"))
    page.keyboard.press("Enter")
    expect(page.locator("#empty")).to_have_text("No recordings from this browser yet.")
    ready(page, "/", demo)
    page.wait_for_function("() => document.querySelector('audio').duration > 10")
    assert page.evaluate("document.querySelector('audio').src").startswith("blob:")
    page.locator("#scope").select_option("all")
    expect(page.locator("#tasks .row")).to_have_count(1)  # nobody else's
    page.goto(f"{guarded.url}/dashboard")
    expect(page.locator("#state")).to_have_text("Live")


def test_what_a_key_does_not_allow_is_said(open_page, guarded):
    page = open_page("/", url=guarded.url)
    page.locator("#key-field").fill(guarded.make_key("--scope", "transcribe"))
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_contain_text("This API key is not allowed to do that.")


@pytest.mark.parametrize("path", [*PAGES, "/assets/base.css", "/assets/transcribe.js"])
def test_files_are_revalidated_and_forbid_what_they_do_not_need(stack, path):
    with httpx.Client(base_url=stack.url) as client:
        reply = client.get(path)
        assert reply.status_code == 200
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-cache"
        assert client.head(path).headers["etag"] == reply.headers["etag"]
        again = client.get(path, headers={"If-None-Match": reply.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/assets/nothing.js", "/assets/..%2findex.html", "/assets/"])
def test_only_the_pages_own_files_are_served(stack, path):
    assert httpx.get(stack.url + path).status_code == 404


@pytest.mark.parametrize("path", PAGES)
def test_pages_ask_no_other_host_and_hold_nothing_inline(open_page, stack, path):
    page = open_page(path)
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.reload(wait_until="networkidle" if path == "/" else "load")
    assert hosts == {stack.url.split("/")[2]}
    text = httpx.get(stack.url + path).text
    assert "style=" not in text
    assert "onclick" not in text
    assert "<script>" not in text


@pytest.mark.parametrize(
    ("start", "headers"), [("/speech/", {}), ("/speech", {"X-Forwarded-Prefix": "/speech"})]
)
def test_both_pages_work_behind_a_path_prefix(open_page, stack, start, headers):
    page = open_page("/healthz")
    asked: list[str] = []

    def strip(route: Any) -> None:
        """What an ingress does that serves the API below /speech."""
        asked.append(route.request.url)
        url = route.request.url.replace("/speech", "", 1)
        url = f"{stack.url}/" if url == stack.url else url
        route.continue_(url=url, headers={**route.request.headers, **headers})

    page.route(re.compile(rf"^{stack.url}/speech(/|$)"), strip)
    page.goto(stack.url + start)
    expect(page.locator("#notice")).to_contain_text("demo model")
    page.get_by_role("link", name="Dashboard").click()
    expect(page.locator("#state")).to_have_text("Live")
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("link", name="asr-platform").click()
    expect(page.locator("#notice")).to_contain_text("demo model")
    assert all("/speech" in url for url in asked if not url.endswith("/healthz"))


def test_the_docs_read_and_try_the_document_under_their_own_policy(open_page, stack):
    page = open_page("/docs")  # which fails where the policy forbids what the page does
    operation = page.locator("#operations-operations-healthz")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table tbody .response-col_status")).to_have_text(
        "200"
    )
    page.screenshot(path="/tmp/docs.png")
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.reload(wait_until="networkidle")
    assert hosts == {stack.url.split("/")[2]}
