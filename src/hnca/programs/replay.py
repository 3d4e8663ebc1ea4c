"""A conditional that runs part of a program again: from what it sees of its parents to the logits of a draw."""

from collections.abc import Callable, Hashable, Mapping

import equinox as eqx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from hnca.programs.infinities import finite_logits
from hnca.programs.parts import Part
from hnca.programs.surroundings import Surroundings
from hnca.programs.taken import outputs_at, taken_by
from hnca.units import Conditional


class Replay(Conditional):
    """Part of a program, from some draws (or from what is linear in them) to the logits of another.

    Attributes:
        surroundings: what else the part reads.
        function: from the arrays of one example and the features of every parent to `[out_features]`.
        affordable: whether running it again for every other value of its parents' units is not too dear.
        small: the part itself, where that is better done for the units of all parents side by side.
    """

    surroundings: Surroundings
    function: Callable[..., Float[Array, " out_features"]] = eqx.field(static=True)
    parents: tuple[str, ...] = eqx.field(static=True)
    parent_sizes: tuple[int, ...] = eqx.field(static=True)
    out_features: int = eqx.field(static=True)
    affordable: bool = eqx.field(static=True)
    small: Part | None = eqx.field(static=True)

    def __init__(
        self,
        surroundings: Surroundings,
        function: Callable[..., Array],
        parents: tuple[str, ...],
        parent_sizes: tuple[int, ...],
        out_features: int,
        affordable: bool,
        small: Part | None = None,
    ):
        """Args: see the class; `parent_sizes` are the parents' features, `out_features` how many logits there are."""
        self.surroundings, self.function = surroundings, function
        self.parents, self.parent_sizes, self.out_features = parents, parent_sizes, out_features
        self.affordable, self.small = affordable, small

    @property
    def has_messages(self) -> bool:
        return self.affordable

    @property
    def steps_at_once(self) -> Mapping[Hashable, int] | None:
        return None if self.small is None else self.small.steps

    def __call__(
        self, features: tuple[Array, ...], batch_shape: tuple[int, ...]
    ) -> Float[Array, "*batch out_features"]:
        return self.surroundings.over_batch(self.function, batch_shape, *features)

    def of_values(
        self, values: Mapping[str, Array], batch_shape: tuple[int, ...], dtype: DTypeLike
    ) -> Float[Array, "*batch out_features"]:
        if self.small is None:
            return super().of_values(values, batch_shape, dtype)
        part, (output,) = self.small, self.small.outputs

        def one(arrays: Mapping[int, Array], taken: Mapping[int, Array]) -> Float[Array, " out_features"]:
            logits = outputs_at(part, arrays, taken)[output].reshape(-1).astype(dtype)
            return finite_logits(logits, part.program.categories_of(output))

        taken = taken_by(part.program, values, batch_shape, part.draws)
        return self.surroundings.over_batch(one, batch_shape, taken)
