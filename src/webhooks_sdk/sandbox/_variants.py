"""How the sandbox answers where the service's documentation leaves it open."""

import random
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias, TypeVar, get_args

from attrs import Attribute, field, frozen
from attrs.validators import ge, in_, le

Unanswered: TypeAlias = Literal["null", "missing"]
Order: TypeAlias = Literal["newest_first", "oldest_first", "shuffled"]
Rows: TypeAlias = Literal["attempts", "events"]
Redelivery: TypeAlias = Literal["waits", "answers_early"]
VariantsLike: TypeAlias = "Variants | str | int"

T = TypeVar("T")

_LENGTHS: Final = (10, 25, 100, 1000)
_MOST: Final = 1_000_000


def _is_whole(_: object, attribute: "Attribute[T]", value: T) -> None:
    # 200.0 equals 200, and a bool is an int: neither can be sent, or counted with.
    if type(value) is not int:
        raise TypeError(f"{attribute.name} must be a whole number, not {value!r}.")


@frozen(kw_only=True)
class Variants:
    """One way to answer where several are reasonable.

    Attributes:
        create_status: The HTTP status that answers a create.
        unanswered: What `response_status` and `response_duration_ms` are in an attempt that the
            subscriber has not answered: null or missing.
        order: The order of listed events. `"shuffled"` is an order by nothing that a client knows;
            asking again gives the same one.
        listed: How many events are listed at most, 1 to 1,000,000: always the latest ones.
        rows: Whether there is a row for each attempt, or for each event with its latest attempt.
        redelivery: Whether the answer to a redelivery waits for the subscriber's, or comes early:
            then without status and duration, which land in the list of events later.

    Raises:
        ValueError: There is no such choice.
        TypeError: `create_status` or `listed` is no whole number.
    """

    create_status: Literal[200, 201] = field(default=201, validator=[_is_whole, in_((200, 201))])
    unanswered: Unanswered = field(default="null", validator=in_(get_args(Unanswered)))
    order: Order = field(default="newest_first", validator=in_(get_args(Order)))
    listed: int = field(default=1000, validator=[_is_whole, ge(1), le(_MOST)])
    rows: Rows = field(default="attempts", validator=in_(get_args(Rows)))
    redelivery: Redelivery = field(default="waits", validator=in_(get_args(Redelivery)))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the variants that have one."""
        return tuple(_NAMED)

    @classmethod
    def named(cls, name: str) -> "Variants":
        """Return the variants of that name.

        Raises:
            ValueError: There are none.
        """
        try:
            return _NAMED[name]
        except KeyError:
            known = ", ".join(_NAMED)
            raise ValueError(f"There are no variants {name!r}; there are: {known}.") from None

    @classmethod
    def from_seed(cls, seed: int) -> "Variants":
        """Return variants drawn at random; the same seed gives the same ones everywhere."""
        draw = random.Random(seed)  # noqa: S311 - no secret
        return cls(
            create_status=_pick(draw, (200, 201)),
            unanswered=_pick(draw, get_args(Unanswered)),
            order=_pick(draw, get_args(Order)),
            listed=_pick(draw, _LENGTHS),
            rows=_pick(draw, get_args(Rows)),
            redelivery=_pick(draw, get_args(Redelivery)),
        )

    @classmethod
    def of(cls, variants: VariantsLike) -> "Variants":
        """Return variants as they are, by name, or by seed.

        Raises:
            ValueError: There are none of that name.
            TypeError: It is none of these.
        """
        if isinstance(variants, Variants):
            return variants
        if isinstance(variants, str):
            return cls.named(variants)
        # Who has no type checker may pass anything; and a bool is an int.
        if type(variants) is int:
            return cls.from_seed(variants)
        raise TypeError(f"variants must be Variants, a name or a seed, not {variants!r}.")


_NAMED: Mapping[str, Variants] = {
    "default": Variants(),
    "create_200": Variants(create_status=200),
    "fields_missing": Variants(unanswered="missing"),
    "oldest_first": Variants(order="oldest_first"),
    "shuffled": Variants(order="shuffled"),
    "short_list": Variants(listed=10),
    "row_for_each_event": Variants(rows="events"),
    "answers_early": Variants(redelivery="answers_early"),
    "contrary": Variants(
        create_status=200,
        unanswered="missing",
        order="oldest_first",
        listed=25,
        rows="events",
        redelivery="answers_early",
    ),
}


def _pick(draw: random.Random, choices: Sequence[T]) -> T:
    # Of all methods, random() alone is promised to go on giving the same for the same seed.
    return choices[int(draw.random() * len(choices))]
