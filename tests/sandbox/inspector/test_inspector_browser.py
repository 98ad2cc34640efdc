"""The inspector in a real browser: live updates, forms, keyboard use and accessibility."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from support.inspector_browser import (
    chromium,
    contrast_problems,
    structure_problems,
    unnamed_controls,
)
from support.inspector_helpers import HOSTILE, long_history
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page

WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@contextmanager
def open_page(browser: Browser, *, allowed: str = "422", **options: object) -> Generator[Page]:
    """Yield a new page; console errors, uncaught exceptions and dialogs fail the test.

    Args:
        browser: The browser.
        allowed: A pattern of console messages that are expected. Chromium logs the 422 response to
            an invalid form.
        options: Options of the browser context.
    """
    problems: list[str] = []

    def record(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not re.search(allowed, message.text):
            problems.append(message.text)

    def dismiss(dialog: Dialog) -> None:
        problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    context = browser.new_context(**options)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - as Playwright documents them
    try:
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", record)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", dismiss)
        yield page
        assert problems == []
    finally:
        context.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with open_page(browser, viewport=WIDE) as page:
        yield page


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with Subscriber() as subscriber:
        yield subscriber


@pytest.fixture
def sandbox(subscriber: Subscriber) -> Iterator[Sandbox]:
    """A sandbox with one subscription."""
    with Sandbox() as sandbox:
        with SandboxClient(sandbox) as client:
            client.subscribe(subscriber.url, secret="whsec", header="Authorization: Bearer opaque")
        yield sandbox


@pytest.fixture(scope="module")
def demo_sandbox() -> Iterator[Sandbox]:
    """A sandbox with the demo data, and a second tenant without data."""
    with Sandbox(seed_demo=True, seed=7) as sandbox:
        sandbox.add_tenant("staging", client_id="the-other")
        yield sandbox


def open_live(page: Page, url: str) -> None:
    """Open a page, wait until live updates are on, and set a mark that a reload would remove."""
    page.goto(url)
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate("window.mark = 1")


def assert_not_reloaded(page: Page) -> None:
    assert page.evaluate("window.mark") == 1


def test_a_failed_delivery_appears_and_is_redelivered(
    page: Page, sandbox: Sandbox, subscriber: Subscriber
) -> None:
    open_live(page, sandbox.base_url)
    subscriber.status = 503
    sandbox.publish(EVENT, {"id": 1})
    row = page.locator("table.events tbody tr")
    expect(row).to_have_class(re.compile("failed"))
    expect(row).to_contain_text("503")
    expect(row).to_contain_text("in 15 s")
    expect(page.locator("#subscriptions")).to_contain_text("Failing")
    expect(page.locator("svg.chart rect.failed")).to_have_count(1)
    expect(page).to_have_title(re.compile(r"^\(1 failed\)"))
    subscriber.status = 200
    row.get_by_role("button", name="Redeliver").click()
    expect(row).to_have_class(re.compile("delivered"))
    expect(row).to_contain_text("200")
    expect(page.locator("#notice")).to_contain_text("Redelivered: 1 delivered.")
    expect(page.locator("#subscriptions")).to_contain_text("Healthy")
    expect(page.locator("svg.chart rect.delivered")).to_have_count(1)
    expect(row.get_by_role("button")).to_be_focused()
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator("#notice")).to_be_empty()
    assert_not_reloaded(page)
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(EVENT)
    expect(page.locator("details.attempt")).to_have_count(2)
    expect(page.locator("details.attempt").first).to_contain_text("Valid")
    expect(page.locator("pre.body")).to_have_text(re.compile(r'"id": 1'))


def test_updates_preserve_focus_scroll_position_and_input(
    page: Page, sandbox: Sandbox, subscriber: Subscriber
) -> None:
    for number in range(30):
        sandbox.publish(EVENT, {"id": number})
    open_live(page, sandbox.base_url)
    page.locator("#own summary").click()
    payload = page.get_by_label("Payload")
    payload.fill('{"half": "typ')
    page.locator("#timeline-table summary").click()
    button = page.locator("table.events tbody tr").nth(20).get_by_role("button")
    button.focus()
    button.scroll_into_view_if_needed()
    before = button.bounding_box()
    focused = page.evaluate("document.activeElement.id")
    subscriber.status = 500
    sandbox.publish("carrier", {})
    expect(page.locator("table.events tbody tr").first).to_contain_text("500")
    row = page.locator(f"#{focused}")
    expect(row).to_be_focused()
    after = row.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2
    expect(payload).to_have_value('{"half": "typ')
    assert page.locator("#own").get_attribute("open") is not None
    assert page.locator("#timeline-table").get_attribute("open") is not None
    assert_not_reloaded(page)


def test_focus_moves_to_main_when_the_focused_row_disappears(
    page: Page, sandbox: Sandbox, subscriber: Subscriber
) -> None:
    subscriber.status = 500
    sandbox.publish(EVENT, {})
    subscriber.status = 200
    open_live(page, f"{sandbox.base_url}/?state=failed")
    page.locator("table.events").get_by_role("button").click()
    expect(page.locator("#events")).to_contain_text("No events match these filters.")
    expect(page.locator("#main")).to_be_focused()


def test_an_action_does_not_scroll_the_page(browser: Browser, demo_sandbox: Sandbox) -> None:
    with open_page(browser, viewport=NARROW) as page:
        open_live(page, demo_sandbox.base_url)
        button = page.locator("#publish").get_by_role("button", name="question_set:completed")
        button.scroll_into_view_if_needed()
        before = button.bounding_box()
        button.click()
        notice = page.locator("#notice")
        expect(notice).to_contain_text("Published")
        expect(notice).to_be_in_viewport()
        after = button.bounding_box()
        assert before is not None
        assert after is not None
        assert abs(after["y"] - before["y"]) < 2


def test_changes_are_announced_to_screen_readers(
    page: Page, sandbox: Sandbox, subscriber: Subscriber
) -> None:
    open_live(page, sandbox.base_url)
    announcer = page.locator("#announcer")
    expect(announcer).to_have_attribute("role", "status")
    expect(announcer).to_have_text("")
    subscriber.status = 500
    sandbox.publish(EVENT, {})
    expect(announcer).to_have_text("Updated: 1 event failed.")


def test_an_open_attempt_stays_open_when_another_is_added(
    page: Page, sandbox: Sandbox, subscriber: Subscriber
) -> None:
    (attempt,) = sandbox.publish(EVENT, {})
    with SandboxClient(sandbox) as client:
        client.redeliver(attempt)
        open_live(page, f"{sandbox.base_url}/inspector/events/{attempt.event_id}")
        second, first = page.locator("details.attempt").all()
        first_id = first.get_attribute("id")
        first.locator("summary").click()
        second.locator("summary").click()
        subscriber.status = 404
        client.redeliver(attempt)
    expect(page.locator("details.attempt")).to_have_count(3)
    expect(page.locator("details.attempt").first).to_contain_text("404")
    states = [
        attempt.get_attribute("open") is not None
        for attempt in page.locator("details.attempt").all()
    ]
    assert states == [True, False, True]
    expect(page.locator(f"#{first_id}")).to_contain_text("First attempt")


def test_keyboard_navigation(page: Page, sandbox: Sandbox) -> None:
    open_live(page, sandbox.base_url)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    names: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.innerText || document.activeElement.name")
        )
        ring = page.evaluate(
            "(() => { const s = getComputedStyle(document.activeElement);"
            " return [s.outlineStyle, s.outlineWidth]; })()"
        )
        assert ring[0] != "none", names[-1]
        assert ring[1] != "0px", names[-1]
        if names[-1] == "application_form:quoted":
            break
    # The focus order follows the order on the page.
    order = ["Hour", "All", "Reveal secrets", "application_form:quoted"]
    assert [name for name in names if name in order][0::1][-2:] == order[-2:]
    page.keyboard.press("Enter")
    link = page.locator("table.events tbody").get_by_role("link")
    expect(link).to_have_text("application_form:quoted")
    assert_not_reloaded(page)
    link.focus()
    page.keyboard.press("Enter")
    summary = page.locator("details.attempt summary")
    expect(summary).to_be_visible()
    summary.focus()
    page.keyboard.press("Space")
    assert page.locator("details.attempt").get_attribute("open") is None
    page.get_by_role("button", name="Redeliver").focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.attempt")).to_have_count(2)


def test_everything_but_live_updates_works_without_javascript(
    browser: Browser, sandbox: Sandbox, subscriber: Subscriber
) -> None:
    with open_page(browser, viewport=WIDE, java_script_enabled=False) as page:
        page.goto(sandbox.base_url)
        expect(page.locator("#live")).to_be_hidden()
        expect(page.locator(".copy").first).to_be_hidden()
        subscriber.status = 500
        page.get_by_role("button", name="question_set:completed").click()
        expect(page.locator("#notice span")).to_have_text("Published: 1 failed.")
        page.get_by_role("button", name="Advance to the next retry (in 15 s)").click()
        expect(page.locator("#notice span")).to_have_text("Clock advanced: 1 failed.")
        page.locator("#own summary").click()
        page.get_by_label("Payload").fill("{")
        page.locator("#own-publish").click()
        expect(page.locator("#own-error")).to_contain_text("is not valid JSON")
        expect(page.get_by_label("Payload")).to_have_value("{")
        subscriber.status = 200
        page.get_by_label("Payload").fill('{"own": true}')
        page.locator("#own-publish").click()
        expect(page.locator("#notice span")).to_have_text("Published: 1 delivered.")
        page.get_by_role("link", name=re.compile("^Failed")).click()
        row = page.locator("table.events tbody tr")
        expect(row).to_have_count(1)
        row.get_by_role("button", name="Redeliver").click()
        expect(page.locator("#events")).to_contain_text("No events match these filters.")
        page.get_by_role("link", name="Show all events").click()
        expect(row).to_have_count(2)
        page.get_by_role("link", name="Reveal secrets").click()
        expect(page.locator("#fact-client_secret")).to_have_text(sandbox.client_secret)
    assert json.loads(subscriber.deliveries[2].body) == {"own": True}


def test_an_invalid_payload_is_reported_next_to_the_field(page: Page, sandbox: Sandbox) -> None:
    open_live(page, sandbox.base_url)
    page.locator("#own summary").click()
    page.get_by_label("Payload").fill("[]")
    page.locator("#own-publish").click()
    expect(page.locator("#own-error")).to_have_text("The payload must be a JSON object: { … }.")
    expect(page.get_by_label("Payload")).to_be_focused()
    expect(page.get_by_label("Payload")).to_have_value("[]")
    assert_not_reloaded(page)
    page.get_by_label("Payload").fill("{}")
    page.locator("#own-publish").click()
    expect(page.locator("#own-error")).to_have_count(0)
    expect(page.locator("table.events tbody tr")).to_have_count(1)


def test_hostile_payloads_run_no_script(page: Page, sandbox: Sandbox) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(f"http://127.0.0.1:9/{HOSTILE}", header=f"X-Mark: {HOSTILE}")
    open_live(page, f"{sandbox.base_url}/?reveal=1&event={HOSTILE}")
    script = "</pre></script><script>window.ran = 1</script>"
    quotes = "\" onmouseover='window.ran = 1' x=\"</textarea>"
    sandbox.publish(EVENT, {HOSTILE: HOSTILE, "script": script, "quotes": quotes})
    expect(page.locator("#totals")).to_contain_text("2 events")
    for attempt in sandbox.attempts:
        page.goto(f"{sandbox.base_url}/inspector/events/{attempt.event_id}?reveal=1")
        expect(page.locator("pre.body")).to_contain_text("</pre></script>")
        expect(page.locator("pre.body *:not(span)")).to_have_count(0)
        assert page.locator("img").count() == 0
        page.locator("pre.body").hover()
        assert page.evaluate("window.ran") is None


def test_the_content_security_policy_blocks_scripts(browser: Browser, sandbox: Sandbox) -> None:
    # The violations that the browser logs are expected.
    with open_page(browser, allowed="Content Security Policy|404") as page:
        page.goto(sandbox.base_url)
        blocked = page.evaluate(
            """() => new Promise((resolve) => {
              document.addEventListener("securitypolicyviolation", (event) =>
                resolve(event.effectiveDirective));
              const markup = "<img src='/nothing' onerror='window.ran = 1'>";
              document.body.insertAdjacentHTML("beforeend", markup);
              const script = document.createElement("script");
              script.textContent = "window.ran = 1";
              document.body.append(script);
            })"""
        )
        assert blocked.startswith("script-src")
        assert page.evaluate("window.ran") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_every_page_fits_the_viewport_and_is_accessible(
    browser: Browser, demo_sandbox: Sandbox, size: dict[str, int], scheme: str
) -> None:
    failed = demo_sandbox.attempts_page(state="failed", limit=1).attempts[0]
    paths = (
        "/",
        "/?reveal=1&state=failed&event=quote_request",
        "/?since=0&until=1",
        f"/?tenant={demo_sandbox.tenants[1].tenant_id}",
        f"/inspector/events/{failed.event_id}",
        "/inspector/nothing",
    )
    with open_page(browser, allowed="404", viewport=size, color_scheme=scheme) as page:
        for path in paths:
            page.goto(demo_sandbox.base_url + path)
            page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true })")
            overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(overflow) == 0, path
            assert structure_problems(page) == [], path
            assert unnamed_controls(page) == [], path
            assert contrast_problems(page) == [], path
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        is_dark = max(map(int, re.findall(r"\d+", background))) < 64
        assert is_dark == (scheme == "dark")


@pytest.mark.parametrize(("preference", "animations"), [("reduce", 0), ("no-preference", 1)])
def test_animations_respect_the_motion_preference(
    browser: Browser, sandbox: Sandbox, preference: str, animations: int
) -> None:
    sandbox.publish(EVENT, {})
    with open_page(browser, reduced_motion=preference) as page:
        open_live(page, sandbox.base_url)
        page.evaluate("""
          window.animations = 0;
          document.addEventListener("animationstart", () => { window.animations += 1; });
        """)
        sandbox.publish(EVENT, {})
        expect(page.locator("table.events tbody tr")).to_have_count(2)
        # An animation has started by the second frame.
        page.evaluate("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
        assert page.evaluate("window.animations") == animations


def test_the_page_works_with_ten_thousand_attempts(
    page: Page, tmp_path: Path, subscriber: Subscriber
) -> None:
    (tmp_path / "state.sqlite").write_bytes(long_history())
    with Sandbox(database=tmp_path / "state.sqlite") as sandbox:
        assert sandbox.attempts_page(limit=1).attempts[0].position > 10_000
        with SandboxClient(sandbox) as client:
            row = client.subscribe(subscriber.url, events=["carrier"])
            open_live(page, sandbox.base_url)
            rows = page.locator("table.events tbody tr")
            expect(rows).to_have_count(50)
            expect(page.locator("#totals")).to_contain_text(re.compile(r"\d,\d{3} events"))
            sandbox.publish("carrier", {})
            expect(rows.first).to_contain_text("carrier")
            expect(rows).to_have_count(50)
            page.get_by_role("link", name="Older").click()
            expect(rows).to_have_count(50)
            expect(page.get_by_role("link", name="Newest")).to_be_visible()
            page.get_by_label("Subscription", exact=True).select_option(row["id"])
            page.get_by_role("button", name="Filter").click()
            expect(rows).to_have_count(1)
            client.delete(f"/hooks/{row['id']}").raise_for_status()


def test_the_page_shows_a_lost_connection(browser: Browser) -> None:
    with (
        open_page(browser, allowed="ERR_|Failed to load") as page,
        Sandbox() as sandbox,
    ):
        open_live(page, sandbox.base_url)
        sandbox.close()
        expect(page.locator("#live")).to_have_text("Not connected")
        page.get_by_role("button", name="carrier").click()
        expect(page.locator("#notice")).to_contain_text("The sandbox did not respond")


def test_copy_button(browser: Browser, sandbox: Sandbox) -> None:
    with open_page(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.goto(sandbox.base_url)
        page.get_by_role("button", name="Copy Token URL").click()
        expect(page.locator("#announcer")).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == sandbox.token_url


def test_a_timeline_bucket_links_to_its_events(page: Page, demo_sandbox: Sandbox) -> None:
    page.goto(demo_sandbox.base_url)
    page.locator("#timeline-table summary").click()
    row = page.locator("#timeline-table tbody tr").last
    attempts = sum(int(text) for text in row.locator("td.number").all_inner_texts())
    row.get_by_role("link").click()
    expect(page.locator("#events")).to_contain_text("Attempts from")
    rows = page.locator("table.events tbody tr").count()
    assert 0 < rows <= attempts


def test_switching_tenants(page: Page, demo_sandbox: Sandbox) -> None:
    other = demo_sandbox.tenants[1]
    open_live(page, demo_sandbox.base_url)
    page.get_by_label("Tenant", exact=True).select_option(str(other.tenant_id))
    page.get_by_role("button", name="Switch").click()
    expect(page.locator("#fact-client_id")).to_have_text(other.client_id)
    expect(page.locator("#subscriptions")).to_contain_text("No subscriptions yet.")
    expect(page.locator("#fact-base_url")).to_have_text(other.base_url)
