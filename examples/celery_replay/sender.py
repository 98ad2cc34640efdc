"""The coordinator's `send`: one event redelivered by some worker."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from kombu.exceptions import OperationalError
from redis import RedisError

from celery_replay.app import TASK
from celery_replay.replies import read_reply
from webhooks_sdk.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
)

if TYPE_CHECKING:
    from celery import Celery

    from celery_replay.exchange import Exchange
    from celery_replay.settings import Settings
    from webhooks_sdk import WebhookEvent
    from webhooks_sdk.replay import Target


class WorkerSender:
    """Redelivers by means of the workers: the `send` of a `Replay`, called in several threads.

    Args:
        app: The Celery app.
        exchange: The permits and the replies.
        settings: How long to wait.
        base_url: The environment, which has to be that of the workers.
    """

    def __init__(
        self, app: Celery, exchange: Exchange, settings: Settings, *, base_url: str
    ) -> None:
        self._app = app
        self._exchange = exchange
        self._settings = settings
        self._base_url = base_url

    def __call__(self, target: Target) -> WebhookEvent:
        """Redeliver one event, once at the most. It ends, whatever becomes of the worker.

        Args:
            target: The event.

        Returns:
            The attempt, as the service answered the worker.

        Raises:
            APIError: As the worker's client raised it; or, as `APIConnectionError`, that no worker
                took the task, which was withdrawn; or that nobody knows what came of it
                (`outcome_unknown`).
            ConfigurationError: Redis cannot be reached, or the worker is not set up for this
                environment; nothing was sent.
        """
        task_id = str(uuid4())
        try:
            self._exchange.grant(task_id)
        except RedisError as error:
            # It stops the run, and counts as no attempt.
            raise ConfigurationError(
                f"Redis cannot be reached, nothing was sent: {error}"
            ) from error
        try:
            self._publish(task_id, target)
            reply = self._exchange.wait(task_id, self._settings.queue_seconds)
            if reply is None and self._exchange.take(task_id):
                raise self._withdrawn(target)
            if reply is None:
                reply = self._exchange.wait(task_id, self._settings.answer_seconds)
        except (RedisError, OperationalError) as error:
            raise _unknown(target, f"Redis was lost: {error}") from error
        if reply is None:
            raise _unknown(
                target,
                "A worker took the task, and did not reply within"
                f" {self._settings.answer_seconds:g} s: it may have died.",
            )
        return read_reply(reply, target)

    def _publish(self, task_id: str, target: Target) -> None:
        try:
            self._app.send_task(
                TASK,
                (str(target.hook_id), str(target.request_id), self._base_url),
                task_id=task_id,
                queue=self._settings.queue,
                ignore_result=True,
            )
        except OperationalError as error:
            # The message may be in the queue nevertheless, but without its permit it is nothing.
            if not self._exchange.take(task_id):
                return
            raise _unsent(target, f"The task could not be queued: {error}") from error

    def _withdrawn(self, target: Target) -> APIConnectionError:
        return _unsent(
            target,
            f"No worker took the task within {self._settings.queue_seconds:g} s, and it was"
            f" withdrawn: start more workers on the queue {self._settings.queue!r}, or ask for less"
            " concurrency.",
        )


def _unsent(target: Target, message: str) -> APIConnectionError:
    return APIConnectionError(
        message, operation="redeliver", hook_id=target.hook_id, request_id=target.request_id
    )


def _unknown(target: Target, message: str) -> APITimeoutError:
    return APITimeoutError(
        message,
        operation="redeliver",
        hook_id=target.hook_id,
        request_id=target.request_id,
        attempts=1,
        outcome_unknown=True,
    )
