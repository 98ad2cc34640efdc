"""The Celery app, the same for the coordinator and the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import Celery

if TYPE_CHECKING:
    from celery_replay.settings import Settings

TASK = "celery_replay.redeliver"


def make_app(settings: Settings) -> Celery:
    """Return an app that speaks JSON alone, and never carries a task out a second time by itself.

    Args:
        settings: Where the broker is, and the name of the queue.
    """
    app = Celery("celery_replay", broker=settings.redis_url)
    app.conf.update(
        # A pickle runs what its sender likes: neither side reads one.
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        # Replies take another way (see exchange.py), so there is no result backend.
        task_ignore_result=True,
        task_default_queue=settings.queue,
        # Acknowledged before it is carried out, and not put back when its worker dies: it may have
        # been sent, and whether to send again is for the coordinator to say.
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        # A worker holds what it works on and no more: what it holds is lost with it.
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        # The client's own deadline ends a call before that; this ends a process that hangs.
        task_time_limit=settings.answer_seconds,
        task_publish_retry_policy={"max_retries": 3, "interval_max": 1.0},
        broker_connection_retry_on_startup=True,
        broker_transport_options={"socket_connect_timeout": 5.0, "socket_timeout": 30.0},
    )
    return app
