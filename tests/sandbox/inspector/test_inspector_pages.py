"""The inspector's pages over plain HTTP: content, forms, masking and security headers."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
from support.inspector_helpers import HOSTILE, long_history, write_history
from support.sandbox_helpers import EVENT, SandboxClient

from webhooks_sdk.sandbox import Sandbox, Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "whsec-of-the-subscription"
TOKEN = re.compile(r'name="token" value="([^"]+)"')


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(client_secret="secret-of-the-client") as sandbox:
        yield sandbox


@pytest.fixture
def browser(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.base_url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with Subscriber() as subscriber:
        yield subscriber


def page(browser: httpx.Client, path: str = "/") -> str:
    return browser.get(path).raise_for_status().text


def submit(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    found = TOKEN.search(page(browser))
    assert found is not None
    return browser.post(path, data={"token": found[1], **fields})


def text_of(markup: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def test_the_page_shows_connection_settings_and_masks_the_secret(
    sandbox: Sandbox, browser: httpx.Client
) -> None:
    shown = page(browser)
    for fact in (sandbox.base_url, sandbox.token_url, sandbox.client_id):
        assert f">{fact}</code>" in shown
    assert sandbox.client_secret not in shown
    assert sandbox.client_secret in page(browser, "/?reveal=1")


def test_secrets_and_static_headers_are_masked_unless_revealed(
    sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber
) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url, secret=SECRET, header="Authorization: Bearer of-a-user")
    (attempt,) = sandbox.publish(EVENT, {})
    for path in ("/", f"/inspector/events/{attempt.event_id}"):
        hidden = page(browser, path)
        assert SECRET not in hidden
        assert "of-a-user" not in hidden
        assert "Authorization" in hidden
        assert "of-a-user" in page(browser, f"{path}?reveal=1")
    assert SECRET in page(browser, "/?reveal=1")


def test_an_event_page_shows_requests_and_outcomes(
    sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber
) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url, secret=SECRET)
        subscriber.status = 503
        (first,) = sandbox.publish(EVENT, {"form": {"id": 7}, "tags": []})
        subscriber.stop()
        sandbox.advance(timedelta(seconds=15))
        subscriber.start()
        subscriber.status = 200
        client.redeliver(first)
    shown = text_of(page(browser, f"/inspector/events/{first.event_id}"))
    assert first.request_headers
    for name, value in first.request_headers:
        assert name in shown
        assert value in shown
    assert '{ "form" : { "id" : 7 }, "tags" : [] }' in shown
    for text in ("Redelivery", "No response", "Retry 1 of 25", "503", "First attempt"):
        assert text in shown
    assert "The subscriber returned 503" in shown
    assert shown.count("Valid The signature matches the body") == 3
    assert "retry 2 in 23 s" in shown


def test_the_body_can_be_downloaded_as_sent(
    sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber
) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
    (attempt,) = sandbox.publish(EVENT, {"text": "x" * 100_000})
    response = browser.get(f"/inspector/events/{attempt.event_id}/body")
    assert response.content == subscriber.deliveries[0].body
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment")
    shown = page(browser, f"/inspector/events/{attempt.event_id}")
    assert "Only the beginning is shown" in shown
    assert len(shown) < 100_000


def test_a_failing_subscription_is_marked(
    sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber
) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
        client.subscribe("http://127.0.0.1:9/", active=False)
        assert "No attempts" in page(browser)
        sandbox.publish(EVENT, {})
        assert "Healthy" in page(browser)
        subscriber.status = 500
        sandbox.publish(EVENT, {})
    shown = text_of(page(browser))
    assert "Of the last 2 attempts, 1 failed. Failing" in shown
    assert "Healthy" not in shown
    assert "Inactive" in shown


def test_the_number_of_subscriptions_on_a_page_is_bounded(
    sandbox: Sandbox, browser: httpx.Client
) -> None:
    with SandboxClient(sandbox) as client:
        for number in range(105):
            client.subscribe(f"http://127.0.0.1:9/{number}", active=False)
        last = client.subscribe("http://127.0.0.1:9/active")["id"]
        beyond = client.get("/hooks").json()[104]["id"]
    shown = page(browser)
    assert shown.count('<li id="subscription-') == 100
    assert f'id="subscription-{last}"' in shown
    assert "1 of 106 active" in shown
    assert "6 inactive subscriptions not shown" in shown
    assert f'value="{beyond}" selected' in page(browser, f"/?hook={beyond}")


def test_filters_are_query_parameters(
    sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber
) -> None:
    with SandboxClient(sandbox) as client, Subscriber(status=500) as broken:
        good = client.subscribe(subscriber.url, events=["application_form"])["id"]
        bad = client.subscribe(broken.url, events=["*"])["id"]
        sandbox.publish("application_form:quoted", {})
        sandbox.publish("carrier", {})
        sandbox.publish("carriers:new", {})

        def events(query: str) -> list[str]:
            found = re.findall(
                r'<td role="cell" class="event"><a[^>]*>([^<]*)<', page(browser, query)
            )
            return sorted(found)

        everything = ["application_form:quoted"] * 2 + ["carrier", "carriers:new"]
        assert events("/") == everything
        assert events("/?state=failed") == everything[1:]
        assert events("/?state=delivered") == everything[:1]
        assert events("/?state=in_flight") == []
        assert events(f"/?hook={good}") == everything[:1]
        assert events(f"/?hook={bad}&event=carrier") == ["carrier"]
        assert events("/?event=application_form") == everything[:2]
        assert events("/?event=application_form:quoted&state=failed") == everything[:1]
        assert events("/?event=%25") == []
        assert events("/?since=0&until=1") == []
        assert events("/?since=1") == everything
        assert events("/?hook=&event=&state=") == everything
        assert f' value="{bad}" selected>' in page(browser, f"/?hook={bad}")


@pytest.mark.parametrize(
    "query",
    [
        "state=gone",
        "hook=x",
        "tenant=x",
        "before=-1",
        "since=1e3",
        "before=99999999999999999999",
        "before=9223372036854775808",
        "since=999999999999999999",
        "until=999999999999999999",
        "range=year",
    ],
)
def test_an_invalid_parameter_is_named(browser: httpx.Client, query: str) -> None:
    response = browser.get(f"/?{query}")
    assert response.status_code == 400
    assert query.partition("=")[0] in text_of(response.text.partition("<main")[2])


def test_the_latest_possible_times_are_shown(browser: httpx.Client) -> None:
    last = 253_370_764_800_000_000
    assert browser.get(f"/?since=0&until={last}").status_code == 200
    assert browser.get(f"/?since={last}&before={2**63 - 1}").status_code == 200


def test_paging_covers_all_events_without_gaps(tmp_path: Path) -> None:
    write_history(tmp_path / "state.sqlite", events=120)
    with Sandbox(database=tmp_path / "state.sqlite") as sandbox:
        expected = [
            str(attempt.event_id) for attempt in reversed(sandbox.attempts) if attempt.number == 1
        ]
        found: list[str] = []
        path: str | None = "/"
        while path is not None:
            shown = httpx.get(sandbox.base_url + path, trust_env=False).text
            found += re.findall(r'class="event"><a[^>]*/events/([0-9a-f-]{36})"', shown)
            older = re.search(r'<a href="([^"#]*)#events">Older', shown)
            path = html.unescape(older[1]) if older else None
        assert found == expected
        assert len(found) > 150


def test_attempts_of_an_event_are_paged(
    sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber
) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
        (attempt,) = sandbox.publish(EVENT, {})
        for _ in range(60):
            client.redeliver(attempt)
    path = f"/inspector/events/{attempt.event_id}"
    first = page(browser, path)
    assert first.count('<details class="attempt') == 50
    older = re.search(r'<a href="([^"]*before=[^"]*)">Older', first)
    assert older is not None
    assert page(browser, html.unescape(older[1])).count('<details class="attempt') == 11


def test_the_page_size_is_bounded_with_ten_thousand_attempts(tmp_path: Path) -> None:
    sizes: list[int] = []
    short, long = tmp_path / "short.sqlite", tmp_path / "long.sqlite"
    write_history(short, events=150)
    long.write_bytes(long_history())
    for path in (short, long):
        with Sandbox(database=path) as sandbox:
            shown = httpx.get(f"{sandbox.base_url}/", trust_env=False).text
            sizes.append(len(shown))
            assert 24 < shown.count('class="hit"') <= 60
            (latest,) = sandbox.attempts_page(limit=1).attempts
    assert latest.position > 10_000
    assert sizes[1] < sizes[0] * 1.2
    assert sizes[1] < 200_000


def test_hostile_text_is_escaped_everywhere(sandbox: Sandbox, browser: httpx.Client) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(f"http://127.0.0.1:9/{HOSTILE}", header=f"X-Mark: {HOSTILE}")
        sandbox.publish(EVENT, {HOSTILE: [HOSTILE, "\u202eevil", "\x00", "\u2028"]})
    (attempt,) = sandbox.attempts
    for path in (f"/?event={HOSTILE}", "/", f"/inspector/events/{attempt.event_id}"):
        shown = page(browser, f"{path}{'&' if '?' in path else '?'}reveal=1")
        assert "<img" not in shown
        assert "<script>" not in shown
        assert "\u202e" not in shown
        assert "\x00" not in shown
    assert r"\u202eevil" in shown


def test_unknown_paths_and_methods_are_refused(sandbox: Sandbox, browser: httpx.Client) -> None:
    for path in (
        "/inspector/",
        "/inspector/nothing",
        f"/inspector/events/{uuid4()}",
        "/inspector/events/nothing",
        "/inspector/static/../_app.py",
        "/inspector/static/%2e%2e/_app.py",
        "/inspector/static/nothing.css",
        f"/?tenant={uuid4()}",
    ):
        response = browser.get(path)
        assert response.status_code == 404, path
        assert response.headers["content-type"].startswith("text/html")
        assert "Open the inspector" in response.text
    response = browser.get("/inspector")
    assert (response.status_code, response.headers["location"]) == (303, "/")
    for method, path, allowed in (
        ("PUT", "/", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("GET", "/inspector/publish", "POST"),
        ("GET", f"/inspector/events/{uuid4()}/redeliver", "POST"),
    ):
        response = browser.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert browser.head("/").status_code == 200
    # Other paths belong to the API.
    assert browser.get("/nothing").json()["error"] == "not_found"
    assert [request.path for request in sandbox.requests] == ["/nothing"]


def test_every_response_has_security_headers(browser: httpx.Client) -> None:
    for path in ("/", "/?state=gone", "/inspector/static/inspector.js", "/inspector/nothing"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
    shown = page(browser)
    assert " style=" not in shown
    assert re.search(r"<script(?! src=)|\son[a-z]+=|<style", shown) is None
    assert re.findall(r"(?:src|href)=\"(?:https?:)?//", shown) == []


def test_publish_form(sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
    response = submit(browser, "/inspector/publish", event=EVENT, payload='{"id": 1, "text": "ü"}')
    assert response.status_code == 303
    assert "Published: 1 delivered." in text_of(page(browser, response.headers["location"]))
    (delivery,) = subscriber.deliveries
    assert json.loads(delivery.body) == {"id": 1, "text": "ü"}


def test_publishing_an_event_without_subscribers_shows_a_notice(browser: httpx.Client) -> None:
    response = submit(browser, "/inspector/publish", event=EVENT, payload="{}")
    assert "no active subscription receives" in page(browser, response.headers["location"])


@pytest.mark.parametrize(
    ("event", "payload", "message"),
    [
        ("two words", "{}", "The event name must be"),
        ("application_form.quoted", "{}", "did you mean 'application_form:quoted'?"),
        ("", "{}", "The event name must be"),
        (EVENT, "{", "is not valid JSON"),
        (EVENT, "[]", "must be a JSON object"),
        (EVENT, '{"a": NaN}', "NaN"),
        (EVENT, '{"a": "\\ud800"}', "unpaired surrogate"),
        (EVENT, '{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
)
def test_an_invalid_publish_form_is_shown_again_with_the_reason(
    sandbox: Sandbox, browser: httpx.Client, event: str, payload: str, message: str
) -> None:
    response = submit(browser, "/inspector/publish", event=event, payload=payload)
    assert response.status_code == 422
    assert message in text_of(response.text)
    assert 'aria-invalid="true"' in response.text
    assert html.escape(payload, quote=False) in response.text.replace("&#34;", '"')
    assert sandbox.attempts == ()


@pytest.mark.parametrize("form", [{}, {"event": EVENT}, {"payload": "{}"}])
def test_a_publish_form_with_missing_fields_is_shown_again(
    browser: httpx.Client, form: dict[str, str]
) -> None:
    response = submit(browser, "/inspector/publish", **form)
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.text


def test_advance_form(sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber) -> None:
    subscriber.status = 500
    with SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
    sandbox.publish(EVENT, {})
    assert "Advance to the next retry (in 15 s)" in page(browser)
    response = submit(browser, "/inspector/advance", step="next_retry")
    assert "Clock advanced: 1 failed." in page(browser, response.headers["location"])
    before = sandbox.now
    response = submit(browser, "/inspector/advance", amount="1.5", unit="minutes")
    assert response.status_code == 303
    assert sandbox.now - before >= timedelta(seconds=90)
    assert len(sandbox.attempts) == 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"amount": "-1", "unit": "hours"}, "Enter a number"),
        ({"amount": "nan", "unit": "hours"}, "Enter a number"),
        ({"amount": "1", "unit": "years"}, "unit must be"),
        ({"amount": "999999999", "unit": "days"}, "at most 366 days"),
        ({"step": "next_retry"}, "No retry is pending"),
        ({}, "Enter a number"),
    ],
)
def test_an_invalid_advance_form_is_shown_again_with_the_reason(
    browser: httpx.Client, fields: dict[str, str], message: str
) -> None:
    response = submit(browser, "/inspector/advance", **fields)
    assert response.status_code == 422
    assert message in response.text


def test_a_slow_subscriber_does_not_delay_the_page(sandbox: Sandbox, browser: httpx.Client) -> None:
    with Subscriber(delay=30) as slow, SandboxClient(sandbox) as client:
        client.subscribe(slow.url)
        response = submit(browser, "/inspector/publish", event=EVENT, payload="{}")
        shown = page(browser, response.headers["location"])
        assert "has not responded yet" in shown
        assert "In flight" in shown
        sandbox.close()
    (attempt,) = sandbox.attempts
    assert "cancelled" in (attempt.error or "")


@pytest.mark.parametrize("action", ["publish", "redeliver"])
def test_advancing_waits_for_deliveries_in_flight(
    sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber, action: str
) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
    (first,) = sandbox.publish(EVENT, {})
    sandbox.response_timeout = 3  # longer than a page waits for an action
    subscriber.hang()
    if action == "publish":
        submit(browser, "/inspector/publish", event=EVENT, payload="{}")
    else:
        submit(browser, f"/inspector/events/{first.event_id}/redeliver")
    sandbox.advance(timedelta())
    assert sandbox.attempts[1].finished_at is not None


def test_a_reset_cancels_deliveries_in_flight(
    sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber
) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
    subscriber.hang()
    with ThreadPoolExecutor() as pool:
        form = pool.submit(submit, browser, "/inspector/publish", event=EVENT, payload="{}")
        subscriber.wait_for(1)
        sandbox.reset()
        assert form.result().status_code == 303
    assert sandbox.attempts == ()


def test_redelivering_returns_to_the_page_of_the_form(
    sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber
) -> None:
    with SandboxClient(sandbox) as client:
        row = client.subscribe(subscriber.url)
        (attempt,) = sandbox.publish(EVENT, {})
        path = f"/inspector/events/{attempt.event_id}"
        back = f"state=delivered&hook={row['id']}"
        response = submit(browser, f"{path}/redeliver", back=back)
        assert response.headers["location"].startswith(f"/?{back}&notice=redelivered")
        response = submit(browser, f"{path}/redeliver", page="event")
        assert response.headers["location"].startswith(f"{path}?notice=redelivered")
        assert [attempt.redelivery for attempt in sandbox.attempts] == [False, True, True]
        client.delete(f"/hooks/{row['id']}").raise_for_status()
    response = submit(browser, f"{path}/redeliver")
    assert response.status_code == 409
    assert "its subscription is deleted" in response.text
    assert "Redeliver</button>" not in page(browser, path)
    assert "(deleted)" in page(browser, path)


@pytest.mark.parametrize("token", ["", "guessed", "ü"])
def test_a_form_from_another_site_is_refused(
    sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber, token: str
) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
    form = {"token": token, "event": EVENT, "payload": "{}"}
    assert browser.post("/inspector/publish", data=form).status_code == 403
    own = {"event": EVENT, "payload": "{}", "back": ""}
    found = TOKEN.search(page(browser))
    assert found is not None
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ):
        data = own | {"token": found[1]}
        response = browser.post("/inspector/publish", data=data, headers=headers)
        assert response.status_code in {403, 421}
    assert sandbox.attempts == ()


def test_an_oversized_or_malformed_form_is_refused(browser: httpx.Client) -> None:
    response = browser.post("/inspector/publish", content=b"x" * (5 << 20))
    assert response.status_code == 413
    assert browser.post("/inspector/publish", content=b"&".join([b"a=1"] * 200)).status_code == 400
    assert submit(browser, "/inspector/publish", back="state=gone").status_code == 400


def test_each_tenant_has_its_own_pages(sandbox: Sandbox, browser: httpx.Client) -> None:
    assert 'id="tenant"' not in page(browser)
    with sandbox.add_tenant("staging", client_id="the-other") as other:
        with Subscriber() as subscriber, SandboxClient(other) as client:
            client.subscribe(subscriber.url)
            (attempt,) = other.publish(EVENT, {})
        first, second = page(browser), page(browser, f"/?tenant={other.tenant_id}")
        assert "the-other · staging" in first
        assert EVENT not in first.partition('id="events"')[2].partition("</section>")[0]
        assert other.token_url in second
        assert subscriber.url in second
        # The page of an event does not need the tenant in its URL.
        shown = page(browser, f"/inspector/events/{attempt.event_id}")
        assert f"/?tenant={other.tenant_id}" in shown
        submitted = submit(
            browser,
            "/inspector/publish",
            event="carrier",
            payload="{}",
            back=f"tenant={other.tenant_id}",
        )
        assert submitted.headers["location"].startswith(f"/?tenant={other.tenant_id}")
        assert [attempt.event for attempt in other.attempts] == [EVENT, "carrier"]
        assert sandbox.attempts == ()
    assert browser.get(f"/?tenant={other.tenant_id}").status_code == 404


def test_jinja_is_not_imported_before_a_page_is_requested() -> None:
    script = "import sys; from webhooks_sdk.sandbox import Sandbox\nwith Sandbox(): pass\n"
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", script + "print('jinja2' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_changes_are_streamed_to_the_page(
    sandbox: Sandbox, browser: httpx.Client, subscriber: Subscriber
) -> None:
    with SandboxClient(sandbox) as client:
        client.subscribe(subscriber.url)
    with browser.stream("GET", "/inspector/live") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in response.iter_lines() if line)
        now = next(lines)
        assert f'data-version="{now.removeprefix("data: ")}"' in page(browser)
        sandbox.publish(EVENT, {})
        later = next(lines)
        assert later.startswith("data: ")
        assert later != now
    assert browser.get(f"/inspector/live?tenant={uuid4()}").status_code == 404


def test_the_sandbox_closes_while_pages_are_connected() -> None:
    with (
        httpx.Client(trust_env=False) as browser,
        Sandbox() as sandbox,
        browser.stream("GET", f"{sandbox.base_url}/inspector/live") as response,
    ):
        lines = response.iter_lines()
        assert next(lines).startswith("data: ")
        sandbox.close()
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
