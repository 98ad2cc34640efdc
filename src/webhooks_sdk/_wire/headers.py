"""A read-only, case-insensitive mapping of HTTP headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias, cast

_Pair: TypeAlias = tuple[str | bytes, str | bytes]


class Headers(Mapping[str, str]):
    """HTTP response headers: read-only, case-insensitive, hashable and picklable.

    The values of a repeated header are joined with `", "` (RFC 9110, section 5.3). Iteration
    yields lower-case names in the order received.

    Args:
        headers: A mapping of names to values, or pairs of a name and a value. Bytes are decoded as
            Latin-1.

    Raises:
        TypeError: `headers` is something else.
    """

    __slots__ = ("_by_name", "_pairs")

    def __init__(
        self, headers: Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]] = ()
    ) -> None:
        self._pairs: tuple[_Pair, ...] = _to_pairs(headers)
        self._by_name: dict[str, str] | None = None

    @classmethod
    def _from_raw(cls, pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
        headers = cls.__new__(cls)
        headers._pairs, headers._by_name = tuple(pairs), None  # noqa: SLF001
        return headers

    @property
    def _values(self) -> dict[str, str]:
        # Built on first access: the headers of a successful response are rarely read.
        if self._by_name is None:
            values: dict[str, str] = {}
            for name, value in self._pairs:
                key, text = _decode(name).lower(), _decode(value)
                values[key] = f"{values[key]}, {text}" if key in values else text
            self._by_name = values
        return self._by_name

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __reduce__(self) -> tuple[type[Headers], tuple[tuple[tuple[str, str], ...]]]:
        return type(self), (tuple(self.items()),)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"


def headers_from_raw(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers of a response that httpx has parsed, without checking each pair."""
    return Headers._from_raw(pairs)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - not part of the public class


def _to_pairs(headers: object) -> tuple[_Pair, ...]:
    if isinstance(headers, Mapping):
        return tuple(map(_to_pair, cast("Mapping[object, object]", headers).items()))
    # A string is iterable too.
    if isinstance(headers, Iterable) and not isinstance(headers, str | bytes):
        return tuple(map(_to_pair, cast("Iterable[object]", headers)))
    raise _type_error(headers)


def _to_pair(item: object) -> _Pair:
    match item:
        case (str() | bytes() as name, str() | bytes() as value):
            return name, value
        case _:
            raise _type_error(item)


def _type_error(found: object) -> TypeError:
    # The value is not quoted: it may be a credential.
    described = type(found).__name__
    if isinstance(found, tuple | list):
        types = [type(part).__name__ for part in cast("tuple[object, ...] | list[object]", found)]
        described += f" of {', '.join(types[:3]) or 'nothing'}"
    return TypeError(
        "Headers must be a mapping of names to values, or pairs of a name and a value, each str or"
        f" bytes, got {described}."
    )


def _decode(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
