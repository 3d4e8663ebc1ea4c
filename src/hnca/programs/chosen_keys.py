"""Notices keys that are chosen by what is drawn, and may so come to be one: `fold_in(key, z)`, `keys[z]`."""

from typing import Any, NamedTuple

from hnca._warning import warn
from hnca.programs.equations import Draw


class _Origin(NamedTuple):
    """What a key was made of.

    Attributes:
        base: the number of the key, or of the array of keys, that it was made of.
        way: in which way it was chosen, where there are others to be chosen in that way.
        drawn: whether by what is drawn.
        several: whether so were several keys, which may then be equal.
        place: in an array of keys, where the program's text says it.
    """

    base: Any
    way: str | None
    drawn: bool
    several: bool
    place: Any


class _Use(NamedTuple):
    """A draw, or noise, and whether its key, or one of which that was made, was chosen by what is drawn."""

    drawn: bool
    is_draw: bool
    told: str


class ChosenKeys:
    """Who has used which key that was chosen among others."""

    def __init__(self) -> None:
        self._origins: dict[Any, _Origin] = {}
        self._used: list[tuple[Any, Draw | str]] = []

    def made(self, number: Any, base: Any, way: str | None, drawn: bool, several: bool, place: Any) -> None:
        """Takes note of a key that is made of another; arguments as the attributes of `_Origin`."""
        if number != base:
            self._origins.setdefault(number, _Origin(base, way, drawn, several, place))

    def used(self, number: Any, by: Draw | str) -> None:
        """Takes note of a key that is used by a draw, or for noise at a line."""
        self._used.append((number, by))

    def warn(self) -> None:
        """Warns of what may come to have one key, once all is known."""
        chosen = {(origin.base, origin.way) for origin in self._origins.values() if origin.drawn}
        uses: dict[Any, dict[Any, _Use]] = {}
        # What is made in different ways of two keys is not equal, whether they are or not: a number for each way.
        ways: dict[Any, int] = {}
        for number, by in self._used if chosen else ():
            told = self._told_once(number, by, chosen, uses, ways)
            if told is not None:
                warn_of_chosen(told)

    def _told_once(
        self,
        number: Any,
        by: Draw | str,
        chosen: set[tuple[Any, str | None]],
        uses: dict[Any, dict[Any, _Use]],
        ways: dict[Any, int],
    ) -> str | None:
        """Returns what may have the key of a use, where another one before it may, or some of its own units."""
        is_draw, after = isinstance(by, Draw), 0
        told = f"draw {by.name!r} at {by.line}" if isinstance(by, Draw) else f"what jax.random makes at {by}"
        while number in self._origins:
            origin = self._origins[number]
            if (origin.base, origin.way) in chosen:
                here = uses.setdefault((origin.base, origin.way, after), {})
                use = _Use(origin.drawn, is_draw, told)
                other = next((o for key, o in here.items() if key != number and _may_be_one(use, o)), None)
                if other is not None:
                    return f"{other.told} and {told}"
                if origin.several and is_draw:
                    return f"units of {told}"
                here.setdefault(number, use)
            after = ways.setdefault((origin.way, origin.place, after), len(ways) + 1)
            number = origin.base
        return None


def warn_of_chosen(told: str) -> None:
    """Warns of draws that may come to have one key."""
    warn(
        f"hnca: {told} may come to have one key, as it is chosen by what is drawn; where they do, they are not "
        "independent, and no estimator is unbiased. Give every draw a key of its own, jax.random.split(key, n), "
        "whatever has been drawn."
    )


def _may_be_one(first: _Use, second: _Use) -> bool:
    return (first.drawn or second.drawn) and (first.is_draw or second.is_draw)
