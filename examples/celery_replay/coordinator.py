"""The coordinator of a replay: `python -m celery_replay.coordinator --help`.

It alone has the journal, the pace and the breaker. The workers only call.
"""

from __future__ import annotations

import argparse
import csv
import os
import signal
import sys
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from celery_replay.app import make_app
from celery_replay.exchange import Exchange
from celery_replay.sender import WorkerSender
from celery_replay.settings import Settings
from webhooks_sdk import Client
from webhooks_sdk.errors import ReplayStoppedError, WebhooksError
from webhooks_sdk.replay import Progress, Recovery, Replay, ReplayOptions, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

    from webhooks_sdk.replay import TargetLike

ALL_WELL, PROBLEMS, NOT_BEGUN = 0, 1, 2
_PROBLEMS = ("rejected", "failed", "unknown")


def main(arguments: list[str] | None = None) -> int:
    """Carry a replay out.

    Args:
        arguments: Those of the command line; None for the process's own.

    Returns:
        The exit status: 0 if every event was delivered or accepted, 1 if some were not or the run
        was stopped, 2 if it could not begin.
    """
    asked = _parser().parse_args(arguments)
    try:
        return _carry_out(asked)
    except ReplayStoppedError as error:
        print(error, file=sys.stderr)
        return PROBLEMS
    except (WebhooksError, OSError) as error:
        print(error, file=sys.stderr)
        return NOT_BEGUN


def _carry_out(asked: argparse.Namespace) -> int:
    settings = Settings.from_variables(os.environ)
    with ExitStack() as stack:
        client = stack.enter_context(Client.from_env())
        app = stack.enter_context(closing(make_app(settings)))
        exchange = stack.enter_context(closing(Exchange(settings)))
        replay = Replay(
            WorkerSender(app, exchange, settings, base_url=client.base_url),
            _targets(asked, stack),
            base_url=client.base_url,
            list_events=client.hooks.list_events,
            options=_options(asked),
            recovery=_recovery(asked),
        )
        with replay:
            _stop_on_signals(replay)
            report = replay.run()
    print(report)
    return _status(report, asked.journal)


def _status(report: Report, journal: str) -> int:
    for outcome in report.problems:
        print(outcome.request_id, outcome.status, outcome.error or "", file=sys.stderr)
    if report.finished and not any(report.counts[status] for status in _PROBLEMS):
        return ALL_WELL
    print(
        f"To go on, do the same again: {journal} says what is left. What is unknown is looked up,"
        " and sent again only with --resend-unknown.",
        file=sys.stderr,
    )
    return PROBLEMS


def _targets(asked: argparse.Namespace, stack: ExitStack) -> Iterable[TargetLike]:
    if asked.command == "recover":
        return ()
    if asked.file == "-":
        return _pairs(sys.stdin)
    return _pairs(stack.enter_context(open(asked.file, encoding="utf-8", newline="")))  # noqa: PTH123 - for "-"


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for row in csv.reader(lines):
        if row:
            yield row[0].strip(), ",".join(row[1:]).strip()


def _options(asked: argparse.Namespace) -> ReplayOptions:
    return ReplayOptions(
        journal=asked.journal,
        concurrency=asked.concurrency,
        rate=asked.rate,
        max_attempts=asked.max_attempts,
        resend_unknown=asked.resend_unknown,
        on_progress=_show,
    )


def _recovery(asked: argparse.Namespace) -> Recovery | None:
    if asked.command != "recover":
        return None
    return Recovery(hook_id=asked.hook_id, since=asked.since, until=asked.until)


def _show(progress: Progress) -> None:
    total = "?" if progress.total is None else progress.total
    print(f"{progress.done} of {total}, {progress.rate:.1f} a second", file=sys.stderr)


def _stop_on_signals(replay: Replay) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        # A second signal does not wait for what is under way.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        replay.stop()
        # Not with print, in the midst of which the signal may have come.
        os.write(2, b"stopping, as soon as what is under way has ended\n")

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--journal", required=True, help="the file that the run is resumed from")
    common.add_argument(
        "--concurrency", type=int, default=16, help="no more than the workers have processes"
    )
    common.add_argument("--rate", type=float, help="requests a second at most")
    common.add_argument("--max-attempts", type=int, default=3, help="for one event, in all runs")
    common.add_argument(
        "--resend-unknown",
        action="store_true",
        help="on resuming, send again what may have been delivered",
    )
    parser = argparse.ArgumentParser(
        prog="python -m celery_replay.coordinator",
        description="Redeliver many events by means of Celery workers.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    recover = commands.add_parser(
        "recover", parents=[common], help="the undelivered events of a window"
    )
    recover.add_argument("hook_id", type=UUID, help="the subscription")
    recover.add_argument(
        "--since", type=_moment, required=True, help="when the window begins (ISO 8601, else UTC)"
    )
    recover.add_argument("--until", type=_moment, help="when it ends, now if it is not given")
    redeliver = commands.add_parser("redeliver", parents=[common], help="the events of a file")
    redeliver.add_argument("file", help="lines of hook_id,request_id; - for standard input")
    return parser


if __name__ == "__main__":
    sys.exit(main())
