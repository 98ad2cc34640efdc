"""A read-only, case-insensitive mapping of HTTP headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


class Headers(Mapping[str, str]):
    """HTTP response headers: read-only, case-insensitive, hashable and picklable.

    The values of a repeated header are joined with `", "` (RFC 9110, section 5.3). Iteration
    yields lower-case names in the order received.

    Args:
        pairs: Names and values. Bytes are decoded as Latin-1.
    """

    __slots__ = ("_by_name", "_pairs")

    def __init__(self, pairs: Iterable[tuple[str | bytes, str | bytes]] = ()) -> None:
        self._pairs = tuple(pairs)
        self._by_name: dict[str, str] | None = None

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


def _decode(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
