"""What part of a program reads from outside itself, and how that part is applied to a batch."""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax
from jaxtyping import Array, PyTree


class Surroundings(eqx.Module):
    """Arrays by name, of which some differ by example and have a leading batch axis.

    Attributes:
        arrays: the arrays.
        by_example: the names of those that differ by example.
        batch_axes: how many leading axes those have: 1, or 0 for a program of one example.
    """

    arrays: dict[int, Array]
    by_example: frozenset[int] = eqx.field(static=True)
    batch_axes: int = eqx.field(static=True)

    def only(self, names: frozenset[int]) -> "Surroundings":
        """Returns those of some names."""
        arrays = {name: array for name, array in self.arrays.items() if name in names}
        return Surroundings(arrays, self.by_example & names, self.batch_axes)

    def over_batch(self, function: Callable[..., PyTree], batch_shape: tuple[int, ...], *arguments: PyTree) -> PyTree:
        """Returns a function of one example applied to every one: `function(arrays, *arguments)`.

        Args:
            function: of the arrays for one example, and of further arguments without batch axes.
            batch_shape: `()` for one example of any batch, as when shapes are checked; else with as many axes as the
                arrays' or more: axes in front, such as an estimator's passes, share the arrays.
            arguments: with all batch axes in front.
        """
        if len(batch_shape) < self.batch_axes:
            return function(self.first_example(), *arguments)
        axes = {name: 0 if name in self.by_example else None for name in self.arrays}
        none = dict.fromkeys(self.arrays)
        mapped = function
        sizes = list(batch_shape)
        if self.batch_axes:
            mapped = jax.vmap(mapped, in_axes=(axes, *(0 for _ in arguments)), axis_size=sizes.pop())
        for size in reversed(sizes):
            mapped = jax.vmap(mapped, in_axes=(none, *(0 for _ in arguments)), axis_size=size)
        return mapped(self.arrays, *arguments)

    def first_example(self) -> Mapping[int, Array]:
        """Returns the arrays of the first example."""
        return {name: array[0] if self.is_batched(name) else array for name, array in self.arrays.items()}

    def is_batched(self, name: int) -> bool:
        """Returns whether an array has the leading batch axis."""
        return bool(self.batch_axes) and name in self.by_example
