"""One conditional after another: a network of deterministic units between the parents and the logits."""

from collections.abc import Callable, Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.conditionals._parametrised import Parametrised, parametrised
from hnca.units import Conditional
from hnca.units._base import checked_conditional

PREVIOUS = "previous"
"""What a stage of a `Sequential` calls the stage before it."""


Stage = Conditional | Parametrised


class Sequential(Conditional):
    """A conditional of the parents, then functions or further conditionals, each of what the one before it returns.

    What stands between two stochastic layers that are joined by more than an affine map, and what a torso is: a stack
    of convolutions of an image, say, below a dense layer. The first stage names the parents; later ones that are
    conditionals name `"previous"`. Functions and Equinox modules among them are written for one example, a vector.

    When a parent is a stochastic layer and the first stage is `Dense`, messages to it change the first stage's result
    by one row of its weight for every value of every unit, and evaluate only the rest anew: exact, and about `units`
    times as dear as the rest.

    Example:
        ```python
        hnca.Bernoulli(
            hnca.Sequential(
                hnca.Dense("code", 200, 200, key=k1),
                jax.nn.leaky_relu,
                hnca.Dense("previous", 200, 784, key=k2),
            )
        )
        ```

    Attributes:
        first: the stage that reads the parents.
        rest: the stages after it, those that are no conditionals as a `Parametrised`: the arrays of a module are
            parameters, those that a plain function closes over constants.
    """

    first: Conditional
    rest: tuple[Stage, ...]
    parents: tuple[str, ...] = eqx.field(static=True)
    parent_sizes: tuple[int | None, ...] = eqx.field(static=True)
    out_features: int = eqx.field(static=True)

    def __init__(self, first: Conditional, *rest: Conditional | Callable[[Array], Array]):
        """Args:
            first: reads the parents.
            rest: conditionals of `"previous"`, or functions of a vector.

        Raises:
            ValueError: for a first stage that is no conditional, a later conditional with other parents, or a stage
                that is none, cannot be applied to what the stage before it returns, or does not return a vector. The
                message names the stage, from 1.
        """
        self.first = checked_conditional("Sequential", first, "first")
        self.rest = tuple(_checked_stage(place, stage) for place, stage in enumerate(rest, start=2))
        self.parents, self.parent_sizes = first.parents, first.parent_sizes
        size = first.out_features
        for place, stage in enumerate(self.rest, start=2):
            size = _checked_size(place, stage, size)
        self.out_features = size

    def __call__(
        self, features: tuple[Array, ...], batch_shape: tuple[int, ...]
    ) -> Float[Array, "*batch out_features"]:
        return self.after_first(self.first(features, batch_shape), batch_shape)

    def after_first(
        self, hidden: Float[Array, "*batch hidden"], batch_shape: tuple[int, ...]
    ) -> Float[Array, "*batch out_features"]:
        """Returns the logits given what the first stage returns."""
        for stage in self.rest:
            hidden = apply_stage(stage, hidden, batch_shape)
        return hidden

    @property
    def has_messages(self) -> bool:
        return all(stage.has_messages for stage in self.stages if isinstance(stage, Conditional))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All of them, the first one first."""
        return (self.first, *self.rest)

    def stage_inputs(
        self, features: tuple[Array, ...], batch_shape: tuple[int, ...]
    ) -> Iterator[tuple[Stage, tuple[Array, ...]]]:
        """Yields every stage with what it reads."""
        yield self.first, features
        hidden = self.first(features, batch_shape)
        for stage in self.rest:
            yield stage, (hidden,)
            hidden = apply_stage(stage, hidden, batch_shape)


def apply_stage(stage: Stage, hidden: Array, batch_shape: tuple[int, ...]) -> Array:
    """Returns what a stage makes of a batch of vectors, `[*batch, features]`."""
    if isinstance(stage, Conditional):
        return stage((hidden,), batch_shape)
    function: Callable[[Array], Array] = stage
    for _ in batch_shape:
        function = jax.vmap(function)
    return function(hidden)


def _checked_stage(place: int, stage: object) -> Stage:
    """Returns a conditional as it is and a function as a `Parametrised`."""
    if isinstance(stage, Conditional):
        return stage
    if not callable(stage):
        raise ValueError(
            f"Sequential: stage {place} is {stage!r}; expected a function of a vector, or a conditional of "
            f"{PREVIOUS!r}; give them one after another, not as a list."
        )
    return parametrised(stage)


def _checked_size(place: int, stage: Stage, size: int) -> int:
    """Returns how many features the stage returns for so many."""
    if isinstance(stage, Conditional):
        if stage.parents != (PREVIOUS,):
            raise ValueError(f"Sequential: stage {place} reads {stage.parents!r}; expected {PREVIOUS!r}.")
        if stage.parent_sizes not in ((size,), (None,)):
            raise ValueError(
                f"Sequential: stage {place} expects {stage.parent_sizes[0]} features; stage {place - 1} returns {size}."
            )
    dtype = jnp.result_type(*jax.tree.leaves(eqx.filter(stage, eqx.is_inexact_array)), jnp.result_type(float))
    try:
        shape = eqx.filter_eval_shape(apply_stage, stage, jax.ShapeDtypeStruct((size,), dtype), ()).shape
    except (TypeError, ValueError) as error:
        raise ValueError(f"Sequential: stage {place} cannot be applied to {size} features: {error}") from error
    if len(shape) != 1:
        raise ValueError(f"Sequential: stage {place} returns shape {shape}; expected a vector.")
    return shape[0]
