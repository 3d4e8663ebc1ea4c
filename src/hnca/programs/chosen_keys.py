"""Notices keys that are chosen by what is drawn, and may so come to be one: `fold_in(key, z)`, `keys[z]`."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from hnca import _warning
from hnca.programs.equations import Draw


class Origin(NamedTuple):
    """What a key was made of.

    Attributes:
        base: the number of the key, or of the array of keys, that it was made of.
        way: how it was chosen among others, `"folded"`, `"taken"`, `"seeded"`, `"branched"`; `"selected"` if it is its
            base, or another; None where nothing was chosen.
        drawn: whether by what is drawn.
        several: whether so were several keys, which may then be equal.
        place: which one it is, where the program's text says so.
    """

    base: Any
    way: str | None
    drawn: bool = False
    several: bool = False
    place: Any = None


class _Use(NamedTuple):
    """What is done with a key: `own` its number, or that of a key on the way to it; `drawn` whether that was chosen."""

    own: Any
    drawn: bool
    is_draw: bool
    told: str


class ChosenKeys:
    """Who has used which key that was chosen among others."""

    def __init__(self) -> None:
        self._origins: dict[Any, list[Origin]] = {}
        self._used: list[tuple[Any, Draw | str]] = []

    def made(self, number: Any, origins: list[Origin]) -> None:
        """Takes note of what a key, by its number, was made of."""
        if origins and all(origin.base != number for origin in origins):
            self._origins.setdefault(number, origins)

    def used(self, number: Any, by: Draw | str) -> None:
        """Takes note of a key, by its number, that is used by a draw, or for noise at a line."""
        self._used.append((number, by))

    def warn(self) -> None:
        """Warns of what may come to have one key, once all is known."""
        if not any(origin.drawn for origins in self._origins.values() for origin in origins):
            return
        slots: dict[Any, list[_Use]] = {}
        ways: dict[Any, int] = {}
        for number, by in self._used:
            told = self._told_once(number, by, slots, ways)
            if told is not None:
                warn_of_chosen(told)

    def _told_once(self, number: Any, by: Draw | str, slots: dict[Any, list[_Use]], ways: dict[Any, int]) -> str | None:
        """Returns what may have the key of a use, where another one before it may, or some of its own units.

        Args:
            number: of the key.
            by: who uses it.
            slots: who has been where on the way to the keys that were used before.
            ways: numbers of ways, as in `_on_the_way`.
        """
        told = f"draw {by.name!r} at {by.line}" if isinstance(by, Draw) else f"what jax.random makes at {by}"
        found = None
        for slot, own, drawn, several in self._on_the_way(number, ways):
            use = _Use(own, drawn, isinstance(by, Draw), told)
            others = slots.setdefault(slot, [])
            other = next((other for other in others if _may_be_one(use, other)), None)
            if found is None and other is not None:
                found = f"{other.told} and {told}"
            elif found is None and several and use.is_draw:
                found = f"units of {told}"
            others.append(use)
        return found

    def _on_the_way(self, number: Any, ways: dict[Any, int]) -> Iterator[tuple[Any, Any, bool, bool]]:
        """Yields where two keys have to be equal, or chosen to be, for what is made of them in one way to be equal.

        Args:
            number: of a key.
            ways: what is made of keys afterwards, each with a number of its own: what is made of two in different ways
                is not equal, whether they are or not.
        """
        itself, seen = object(), set()
        left = [(number, 0, False)]
        while left:
            number, after, chosen = left.pop()
            if number in seen:
                continue  # by one way: of a key that is chosen in every step there are twice as many with each
            seen.add(number)
            yield (number, "itself", after), itself, chosen, False
            for origin in self._origins.get(number, ()):
                if origin.way == "selected":
                    left.append((origin.base, after, chosen or origin.drawn))
                    continue
                if origin.way is not None:
                    yield (origin.base, origin.way, after), number, origin.drawn, origin.several
                beyond = ways.setdefault((origin.way, origin.place, after), len(ways) + 1)
                left.append((origin.base, beyond, False))


def warn_of_chosen(told: str) -> None:
    """Warns of draws that may come to have one key.

    Args:
        told: which ones.
    """
    _warning.warn(
        f"hnca: {told} may come to have one key, as it is chosen by what is drawn; where they do, they are not "
        "independent, and no estimator is unbiased. Give every draw a key of its own, jax.random.split(key, n), "
        "whatever has been drawn."
    )


def _may_be_one(first: _Use, second: _Use) -> bool:
    """Returns whether two keys may be chosen to be one, of which one at least is that of a draw."""
    chosen = first.own != second.own and (first.drawn or second.drawn)
    return chosen and (first.is_draw or second.is_draw)
