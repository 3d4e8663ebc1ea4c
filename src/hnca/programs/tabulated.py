"""A conditional each of whose logits reads one unit of every draw: tables over that unit's values say all."""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hnca.programs.equations import Draw, read, run
from hnca.programs.infinities import finite_logits
from hnca.programs.kinds import ByUnit, Kinds
from hnca.programs.parts import Part, state_of_features
from hnca.programs.soft import Table, apply_to_tables, table_of_draw
from hnca.programs.surroundings import Surroundings
from hnca.units import Conditional


class Tabulated(Conditional):
    """Part of a program, from draws to the logits of another, each of whose units reads one unit of each draw at most.

    Attributes:
        surroundings: what else the part reads.
        reads: of every draw the unit that each logit reads, or the number of its units for none.
        part: from the draws to the logits.
    """

    surroundings: Surroundings
    reads: tuple[Int[Array, " out_features"], ...]
    part: Part = eqx.field(static=True)
    parents: tuple[str, ...] = eqx.field(static=True)
    parent_sizes: tuple[int, ...] = eqx.field(static=True)
    out_features: int = eqx.field(static=True)

    def __init__(
        self, surroundings: Surroundings, part: Part, reads: tuple[np.ndarray, ...], parent_sizes: tuple[int, ...]
    ):
        """Args: see the class; `parent_sizes` are the numbers that a child sees of every draw."""
        self.surroundings, self.part, self.reads = surroundings, part, tuple(map(jnp.asarray, reads))
        self.parents = tuple(draw.name for draw in _draws(part))
        self.parent_sizes, self.out_features = parent_sizes, reads[0].size

    @property
    def reads_one_unit(self) -> bool:
        return True

    def __call__(
        self, features: tuple[Array, ...], batch_shape: tuple[int, ...]
    ) -> Float[Array, "*batch out_features"]:
        return self.surroundings.over_batch(self._logits, batch_shape, *features)

    def logits_by_unit(
        self, parent: str, features: tuple[Array, ...], batch_shape: tuple[int, ...]
    ) -> tuple[Float[Array, "*batch alternatives out_features"], Int[Array, " out_features"]]:
        place = self.parents.index(parent)

        def one(arrays: Mapping[int, Array], *seen: Array) -> Float[Array, "alternatives out_features"]:
            return self._table(arrays, self.part.draws[place], seen)

        return self.surroundings.over_batch(one, batch_shape, *features), self.reads[place]

    def _logits(self, arrays: Mapping[int, Array], *features: Array) -> Float[Array, " out_features"]:
        part = self.part
        states = {d.output: state_of_features(d, f) for d, f in zip(_draws(part), features, strict=True)}
        logits = part.states(states, arrays)[part.outputs[0]].reshape(-1).astype(features[0].dtype)
        return finite_logits(logits, part.program.categories_of(part.outputs[0]))

    def _table(
        self, arrays: Mapping[int, Array], draw: int, features: tuple[Array, ...]
    ) -> Float[Array, "alternatives out_features"]:
        """Returns the logits for every value of the units of one draw, all other draws as they are."""
        part, program = self.part, self.part.program
        taken = {d.output: _taken(part, d, f) for d, f in zip(_draws(part), features, strict=True)}
        values = run(program, part.equations, {**arrays, **taken})
        held = {draw: table_of_draw(program.draws[draw], program.avals[draw].dtype)}
        for equation in part.equations:
            kind = part.kinds.get(equation.outputs[0], {}).get(draw)
            if isinstance(kind, ByUnit):
                operands = [held[a] if a in held else read(program, values, a) for a in equation.inputs]
                held[equation.outputs[0]] = Table(draw, kind.index, apply_to_tables(equation, operands))
        # In the network's dtype, of which a message is a small difference.
        entries = jnp.asarray(held[part.outputs[0]].entries).astype(features[0].dtype)
        return finite_logits(entries.reshape(entries.shape[0], -1), program.categories_of(part.outputs[0]))


def units_read(kinds: Kinds, draw: Draw, parent: Draw) -> np.ndarray | None:
    """Returns the unit of another draw that each logit of a draw reads, if each unit of it reads one at most.

    Args:
        kinds: how values answer to draws.
        draw: whose logits.
        parent: a draw that they read.
    """
    kind = kinds[draw.logits][parent.output]
    if not isinstance(kind, ByUnit):
        return None
    index = np.where(kind.index < 0, parent.units, kind.index).reshape(draw.units, -1)
    by_unit = np.broadcast_to(np.min(index, axis=1, keepdims=True), index.shape)
    return by_unit.reshape(-1) if np.all((index == parent.units) | (index == by_unit)) else None


def _draws(part: Part) -> list[Draw]:
    return [part.program.draws[draw] for draw in part.draws]


def _taken(part: Part, draw: Draw, features: Float[Array, " features"]) -> Array:
    """Returns a draw's value as the program has it, given what a child sees of it."""
    if draw.values is None:
        features = jnp.argmax(features.reshape(*draw.shape, draw.categories), axis=-1)
    return features.reshape(draw.shape).astype(part.program.avals[draw.output].dtype)
