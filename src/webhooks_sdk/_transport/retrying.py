"""The tenacity arguments that retry a `Call`. Imported only after a first failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, cast

from tenacity import RetryCallState, retry_if_exception, wait_random_exponential

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhooks_sdk._core.call import Call
    from webhooks_sdk.errors import APIError


class RetryingArguments(TypedDict):
    """Arguments of `tenacity.Retrying` and `tenacity.AsyncRetrying`."""

    retry: retry_if_exception
    wait: Callable[[RetryCallState], float]
    stop: Callable[[RetryCallState], bool]
    before_sleep: Callable[[RetryCallState], None]
    reraise: bool


def retrying_arguments(call: Call[Any]) -> RetryingArguments:
    """Return the tenacity arguments for one call. They must not be shared between calls."""
    policy = call.policy
    # Full jitter: between 0 and a bound that doubles.
    backoff = wait_random_exponential(policy.initial_backoff, policy.max_backoff)

    def wait(state: RetryCallState) -> float:
        return max(backoff(state), _failure(state).retry_after or 0.0)

    def stop(state: RetryCallState) -> bool:
        return not call.should_retry(
            _failure(state), state.attempt_number, wait=state.upcoming_sleep
        )

    def before_sleep(state: RetryCallState) -> None:
        call.notify_retry(_failure(state), wait=state.upcoming_sleep)

    return {
        "retry": retry_if_exception(call.can_retry),
        "wait": wait,
        "stop": stop,
        "before_sleep": before_sleep,
        "reraise": True,
    }


def _failure(state: RetryCallState) -> APIError:
    # `can_retry` accepts only an APIError.
    assert state.outcome is not None
    return cast("APIError", state.outcome.exception())
