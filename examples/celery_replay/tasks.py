"""The task of the workers: `celery -A celery_replay.tasks worker`.

Each worker creates its client from its own environment variables. A message contains the IDs of an
event and the base URL, and nothing else.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from celery.signals import task_failure, worker_init, worker_process_shutdown, worker_shutdown

from celery_replay.app import TASK, make_app
from celery_replay.replies import encode_reply
from celery_replay.settings import Settings
from celery_replay.task_store import TaskStore
from webhooks_sdk import Client, RetryPolicy, WebhookEvent
from webhooks_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from celery import Task

_SETTINGS = Settings.from_variables(os.environ)
app = make_app(_SETTINGS)
_task_store = TaskStore(_SETTINGS)


@cache
def client() -> Client:
    """Return the client of this process. Forked processes share neither connections nor tokens."""
    return Client.from_env(retry=RetryPolicy.none())


@app.task(name=TASK, bind=True)
def redeliver(task: Task, hook_id: str, request_id: str, base_url: str) -> None:
    """Redeliver one event, and send the result to the coordinator.

    Does nothing if the permit is gone: the task was withdrawn, or its message was delivered twice.

    Args:
        task: The Celery task.
        hook_id: The subscription.
        request_id: The event.
        base_url: The base URL of the coordinator's client.
    """
    task_id = task.request.id
    if not _task_store.take_permit(task_id):
        return
    result: WebhookEvent | Exception
    try:
        _check_base_url(base_url)
        result = client().hooks.redeliver(hook_id, request_id)
    except Exception as error:  # noqa: BLE001 - raised again in the coordinator
        result = error
    _task_store.send_reply(task_id, encode_reply(result))


def _check_base_url(base_url: str) -> None:
    if client().base_url != base_url:
        raise ConfigurationError(
            f"The worker uses {client().base_url}, the coordinator {base_url}: configure both for"
            " the same environment."
        )


@worker_init.connect
def check_settings(**_: object) -> None:
    """Create the client before any process is forked, so that a worker without settings exits."""
    try:
        client()
    except ConfigurationError as error:
        raise SystemExit(str(error)) from error


@task_failure.connect
def report_failure(task_id: str, exception: Exception, **_: object) -> None:
    """Report the death of a pool process. Called in the main process of the worker."""
    _task_store.send_reply(task_id, encode_reply(exception))


@worker_process_shutdown.connect
@worker_shutdown.connect
def close(**_: object) -> None:
    """Close the connections of this process."""
    client().close()
    _task_store.close()
