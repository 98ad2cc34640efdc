"""The Celery app of the coordinator and the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import Celery

if TYPE_CHECKING:
    from celery_replay.settings import Settings

TASK = "celery_replay.redeliver"


def make_app(settings: Settings) -> Celery:
    """Return an app that accepts JSON only, and never runs a task twice by itself.

    Args:
        settings: The broker and the name of the queue.
    """
    app = Celery("celery_replay", broker=settings.redis_url)
    app.conf.update(
        # Unpickling runs code chosen by the sender, so pickles are not accepted.
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        # Replies are sent through task_store.py, so there is no result backend.
        task_ignore_result=True,
        task_default_queue=settings.queue,
        # Acknowledge a task before it runs, and do not requeue it when its worker dies: the request
        # may have been sent, and the coordinator decides whether to send it again.
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        # Prefetch nothing: tasks held by a worker are lost when it dies.
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        # Kills a process that hangs. Calls end before that, by the client's deadline.
        task_time_limit=settings.reply_seconds,
        task_publish_retry_policy={"max_retries": 3, "interval_max": 1.0},
        broker_connection_retry_on_startup=True,
        broker_transport_options={"socket_connect_timeout": 5.0, "socket_timeout": 30.0},
    )
    return app
