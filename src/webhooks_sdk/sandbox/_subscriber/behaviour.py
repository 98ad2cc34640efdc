"""The scheduled behaviour of a subscriber. No I/O."""

from __future__ import annotations

from attrs import Factory, define, frozen

from webhooks_sdk._core.validation import check_count, check_seconds

_SUCCESSES = range(200, 300)


@frozen
class Behaviour:
    """How a subscriber handles a request.

    Attributes:
        status: The HTTP status of the response.
        hangs: Whether no response is sent, regardless of the status.
    """

    status: int
    hangs: bool = False


@define
class BehaviourSchedule:
    """The behaviour for each request, current and future.

    Attributes:
        changes: The changes of behaviour that still matter, in order: the number of the first
            request that a behaviour applies to, and the behaviour.
        received: Number of requests received so far.
    """

    changes: list[tuple[int, Behaviour]] = Factory(list[tuple[int, Behaviour]])
    received: int = 0

    def set(self, behaviour: Behaviour, *, at: int) -> None:
        """Set the behaviour for a request and all later ones, replacing earlier settings.

        Args:
            behaviour: The behaviour.
            at: Which request, counted from the next one, which is 1.

        Raises:
            ValueError: `at` is not an integer from 1 to 1,000,000.
        """
        first = self._number(at)
        self.changes = [change for change in self.changes if change[0] < first]
        self.changes.append((first, behaviour))

    def get(self, *, at: int = 1) -> Behaviour:
        """Return the behaviour that is set for a request.

        Args:
            at: Which request, counted from the next one, which is 1.

        Raises:
            ValueError: `at` is not an integer from 1 to 1,000,000.
        """
        number = self._number(at)
        return next(behaviour for first, behaviour in reversed(self.changes) if first <= number)

    def next_request(self) -> Behaviour:
        """Count a request, and return the behaviour for it."""
        behaviour = self.get()
        self.received += 1
        # Drop the changes before the current one.
        while len(self.changes) > 1 and self.changes[1][0] <= self.received:
            del self.changes[0]
        return behaviour

    def _number(self, at: int) -> int:
        check_count("at", at, error_class=ValueError)
        return self.received + at


def is_success(status: int) -> bool:
    """Return whether the service counts a status as success."""
    return status in _SUCCESSES


def check_status(status: int) -> int:
    """Return the status of a final response.

    Raises:
        ValueError: The status is not an integer from 200 to 599.
    """
    check_count("status", status, minimum=200, maximum=599, error_class=ValueError)
    return status


def check_failure_status(status: int) -> int:
    """Return a status that the service counts as failure.

    Raises:
        ValueError: The status is a success, or not an integer from 200 to 599.
    """
    if is_success(check_status(status)):
        raise ValueError(f"status must be a failure from 300 to 599, but {status} is a success.")
    return status


def check_delay(delay: float) -> float:
    """Return a delay in seconds.

    Raises:
        ValueError: The delay is not a number from 0 to 1,000,000.
    """
    check_seconds("delay", delay, allow_zero=True, error_class=ValueError)
    return delay
