"""Directed acyclic graphs given as `{name: names of its parents}`."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

Parents = Mapping[str, tuple[str, ...]]


def check_names(layers: Sequence[str], inputs: Sequence[str]) -> None:
    """Raises a ValueError unless there are layers and every name is given once."""
    if not layers:
        raise ValueError("Network: layers={}; expected at least one layer.")
    names = [*layers, *inputs]
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"Network: {name!r} as the name of a layer or input; expected text.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Network: the names {twice!r} are given twice; expected every layer and input once.")


def check_parents(parents: Parents, inputs: Sequence[str]) -> None:
    """Raises a ValueError for a parent that is neither a layer nor an input."""
    known = {*parents, *inputs}
    for name, names in parents.items():
        for parent in names:
            if parent not in known:
                raise ValueError(
                    f"Network: layer {name!r} has the unknown parent {parent!r}; expected a layer or an input, "
                    f"of {sorted(known)!r}."
                )


def topological_order(parents: Parents) -> tuple[str, ...]:
    """Returns the names, parents before children, otherwise in the order given; a cycle is a ValueError."""
    layers_only = {name: [p for p in names if p in parents] for name, names in parents.items()}
    try:
        return tuple(TopologicalSorter(layers_only).static_order())
    except CycleError as error:
        raise ValueError(f"Network: the layers {' <- '.join(error.args[1])} form a cycle.") from None


def ancestors_of(parents: Parents, names: Iterable[str]) -> frozenset[str]:
    """Returns `names` and all from which one of them can be reached, inputs included."""
    found: set[str] = set()
    frontier = list(names)
    while frontier:
        name = frontier.pop()
        if name not in found:
            found.add(name)
            frontier.extend(parents.get(name, ()))
    return frozenset(found)


def mediators_of(children: Iterable[str], reaching: frozenset[str]) -> tuple[str, ...]:
    """Returns the children through which a function can be reached, given all from which it can be.

    Source: Young 2022, footnote 6: `ch(layer)` intersected with the function's arguments and their ancestors.
    """
    return tuple(child for child in children if child in reaching)
