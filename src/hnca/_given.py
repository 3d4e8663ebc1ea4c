"""The arrays that a network is given, against the shapes it declares."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from hnca._options import is_count

Shape = tuple[int, ...]


def pairs_of(argument: str, given: Any) -> list[tuple[Any, Any]]:
    """Returns what a network is given by name as pairs; what is neither a mapping nor pairs is a ValueError."""
    try:
        pairs = [tuple(pair) for pair in (given.items() if isinstance(given, Mapping) else given)]
    except TypeError:
        pairs = [()]
    if not all(len(pair) == 2 for pair in pairs):
        raise ValueError(f"Network: {argument}={given!r}; expected {argument} by name.")
    return pairs


def declared_shapes(inputs: Any) -> dict[str, Shape]:
    """Returns the shapes of a network's inputs, where a number stands for a vector of that size.

    Args:
        inputs: by name; what is no mapping, or no shape of sizes of at least 0, is a ValueError.
    """
    if not isinstance(inputs, Mapping):
        raise ValueError(
            f"Network: inputs={inputs!r}; expected the shape of each by its name, such as {{'image': 784}}."
        )
    shapes = {}
    for name, declared in inputs.items():
        shape = declared if isinstance(declared, tuple | list) else (declared,)
        if not all(is_count(size, 0) for size in shape):
            raise ValueError(f"Network: inputs[{name!r}]={declared!r}; expected a size, or a tuple of sizes.")
        shapes[name] = tuple(int(size) for size in shape)
    return shapes


def require_by_name(owner: str, argument: str, given: object) -> None:
    """Raises a ValueError for arrays that are not given by name."""
    if not isinstance(given, Mapping):
        raise ValueError(f"{owner}: {argument} is a {type(given).__name__}; expected arrays by name.")


def checked_batch(owner: str, shape: object) -> Shape:
    """Returns the batch axes as a tuple; what is no sequence of sizes is a ValueError."""
    if (
        not isinstance(shape, Sequence)
        or isinstance(shape, str | bytes)
        or not all(is_count(size, 0) for size in shape)
    ):
        raise ValueError(f"{owner}: batch_shape={shape!r}; expected the leading axes, such as (50,), or () for none.")
    return tuple(int(size) for size in shape)


def shape_of_batch(inputs: Mapping[str, Array], declared: Mapping[str, Shape], given: Sequence[int] | None) -> Shape:
    """Returns the leading axes that all inputs share.

    Args:
        inputs: by name.
        declared: their shapes for one example.
        given: the batch axes, where the caller says so; needed only where there are no inputs.

    Raises:
        ValueError: for what is no mapping or no shape, an input that is missing, not declared, or of another shape, or
            for batches that differ.
    """
    require_by_name("Network.sample", "inputs", inputs)
    given = None if given is None else checked_batch("Network.sample", given)
    if set(inputs) != set(declared):
        raise ValueError(f"Network.sample: inputs={sorted(inputs)!r}; expected {sorted(declared)!r}.")
    shapes = set() if given is None else {given}
    for name, shape in declared.items():
        found = jnp.shape(inputs[name])
        split = len(found) - len(shape)
        if split < 0 or found[split:] != shape:
            raise ValueError(
                f"Network.sample: input {name!r} has shape {found}; expected the batch axes, then {shape}."
            )
        shapes.add(found[:split])
    if len(shapes) > 1:
        raise ValueError(f"Network.sample: the inputs' batch axes differ: {sorted(shapes)!r}.")
    return shapes.pop() if shapes else ()


def check_given(
    values: Mapping[str, Array], what: str, name: str, batch_shape: Shape, shape: Shape, *others: Shape
) -> None:
    """Raises a ValueError unless the values are there, of the batch axes and then one of these shapes.

    Args:
        values: by name.
        what: they are of, for the message.
        name: theirs.
        batch_shape: the leading axes.
        shape: the one that is named as expected.
        others: that are allowed too.
    """
    if name not in values:
        raise ValueError(f"Network.evaluate: the values of {what} are missing; given are {sorted(values)!r}.")
    found = jnp.shape(values[name])
    if found not in [(*batch_shape, *each) for each in (shape, *others)]:
        raise ValueError(
            f"Network.evaluate: the values of {what} have shape {found}; expected "
            f"{(*batch_shape, *shape)}, the batch axes and then {shape}."
        )
