"""Variants: how the sandbox behaves where the documentation of the service is silent."""

import random
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias, TypeVar, get_args

from attrs import Attribute, field, frozen
from attrs.validators import ge, in_, le

MissingResponse: TypeAlias = Literal["null", "missing"]
Order: TypeAlias = Literal["newest_first", "oldest_first", "shuffled"]
ListItems: TypeAlias = Literal["attempts", "events"]
Redelivery: TypeAlias = Literal["waits", "responds_early"]

T = TypeVar("T")

_LENGTHS: Final = (10, 25, 100, 1000)
_MAX_LISTED: Final = 1_000_000


def _check_integer(_: object, attribute: "Attribute[T]", value: T) -> None:
    # isinstance() would accept bool, and `in_` would accept 200.0.
    if type(value) is not int:
        raise TypeError(f"{attribute.name} must be an integer, got {value!r}.")


@frozen(kw_only=True)
class Variants:
    """How the sandbox behaves where the documentation of the service allows several behaviours.

    Attributes:
        create_status: The HTTP status of the response to a create.
        missing_response: Whether `response_status` and `response_duration_ms` are null or missing
            in an attempt to which the subscriber has not responded.
        order: The order of listed events. `"shuffled"` is arbitrary, but the same in each response.
        max_listed: The maximum number of listed events, 1 to 1,000,000. The latest ones are listed.
        list_items: Whether a list of events has an item for each attempt, or for each event with
            its latest attempt.
        redelivery: Whether the response to a redelivery waits for the subscriber, or is sent early.
            An early response has no status and duration; they are in the list of events later.

    Raises:
        ValueError: A value is not one of the choices.
        TypeError: `create_status` or `max_listed` is not an integer.
    """

    create_status: Literal[200, 201] = field(
        default=201, validator=[_check_integer, in_((200, 201))]
    )
    missing_response: MissingResponse = field(
        default="null", validator=in_(get_args(MissingResponse))
    )
    order: Order = field(default="newest_first", validator=in_(get_args(Order)))
    max_listed: int = field(default=1000, validator=[_check_integer, ge(1), le(_MAX_LISTED)])
    list_items: ListItems = field(default="attempts", validator=in_(get_args(ListItems)))
    redelivery: Redelivery = field(default="waits", validator=in_(get_args(Redelivery)))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the predefined variants."""
        return tuple(_NAMED)

    @classmethod
    def named(cls, name: str) -> "Variants":
        """Return the predefined variants of a name.

        Args:
            name: One of `names()`.

        Raises:
            ValueError: The name is unknown.
        """
        try:
            return _NAMED[name]
        except KeyError:
            known = ", ".join(_NAMED)
            raise ValueError(
                f"There are no variants named {name!r}. Use one of: {known}."
            ) from None

    @classmethod
    def from_seed(cls, seed: int) -> "Variants":
        """Return random variants.

        Args:
            seed: The same seed gives the same variants on all platforms.
        """
        generator = random.Random(seed)  # noqa: S311 - not a secret
        return cls(
            create_status=_pick(generator, (200, 201)),
            missing_response=_pick(generator, get_args(MissingResponse)),
            order=_pick(generator, get_args(Order)),
            max_listed=_pick(generator, _LENGTHS),
            list_items=_pick(generator, get_args(ListItems)),
            redelivery=_pick(generator, get_args(Redelivery)),
        )

    @classmethod
    def of(cls, variants: "VariantsLike") -> "Variants":
        """Return the variants for a name or a seed; `Variants` are returned unchanged.

        Args:
            variants: `Variants`, one of `names()`, or a seed.

        Raises:
            ValueError: The name is unknown.
            TypeError: `variants` has another type.
        """
        if isinstance(variants, Variants):
            return variants
        if isinstance(variants, str):
            return cls.named(variants)
        # Not isinstance(): a bool is an int.
        if type(variants) is int:
            return cls.from_seed(variants)
        raise TypeError(f"variants must be Variants, a name or a seed, got {variants!r}.")


VariantsLike: TypeAlias = Variants | str | int


_NAMED: Mapping[str, Variants] = {
    "default": Variants(),
    "create_200": Variants(create_status=200),
    "fields_missing": Variants(missing_response="missing"),
    "oldest_first": Variants(order="oldest_first"),
    "shuffled": Variants(order="shuffled"),
    "short_list": Variants(max_listed=10),
    "one_item_per_event": Variants(list_items="events"),
    "responds_early": Variants(redelivery="responds_early"),
    "all_different": Variants(
        create_status=200,
        missing_response="missing",
        order="oldest_first",
        max_listed=25,
        list_items="events",
        redelivery="responds_early",
    ),
}


def _pick(generator: random.Random, choices: Sequence[T]) -> T:
    # random() is the only method whose sequence for a seed is guaranteed not to change.
    return choices[int(generator.random() * len(choices))]
