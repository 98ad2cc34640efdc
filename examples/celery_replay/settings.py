"""What the coordinator and the workers have to agree on, from environment variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Self

from webhooks_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the coordinator and the workers reach each other. All times are in seconds.

    Attributes:
        redis_url: The Redis that is the broker, and has the permits and the replies.
        queue: The queue of the tasks, and the prefix of every other key.
        queue_seconds: How long a task may wait for a worker before it is withdrawn.
        answer_seconds: How long a worker may take for a task before its end is unknown. It should
            be longer than the client's own deadline, which is 120.
    """

    redis_url: str = field(repr=False)  # it may hold a password
    queue: str = "redeliver"
    queue_seconds: float = 60.0
    answer_seconds: float = 180.0

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> Self:
        """Read `REPLAY_REDIS_URL`, `REPLAY_QUEUE`, `REPLAY_QUEUE_SECONDS`, `REPLAY_ANSWER_SECONDS`.

        Args:
            variables: Such as `os.environ`. Only the first one has no default; an empty one counts
                as unset.

        Raises:
            ConfigurationError: One is missing, or no number.
        """
        url = variables.get("REPLAY_REDIS_URL")
        if not url:
            raise ConfigurationError(
                "Set REPLAY_REDIS_URL to the Redis that the coordinator and the workers share,"
                " such as redis://127.0.0.1:6379/0."
            )
        return cls(
            redis_url=url,
            queue=variables.get("REPLAY_QUEUE") or cls.queue,
            queue_seconds=_seconds(variables, "REPLAY_QUEUE_SECONDS", cls.queue_seconds),
            answer_seconds=_seconds(variables, "REPLAY_ANSWER_SECONDS", cls.answer_seconds),
        )


def _seconds(variables: Mapping[str, str], name: str, default: float) -> float:
    text = variables.get(name)
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < inf:
        raise ConfigurationError(f"{name} must be a number of seconds above 0, not {text!r}.")
    return seconds
