"""Rendering of the pages as HTML."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve
from jinja2 import Environment, PackageLoader, StrictUndefined

from webhooks_sdk._wire.redaction import MASK
from webhooks_sdk.sandbox._clock import from_microseconds
from webhooks_sdk.sandbox._samples import SAMPLES
from webhooks_sdk.sandbox._service.routes import PREFIXES, TOKEN_PATH
from webhooks_sdk.sandbox.inspector import _formatting as formatting
from webhooks_sdk.sandbox.inspector._actions import NEXT_RETRY
from webhooks_sdk.sandbox.inspector._chart import (
    BAR_SPACING,
    CHART_HEIGHT,
    choose_buckets,
    lay_out_chart,
)
from webhooks_sdk.sandbox.inspector._filters import RANGES
from webhooks_sdk.sandbox.inspector._forms import UNITS
from webhooks_sdk.sandbox.inspector._payload import build_body_view, printable
from webhooks_sdk.sandbox.inspector._queries import PAGE_SIZE, Queries
from webhooks_sdk.sandbox.inspector._response_view import build_response_view
from webhooks_sdk.sandbox.inspector._signature import check_signature
from webhooks_sdk.sandbox.inspector._subscriptions import build_subscription_views

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
        form_token: The token in every form, which proves that it comes from these pages.
        run_id: Identifies this run of the sandbox.
    """

    def __init__(self, runtime: Runtime, *, form_token: str, run_id: str) -> None:
        self._runtime = runtime
        self._run_id = run_id
        self._templates = Environment(
            loader=PackageLoader("webhooks_sdk.sandbox.inspector"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._shared = {
            "form_token": form_token,
            "formatting": formatting,
            "moment": from_microseconds,
        }
        self._templates.filters["printable"] = printable

    def render_list(
        self,
        service: Service,
        filters: Filters,
        *,
        notice: Notice | None,
        form: Mapping[str, str] | None,
        error: FormError | None,
    ) -> str:
        """Return the page of a tenant: its subscriptions, its timeline and its events.

        Args:
            service: The tenant.
            filters: The filters of the page.
            notice: The notice about the preceding action, if any.
            form: The fields of a form that was rejected, if any.
            error: Why the form was rejected.
        """
        queries = Queries(self._runtime.database, service.account)
        page = queries.events(filters)
        buckets = choose_buckets(
            service.timeline.now(), queries.first_attempt(filters.hook), filters.range
        )
        counts = queries.bucket_counts(buckets, filters.hook)
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
            subscriptions=build_subscription_views(subscriptions, queries, reveal=filters.reveal),
            subscription_count=len(subscriptions),
            active_count=sum(subscription.active for subscription in subscriptions),
            subscription_ids={subscription.id for subscription in subscriptions},
            event_names=queries.event_names(),
            chart=lay_out_chart(buckets, counts),
            chart_height=CHART_HEIGHT,
            bar_spacing=BAR_SPACING,
            buckets=buckets,
            samples=SAMPLES,
            units=UNITS,
            ranges=RANGES,
            next_retry_step=NEXT_RETRY,
            next_retry_due=_due_text(service, queries.next_retry_due()),
            connection=self._connection(service, reveal=filters.reveal),
        )

    def render_event(
        self, service: Service, event_id: UUID, filters: Filters, notice: Notice | None
    ) -> str:
        """Return the page of an event: its body and its attempts.

        Args:
            service: The tenant that the event belongs to.
            event_id: The ID of the event.
            filters: The filters of the list, for the link back; `before` pages the attempts.
            notice: The notice about the preceding action, if any.
        """
        queries = Queries(self._runtime.database, service.account)
        event = queries.event(event_id)
        # The caller has just looked it up.
        assert event is not None
        attempts = queries.attempts(event.number, filters.before)
        shown = attempts[:PAGE_SIZE]
        subscription = next(
            (
                subscription
                for subscription in service.list_subscriptions()
                if subscription.id == event.latest.hook_id
            ),
            None,
        )
        body = service.event_body(event_id) or b""
        return self._render(
            "event.html",
            service,
            filters,
            notice=notice,
            event=event,
            subscription=subscription,
            attempts=[
                (
                    attempt,
                    check_signature(attempt, subscription, body),
                    build_response_view(attempt, subscription, reveal=filters.reveal),
                )
                for attempt in shown
            ],
            next_before=shown[-1].position if len(attempts) > PAGE_SIZE else None,
            body=build_body_view(body),
        )

    def render_error(self, status: HTTPStatus, message: str) -> str:
        """Return an error page.

        Args:
            status: The HTTP status.
            message: What went wrong, and what to do.
        """
        return self._templates.get_template("error.html").render(
            self._shared, status=status, message=message, version="", live_url=""
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
            is_manual=not service.timeline.is_running,
            due_text=partial(_due_text, service),
            version=f"{self._run_id}-{service.changes.version}",
            live_url=filters.select("tenant").link("/inspector/live"),
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


def _due_text(service: Service, due: int | None) -> str | None:
    """Return when a retry is due, such as `in 15 s`; None if `due` is None.

    With a manual clock that is an interval, otherwise a time of day.

    Args:
        service: The tenant.
        due: The schedule time at which the retry is due, in microseconds.
    """
    if due is None:
        return None
    wait = max(timedelta(0), timedelta(microseconds=due - service.timeline.schedule_time))
    if service.timeline.is_running:
        now = service.now
        return f"at {formatting.short_time(now + wait, now)}"
    return f"in {formatting.interval(wait)}"
