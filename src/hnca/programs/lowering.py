"""How a draw becomes a layer: the cheapest conditional that gives its logits, and why none cheaper does.

From cheap to dear: `Free` (no draw is read), unit by unit (every unit reads one of each draw: the program is run again
for every other value of all units at once), `Dense` (affine in all that is read), `Sequential` of `Dense` and the rest
of the program (affine up to some point), and the program run again for every other value of every unit.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hnca.conditionals import Dense, Free, Sequential
from hnca.programs.equations import Draw, Program
from hnca.programs.infinities import finite_logits
from hnca.programs.kinds import Kinds
from hnca.programs.masks import is_masked, may_be_masked
from hnca.programs.parts import Part, flat_rows, state_of_features, unflat
from hnca.programs.replay import Replay
from hnca.programs.surroundings import Surroundings
from hnca.programs.tabulated import Tabulated, units_read
from hnca.units import Conditional

FREE, BY_UNIT, DENSE, SEQUENTIAL, REPLAY = "Free", "unit by unit", "Dense", "Dense, then the rest", "run again"


@dataclass(frozen=True)
class Lowering:
    """How one value (a draw's logits, or what a likelihood is a function of) is made from the draws it reads.

    Attributes:
        value: its number.
        way: `FREE`, `BY_UNIT`, `DENSE`, `SEQUENTIAL` or `REPLAY`.
        reason: why no cheaper way; empty where there is none.
        part: from the draws to the value.
        first: from the draws to the values up to which everything is affine, for `SEQUENTIAL`.
        rest: from there to the value.
        reads: for `BY_UNIT`, of every draw the unit that each logit reads, or the number of its units for none.
    """

    value: int
    way: str
    reason: str
    part: Part
    first: Part | None = None
    rest: Part | None = None
    reads: tuple[np.ndarray, ...] = field(default=(), compare=False)

    @property
    def saved(self) -> frozenset[int]:
        """The values that the forward pass has to leave behind."""
        own = self.part.surroundings | {self.value}
        if self.first is None or self.rest is None:
            return own
        return own | self.first.surroundings | set(self.first.outputs) | self.rest.surroundings


def lower(program: Program, kinds: Kinds, value: int, by_example: frozenset[int], dtype: jnp.dtype) -> Lowering:
    """Returns the cheapest way to a value.

    Args:
        program: the program.
        kinds: how its values answer to draws.
        value: whose.
        by_example: the values that differ by example.
        dtype: of the network.
    """
    part = Part(program, kinds, [value])
    if not part.draws:
        return Lowering(value, FREE, "", part)
    if part.is_linear():
        if part.masks(dtype):
            return Lowering(value, REPLAY, "a draw may mask it by a number beside which others are lost", part)
        if part.has_fixed_rows(by_example, dtype):
            return Lowering(value, DENSE, "", part)
        return Lowering(value, REPLAY, "its weight differs by example or depends on another draw", part)
    reason = "not affine in the units"
    if part.frontier:
        cut = part.cut(by_example, dtype)
        if cut is not None:
            first, rest = cut
            return Lowering(value, SEQUENTIAL, reason, part, first, rest)
        reason += (
            ", and what is affine before that differs by example, depends on another draw, is masked, compared or next "
            "to where what comes after is steep"
        )
    else:
        reason += " from the start"
    return Lowering(value, REPLAY, reason, part)


def lower_logits(program: Program, kinds: Kinds, draw: Draw, by_example: frozenset[int], dtype: jnp.dtype) -> Lowering:
    """Returns the cheapest way to a draw's logits; arguments as for `lower`."""
    part = Part(program, kinds, [draw.logits])
    indices = [units_read(kinds, draw, program.draws[parent]) for parent in part.draws]
    # Of a draw of one unit all is read by all, which is a matrix product; but differences of it lose all beside a mask.
    product = all(program.draws[parent].units == 1 for parent in part.draws)
    if any(i is None for i in indices) or (product and not (part.may_look_infinity_up and part.is_small())):
        return lower(program, kinds, draw.logits, by_example, dtype)
    return Lowering(draw.logits, BY_UNIT, "", part, reads=tuple(i for i in indices if i is not None))


def conditional_of(
    lowering: Lowering,
    saved: Surroundings,
    features: Mapping[str, Array],
    batch_shape: tuple[int, ...],
    dtype: np.dtype,
    affordable: bool = True,
) -> Conditional:
    """Returns the conditional, its weights computed from what the forward pass has left behind.

    Args:
        lowering: the way.
        saved: the values of the forward pass.
        features: what a child sees of every draw in it, `[*batch, features]`.
        batch_shape: of the forward pass.
        dtype: of the network.
        affordable: whether what is not affine may be run again for every other value of the units it reads.
    """
    program, part = lowering.part.program, lowering.part
    size = math.prod(program.avals[lowering.value].shape)
    if lowering.way == FREE:
        bias = _flat(program, lowering.value, saved, batch_shape).astype(dtype)
        return eqx.tree_at(lambda free: free.bias, Free(size, dtype=dtype), bias)
    if lowering.way == DENSE:
        return _dense(part, saved, features, batch_shape)
    names = tuple(program.draws[draw].name for draw in part.draws)
    sizes = tuple(features[name].shape[-1] for name in names)
    if lowering.way == BY_UNIT:
        return Tabulated(saved.only(part.surroundings), part, lowering.reads, sizes)
    if lowering.first is not None and lowering.rest is not None:
        first, rest = _dense(lowering.first, saved, features, batch_shape), _rest(lowering.rest, lowering.first, dtype)
        hidden = first.out_features
        replay = Replay(saved.only(lowering.rest.surroundings), rest, ("previous",), (hidden,), size, affordable)
        return Sequential(first, replay)

    def function(arrays: Mapping[int, Array], *seen: Array) -> Float[Array, " out"]:
        states = {d: state_of_features(program.draws[d], f) for d, f in zip(part.draws, seen, strict=True)}
        logits = part.states(states, arrays)[lowering.value].reshape(-1).astype(dtype)
        return finite_logits(logits, program.categories_of(lowering.value))

    around = saved.only(part.surroundings)
    return Replay(around, function, names, sizes, size, affordable, part if part.is_cheap_at_once() else None)


def _flat(program: Program, value: int, saved: Surroundings, batch_shape: tuple[int, ...]) -> Array:
    """Returns a value as vectors, with batch axes where it differs by example."""
    array = saved.arrays[value]
    flat = array.reshape(*(batch_shape if saved.is_batched(value) else ()), -1)
    return finite_logits(flat, program.categories_of(value))


def _dense(part: Part, saved: Surroundings, features: Mapping[str, Array], batch_shape: tuple[int, ...]) -> Dense:
    """Returns an affine conditional, its outputs side by side where the part has several."""
    program = part.program
    names = tuple(program.draws[draw].name for draw in part.draws)
    dtype = features[names[0]].dtype
    sizes = {draw: features[name].shape[-1] for draw, name in zip(part.draws, names, strict=True)}
    weights = list(flat_rows(part, saved, sizes, dtype).values())
    values = [_flat(program, output, saved, batch_shape).astype(dtype) for output in part.outputs]
    if may_be_masked(part):
        values = _with_masks(part, saved, features, values, batch_shape)
    wide = [jnp.broadcast_to(value, (*batch_shape, value.shape[-1])) for value in values]
    total = wide[0] if len(wide) == 1 else jnp.concatenate(wide, axis=-1)
    for weight, name in zip(weights, names, strict=True):
        total = total - features[name] @ weight
    return affine(names, tuple(weights), total)


def _with_masks(
    part: Part, saved: Surroundings, features: Mapping[str, Array], values: list[Array], batch_shape: tuple[int, ...]
) -> list[Array]:
    """Returns the values with what a draw has made infinite as its `rows` have it, so that they can take it away."""
    draws = {d: part.program.draws[d] for d in part.draws}

    def one(arrays: Mapping[int, Array], seen: dict[int, Array]) -> list[Array]:
        states = {d: state_of_features(draws[d], f) for d, f in seen.items()}
        found = part.states(states, arrays, infinite=False)
        return [found[output].reshape(-1) for output in part.outputs]

    seen = {d: features[draw.name] for d, draw in draws.items()}
    masked = saved.only(part.surroundings).over_batch(one, batch_shape, seen)
    mended = []
    for output, value, with_mask in zip(part.outputs, values, masked, strict=True):
        wide = jnp.broadcast_to(value, (*batch_shape, value.shape[-1]))
        raw = saved.arrays[output].reshape(*(batch_shape if saved.is_batched(output) else ()), -1)
        masked = jnp.broadcast_to(is_masked(raw), wide.shape)
        bounded = finite_logits(with_mask.astype(value.dtype), part.program.categories_of(output))
        mended.append(jnp.where(masked, bounded, wide))
    return mended


def affine(parents: tuple[str, ...], weights: tuple[Array, ...], bias: Array) -> Dense:
    """Returns a `Dense` of these weights, `[features, out]` a parent, and this bias, `[*batch, out]`."""
    sizes, out = tuple(weight.shape[0] for weight in weights), weights[0].shape[-1]
    shell = eqx.filter_eval_shape(lambda key: Dense(parents, sizes, out, key=key), jax.random.key(0))
    return eqx.tree_at(lambda dense: (dense.weights, dense.bias), shell, (weights, bias))


def _rest(rest: Part, first: Part, dtype: np.dtype) -> Callable[[Mapping[int, Array], Array], Array]:
    """Returns the function from what is affine to the value."""

    def function(arrays: Mapping[int, Array], hidden: Array) -> Array:
        logits = rest.states({}, {**arrays, **unflat(first, hidden)})[rest.outputs[0]].reshape(-1).astype(dtype)
        return finite_logits(logits, rest.program.categories_of(rest.outputs[0]))

    return function
