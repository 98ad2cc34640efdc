"""The pages as HTML."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve
from jinja2 import Environment, PackageLoader, StrictUndefined

from webhooks_sdk._wire.redaction import MASK
from webhooks_sdk.sandbox._clock import from_microseconds
from webhooks_sdk.sandbox._service.routes import PREFIXES, TOKEN_PATH
from webhooks_sdk.sandbox.inspector import _chart as chart
from webhooks_sdk.sandbox.inspector import _words as words
from webhooks_sdk.sandbox.inspector._actions import NEXT_RETRY
from webhooks_sdk.sandbox.inspector._filters import RANGES
from webhooks_sdk.sandbox.inspector._forms import UNITS
from webhooks_sdk.sandbox.inspector._payload import SHOWN_BYTES, show, visible
from webhooks_sdk.sandbox.inspector._queries import PAGE, Queries
from webhooks_sdk.sandbox.inspector._samples import SAMPLES
from webhooks_sdk.sandbox.inspector._signature import check_signature
from webhooks_sdk.sandbox.inspector._subscriptions import describe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http import HTTPStatus
    from uuid import UUID

    from webhooks_sdk.sandbox._runtime import Runtime
    from webhooks_sdk.sandbox._service.service import Service
    from webhooks_sdk.sandbox.inspector._filters import Filters
    from webhooks_sdk.sandbox.inspector._forms import FormError
    from webhooks_sdk.sandbox.inspector._notices import Notice


class Pages:
    """Renders the pages.

    Args:
        runtime: The parts of the sandbox.
        token: What every form holds, to show that it is of these pages.
        run: What tells this run of the sandbox from another.
    """

    def __init__(self, runtime: Runtime, *, token: str, run: str) -> None:
        self._runtime = runtime
        self._run = run
        self._templates = Environment(
            loader=PackageLoader("webhooks_sdk.sandbox.inspector"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._shared = {"token": token, "words": words, "moment": from_microseconds}
        self._templates.filters["visible"] = visible

    def list(
        self,
        service: Service,
        filters: Filters,
        *,
        notice: Notice | None,
        form: Mapping[str, str] | None,
        error: FormError | None,
    ) -> str:
        """Return the page of a tenant: its subscriptions, its timeline, its events.

        Args:
            service: The tenant.
            filters: Which events.
            notice: What to say of the action before it.
            form: What was typed into a form that could not be taken.
            error: Why it could not.
        """
        queries = Queries(self._runtime.database, service.account)
        page = queries.events(filters)
        spans = chart.choose_spans(
            service.timeline.now(), queries.first_attempt(filters.hook), filters.range
        )
        counts = queries.counts(spans, filters.hook)
        subscriptions = service.list_subscriptions()
        return self._render(
            "list.html",
            service,
            filters,
            notice=notice,
            form=form or {},
            error=error,
            events=page.rows,
            next_before=page.next_before,
            totals=queries.totals(filters.hook),
            subscriptions=describe(subscriptions, queries, reveal=filters.reveal),
            all_subscriptions=len(subscriptions),
            active_subscriptions=sum(one.active for one in subscriptions),
            names=queries.names(),
            known={one.id for one in subscriptions},
            drawing=chart.draw(spans, counts),
            spans=spans,
            chart=chart,
            samples=SAMPLES,
            units=UNITS,
            ranges=RANGES,
            next_retry=NEXT_RETRY,
            next_due=_when(service, queries.next_due()),
            connection=self._connection(service, reveal=filters.reveal),
        )

    def event(
        self, service: Service, event_id: UUID, filters: Filters, notice: Notice | None
    ) -> str:
        """Return the page of one event: what was sent, and every attempt.

        Args:
            service: The tenant whose it is.
            event_id: The event.
            filters: What the list showed, to go back there; and which attempts.
            notice: What to say of the action before it.
        """
        queries = Queries(self._runtime.database, service.account)
        event = queries.event(event_id)
        # Who called has just found it.
        assert event is not None
        attempts = queries.attempts(event.number, filters.before)
        shown = attempts[:PAGE]
        subscription = next(
            (one for one in service.list_subscriptions() if one.id == event.latest.hook_id), None
        )
        body = service.event_body(event_id) or b""
        return self._render(
            "event.html",
            service,
            filters,
            notice=notice,
            event=event,
            subscription=subscription,
            attempts=[(one, check_signature(one, subscription, body)) for one in shown],
            next_before=shown[-1].position if len(attempts) > PAGE else None,
            body=show(body),
            shown_size=SHOWN_BYTES,
        )

    def error(self, status: HTTPStatus, message: str) -> str:
        """Return the page that says that something cannot be shown or done.

        Args:
            status: The HTTP status.
            message: Why, and what to do.
        """
        return self._templates.get_template("error.html").render(
            self._shared, status=status, message=message, version="", live=""
        )

    def _render(self, template: str, service: Service, filters: Filters, **values: object) -> str:
        now = service.now
        tenant = service.account.id
        if service is not self._runtime.tenants.first or filters.tenant is not None:
            filters = evolve(filters, tenant=tenant)
        return self._templates.get_template(template).render(
            self._shared,
            service=service,
            tenants=self._runtime.tenants.services,
            filters=filters,
            now=now,
            is_stepped=not service.timeline.is_running,
            when=partial(_when, service),
            version=f"{self._run}-{service.changes.version}",
            live=filters.only("tenant").link("/inspector/live"),
            **values,
        )

    def _connection(self, service: Service, *, reveal: bool) -> dict[str, str]:
        account = service.account
        base_url = self._runtime.root_url + PREFIXES[account.environment]
        return {
            "base_url": base_url,
            "token_url": base_url + TOKEN_PATH,
            "client_id": account.client_id,
            "client_secret": account.client_secret if reveal else MASK,
        }


def _when(service: Service, due: int | None) -> str | None:
    """Return when a retry comes, by its place on the schedule, in words.

    A clock that is stepped says how far it is to be stepped, another one the time of the day.
    """
    if due is None:
        return None
    wait = max(timedelta(0), timedelta(microseconds=due - service.timeline.schedule_time))
    if service.timeline.is_running:
        now = service.now
        return f"at {words.short_time(now + wait, now)}"
    return f"in {words.span(wait)}"
