"""Iterate over chained and grouped exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def follow_chain(
    error: BaseException, get_next: Callable[[BaseException], BaseException | None]
) -> Iterator[BaseException]:
    """Yield an exception and those chained to it, each once, even if the chain is circular.

    Args:
        error: The exception to start from.
        get_next: Returns the next exception, or None at the end of the chain.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = get_next(link)


def exceptions_in_traceback(error: BaseException) -> Iterator[BaseException]:
    """Yield every exception that a printed traceback of this one can show, groups included."""
    for link in follow_chain(error, lambda link: link.__cause__ or link.__context__):
        yield link
        if isinstance(link, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", link)
            for member in group.exceptions:
                yield from exceptions_in_traceback(member)
