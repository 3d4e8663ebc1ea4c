"""The other values that the units of a network could have taken, as cells in a row, and what would have followed.

A *cell* is a value of a unit of a layer; the cells of a network are numbered layer by layer, unit by unit, value by
value. Each example goes to a cell of its own, of whatever layer, so that one pass over the network serves the batch.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from hnca._precision import at_least_float32
from hnca.estimators._base import Credits
from hnca.estimators._coupling import log_probs_of_all
from hnca.estimators._downstream import over_logits
from hnca.network import Network, Trace
from hnca.objectives import Objective

Redraw = Callable[[str, Float[Array, "*logits"]], Array]
"""Takes a layer's name and its logits after a change, and returns the values that it takes under them."""


class Cells(NamedTuple):
    """The cells of a network.

    Attributes:
        starts: the first cell of every layer.
        total: how many there are.
        origins: the place of each cell's layer in the network's order.
        follows: `[layers, layers]`, whether the second can be reached from the first.
    """

    starts: dict[str, int]
    total: int
    origins: np.ndarray
    follows: np.ndarray

    def origin(self, cell: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """Returns the place of the cell's layer in the network's order."""
        return jnp.asarray(self.origins)[cell]

    def of_layer(self, by_cell: Float[Array, "*batch cells"], network: Network, name: str) -> Float[Array, "*cells"]:
        """Returns the layer's part of something known for every cell, `[*batch, units, alternatives]`."""
        layer, start = network.layers[name], self.starts[name]
        part = by_cell[..., start : start + layer.units * layer.alternatives]
        return part.reshape(*part.shape[:-1], layer.units, layer.alternatives)


def cells_of(network: Network) -> Cells:
    """Returns the cells of a network."""
    sizes = [network.layers[name].units * network.layers[name].alternatives for name in network.order]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    follows = np.array([[later in network.after(name) for later in network.order] for name in network.order])
    origins = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    return Cells(dict(zip(network.order, map(int, starts), strict=False)), int(starts[-1]), origins, follows)


def cell_weights(
    network: Network, trace: Trace, reached: Mapping[str, tuple[int, ...]]
) -> Float[Array, "*batch cells"]:
    """Returns how much each cell counts in its unit's credit, `p (1 - p)` of its probability; 0 of what was taken.

    Of the cells of a layer that no component can be reached from it is 0, too. Where all that is left is 0, any cell is
    as good as any other, and all have 1.

    Args:
        network: the network.
        trace: the forward pass.
        reached: for every layer the places of the components that it can change.
    """
    parts = []
    for name in network.order:
        layer, logits, values = network.layers[name], trace.logits[name], trace[name]
        log_probs = log_probs_of_all(layer, logits, values).astype(at_least_float32(logits.dtype))
        weights = jnp.exp(log_probs) * -jnp.expm1(log_probs)
        is_taken = jax.nn.one_hot(layer.index(values), layer.alternatives, dtype=bool)
        weights = jnp.where(is_taken, 0, weights) if reached[name] else jnp.zeros_like(weights)
        parts.append(weights.reshape(*trace.batch_shape, layer.units * layer.alternatives))
    weights = jnp.concatenate(parts, axis=-1)
    # Too little to be divided by.
    some = jnp.sum(weights, axis=-1, keepdims=True) > 1e3 * float(jnp.finfo(weights.dtype).tiny)
    return jnp.where(some, weights, 1)


def pass_of_cell(network: Network, trace: Trace, cells: Cells, cell: Int[Array, "*batch"], redraw: Redraw) -> Trace:
    """Returns the pass in which each example has the value of its cell, and after it what is drawn again.

    Args:
        network: the network.
        trace: what stays as it is before and beside the cell's unit.
        cells: of the network.
        cell: of each example.
        redraw: called once for every layer that has layers before it, parents before children.
    """
    values, logits, origin = dict(trace.values), dict(trace.logits), cells.origin(cell)
    for place, name in enumerate(network.order):
        value = trace[name]
        if cells.follows[:, place].any():
            # Not merely drawn alike: computed for other examples beside it, a number may differ in its last bit.
            moved = jnp.asarray(cells.follows[:, place])[origin]
            found = network.layer_logits(values, name, trace.batch_shape)
            logits[name] = jnp.where(over_logits(moved, found), found, trace.logits[name])
            value = jnp.where(moved[..., None], redraw(name, logits[name]), value)
        values[name] = _with_cell(network, trace, cells, name, cell, value)
    return Trace(values, logits, trace.batch_shape)


def difference_in_cell(
    network: Network,
    objective: Objective,
    trace: Trace,
    reached: Mapping[str, tuple[int, ...]],
    cell: Int[Array, "*batch"],
    redraw: Redraw,
) -> Float[Array, "*batch"]:
    """Returns by how much the objective differs in the pass of a cell from what it is in the trace.

    Args:
        network: the network.
        objective: the components.
        trace: the forward pass.
        reached: for every layer the places of the components that it can change.
        cell: of each example.
        redraw: as for `pass_of_cell`.
    """
    cells = cells_of(network)
    other = pass_of_cell(network, trace, cells, cell, redraw)
    # What cannot be reached from the cell's layer is left out, be it only rounded otherwise.
    members = np.array(
        [[place in reached[name] for place in range(len(objective.components))] for name in network.order]
    )
    changed: Bool[Array, "*batch components"] = jnp.asarray(members)[cells.origin(cell)]
    here, there = (jnp.stack(objective.values(network, each), axis=-1) for each in (trace, other))
    return jnp.sum(jnp.where(changed, there - here, 0), axis=-1)


def credits_of_differences(network: Network, trace: Trace, by_cell: Float[Array, "*batch cells"]) -> Credits:
    """Returns the credit of every layer, given by how much the objective would have differed in every cell."""
    cells, credits = cells_of(network), {}
    for name, layer in network.layers.items():
        contrast = layer.contrast(cells.of_layer(by_cell, network, name), trace[name])
        credits[name] = layer.credit(trace.logits[name], trace[name], None, None, contrast)
    return credits


def _with_cell(
    network: Network,
    trace: Trace,
    cells: Cells,
    name: str,
    cell: Int[Array, "*batch"],
    value: Num[Array, "*batch units"],
) -> Num[Array, "*batch units"]:
    """Returns the values of a layer with that of the cell in them, if it is one of the layer's."""
    layer = network.layers[name]
    place = cell - cells.starts[name]
    # Of another layer's cell this is no unit's number.
    changed = jax.nn.one_hot(place // layer.alternatives, layer.units, dtype=bool)
    alternatives = layer.alternative_values(trace.logits[name].dtype).astype(value.dtype)
    return jnp.where(changed, alternatives[place % layer.alternatives][..., None], value)
