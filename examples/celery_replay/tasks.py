"""What a worker does: `celery -A celery_replay.tasks worker`.

It builds its client from its own environment variables. A message names an event and the base URL,
and nothing else.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from celery.signals import task_failure, worker_init, worker_process_shutdown, worker_shutdown

from celery_replay.app import TASK, make_app
from celery_replay.exchange import Exchange
from celery_replay.replies import write_reply
from celery_replay.settings import Settings
from webhooks_sdk import Client, RetryPolicy, WebhookEvent
from webhooks_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from celery import Task

_SETTINGS = Settings.from_variables(os.environ)
app = make_app(_SETTINGS)
_exchange = Exchange(_SETTINGS)


@cache
def client() -> Client:
    """Return the client of this worker; a forked process has connections and a token of its own."""
    return Client.from_env(retry=RetryPolicy.none())


@app.task(name=TASK, bind=True)
def redeliver(task: Task, hook_id: str, request_id: str, base_url: str) -> None:
    """Redeliver one event, and tell the coordinator what came of it.

    Nothing is sent, nor told, if the permit is gone: the task was withdrawn, or its message came
    twice.

    Args:
        task: The task itself.
        hook_id: The subscription.
        request_id: The event.
        base_url: The environment that the coordinator means.
    """
    task_id = task.request.id
    if not _exchange.take(task_id):
        return
    answer: WebhookEvent | Exception
    try:
        _check_environment(base_url)
        answer = client().hooks.redeliver(hook_id, request_id)
    except Exception as error:  # noqa: BLE001 - the coordinator says what it means
        answer = error
    _exchange.reply(task_id, write_reply(answer))


def _check_environment(base_url: str) -> None:
    if client().base_url != base_url:
        raise ConfigurationError(
            f"The worker sends to {client().base_url}, the coordinator means {base_url}: give both"
            " the same environment."
        )


@worker_init.connect
def check_settings(**_: object) -> None:
    """Build the client before any process is forked, so that a worker without settings ends."""
    try:
        client()
    except ConfigurationError as error:
        raise SystemExit(str(error)) from error


@task_failure.connect
def tell_of_failure(task_id: str, exception: Exception, **_: object) -> None:
    """Tell the coordinator at once of a process that died; called in the worker's main process."""
    _exchange.reply(task_id, write_reply(exception))


@worker_process_shutdown.connect
@worker_shutdown.connect
def close(**_: object) -> None:
    """Close the connections of this process."""
    client().close()
    _exchange.close()
