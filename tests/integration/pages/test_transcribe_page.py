"""`/`: recordings in, transcripts out, in a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

SAID = re.compile("good morning the meeting is on monday")
HOSTILE_NAME = "<img src=x onerror=alert(1)>.wav"


def give(page: Page, *files: tuple[str, bytes]) -> None:
    payload: Any = [
        {"name": name, "mimeType": "audio/wav", "buffer": content} for name, content in files
    ]
    page.set_input_files("#files", payload)


def test_a_recording_becomes_a_transcript_that_survives_a_reload(open_page, demo):
    page = open_page("/")
    expect(page.locator("#notice")).to_contain_text("demo model")
    give(page, ("talk.wav", demo.read_bytes()))
    transcript = page.locator("#transcript")
    expect(transcript).to_have_text(SAID)
    expect(page.locator("#announcer")).to_contain_text("has been transcribed")
    page.reload()
    expect(transcript).to_have_text(SAID)
    row = page.locator("#tasks .row").filter(has_text="talk.wav").first
    expect(row).to_contain_text("Done")


def test_words_light_up_and_a_click_or_an_arrow_seeks(open_page, demo):
    page = open_page("/")
    give(page, ("words.wav", demo.read_bytes()))
    words = page.locator(".word")
    word = words.nth(8)
    word.click()
    start_seconds = float(word.get_attribute("data-at"))
    page.wait_for_function(
        "at => document.querySelector('audio').currentTime >= at - 0.01", arg=start_seconds
    )
    page.wait_for_selector(".word.lit")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('audio').paused")
    seek(page, float(words.nth(3).get_attribute("data-at")) + 0.01)
    expect(words.nth(3)).to_have_class(re.compile("lit"))
    page.keyboard.press("ArrowRight")
    expect(words.nth(4)).to_have_class(re.compile("lit"))
    expect(page.locator(".word.lit")).to_have_count(1)
    page.keyboard.press("ArrowLeft")
    expect(words.nth(3)).to_have_class(re.compile("lit"))


def test_what_the_model_does_not_support_is_shown(open_page, demo):
    page = open_page("/")
    page.select_option("select[name=speakers]", "true")
    give(page, ("who.wav", demo.read_bytes()))
    expect(page.locator("#transcript")).to_have_text(SAID)
    expect(page.locator("#ignored")).to_have_text("This model does not separate speakers.")


def test_a_translation_is_offered_only_where_the_model_translates(open_page, demo):
    page = open_page("/")
    expect(page.locator("#notice")).to_contain_text("demo model")
    expect(page.locator("#task-label")).to_be_hidden()

    def tell_of_a_translator(route: Any) -> None:
        told = route.fetch().json()
        route.fulfill(json={**told, "features": ["task"]})

    page.route("**/api/v1/asr/queue/status?*", tell_of_a_translator)
    page.reload()
    page.select_option("select[name=task]", "translate")
    give(page, ("rede.wav", demo.read_bytes()))
    # As the server knows better than this page was told, the choice was sent.
    expect(page.locator("#uploads")).to_contain_text("(embedded) does not translate")
    page.unroute("**/api/v1/asr/queue/status?*")
    page.reload()
    expect(page.locator("#task-label")).to_be_hidden()
    give(page, ("talk.wav", demo.read_bytes()))
    expect(page.locator("#transcript")).to_have_text(SAID)


def test_what_could_not_be_read_is_said(open_page, demo):
    page = open_page("/")
    give(page, ("cut.wav", demo.read_bytes()[:200_000]))
    expect(page.locator("#transcript")).to_contain_text("good morning")
    expect(page.locator("#warnings")).to_have_text(
        re.compile(r"The file ends too early, at 6\.\d+ s; by its header it lasts 1\d\.\d+ s\.")
    )
    give(page, ("whole.wav", demo.read_bytes()))
    expect(page.locator("#transcript")).to_have_text(SAID)
    expect(page.locator("#warnings")).to_be_hidden()


def seek(page: Page, seconds: float) -> None:
    page.evaluate("at => { document.querySelector('audio').currentTime = at }", seconds)


def test_a_bad_file_is_refused_in_words_and_the_good_ones_beside_it_are_not(open_page, demo):
    page = open_page("/")
    give(page, ("notes.wav", b"no audio at all"), (HOSTILE_NAME, demo.read_bytes()))
    refused = page.locator("#uploads .row").filter(has_text="notes.wav")
    expect(refused).to_contain_text("The file is not audio")
    expect(page.locator("#detail-title")).to_have_text(HOSTILE_NAME)
    expect(page.locator("#transcript")).to_have_text(SAID)
    assert page.locator("img[onerror]").count() == 0
    refused.get_by_role("button", name="Dismiss notes.wav").click()
    expect(refused).to_have_count(0)


def test_what_the_microphone_hears_is_recorded_and_transcribed(open_page):
    page = open_page("/")
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#elapsed")).to_have_text("0:02")
    page.get_by_role("button", name="Stop and transcribe").click()
    title = page.locator("#detail-title")
    expect(title).to_have_text(re.compile(r"^recording-[\d-]+\.webm$"))
    expect(page.locator("#facts")).to_contain_text("embedded on cpu")
    page.wait_for_function("() => Number.isFinite(document.querySelector('audio').duration)")


def test_a_transcript_is_downloaded_copied_and_deleted(open_page, demo):
    page = open_page("/")
    give(page, ("minutes.wav", demo.read_bytes()))
    expect(page.locator("#transcript")).to_have_text(SAID)
    begins = {"TXT": "good", "SRT": "1\n00:00:0", "VTT": "WEBVTT", "JSON": "{"}
    for name, begin in begins.items():
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download as {name}").click()
        assert download.value.suggested_filename == f"minutes.{name.lower()}"
        assert Path(download.value.path()).read_text().startswith(begin)
    page.locator("#copy").click()
    expect(page.locator("#copy")).to_have_text("Copied")
    assert SAID.search(page.evaluate("navigator.clipboard.readText()"))
    page.locator("#delete").click()
    page.locator("#delete-yes").click()
    expect(page.locator("#detail-none")).to_be_visible()
    expect(page.locator("#tasks .row")).to_have_count(0)


def test_a_failed_recording_says_why_and_is_tried_again(open_page, stack, demo):
    page = open_page("/")
    give(page, ("fails.wav", demo.read_bytes()))
    expect(page.locator("#transcript")).to_have_text(SAID)
    task_id = page.url.partition("task=")[2]
    failed = {"code": "unreadable_audio", "message": "The audio ends in the middle."}
    told = json.loads(stack.get(f"/api/v1/asr/result/{task_id}"))
    body = {**told, "status": "failed", "error": failed, "result": None}
    page.route("**/api/v1/asr/result/*", lambda route: route.fulfill(json=body))
    page.reload()
    expect(page.locator("#failure")).to_contain_text("The audio ends in the middle.")
    answered = {"task_id": task_id, "status": "queued", "position": 1, "links": {}}
    page.route("**/api/v1/asr/retry/*", lambda route: route.fulfill(status=202, json=answered))
    with page.expect_request(f"**/api/v1/asr/retry/{task_id}"):
        page.locator("#retry").click()


def test_a_server_that_is_full_is_asked_again_with_the_same_key(open_page, demo):
    page = open_page("/")
    keys = []

    def refuse_once(route: Any) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            route.continue_()
            return
        error = {"message": "The queue is full.", "type": "", "param": None, "code": "queue_full"}
        route.fulfill(status=429, headers={"Retry-After": "1"}, body=json.dumps({"error": error}))

    page.route("**/api/v1/asr/submit", refuse_once)
    give(page, ("patient.wav", demo.read_bytes()))
    expect(page.locator("#uploads .row")).to_contain_text("The queue is full. Trying again in 1 s.")
    expect(page.locator("#transcript")).to_have_text(SAID)
    assert len(keys) == 2
    assert len(set(keys)) == 1
