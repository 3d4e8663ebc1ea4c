"""Coupled alternatives: a few units set to another value, what follows drawn again as near to the trace as can be."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from hnca._options import is_count
from hnca._precision import at_least_float32
from hnca.estimators._alternatives import (
    Cells,
    cell_weights,
    cells_of,
    credits_of_differences,
    difference_in_cell,
)
from hnca.estimators._base import Credits, Estimator
from hnca.estimators._choice import ends_of, falling, offsets
from hnca.estimators._cost import Cost, whole_passes
from hnca.estimators._coupling import coupled_values
from hnca.estimators._downstream import downstream_members
from hnca.estimators._requirements import require_key, require_repeatable
from hnca.messages.batching import at_a_time
from hnca.network import Network, Trace
from hnca.objectives import Objective


class CoupledAlternatives(Estimator):
    r"""A few other values of units an example, chosen by their weight, each followed by a pass coupled to the trace.

    It needs neither the likelihood of a unit's children, nor a function that can be asked what one value would have
    changed: whatever follows is drawn again. So it is for where neither is cheap: simulations of many steps, draws that
    read each other through deep networks.

    **Formula.** Among all other values k of all units i of an example, of probabilities `p_ik` given their parents,
    `alternatives` are chosen, `(i, k)` with a probability `q_ik` in proportion to `p_ik (1 - p_ik)`, as far as none is
    above 1. The unit is set to the value, and what comes after it takes values that are distributed as they should be
    and differ from the trace's as seldom as can be: a value is kept with probability `min(1, p' / p)`, where `p'` is
    its probability now; for a Bernoulli unit this is to draw both from one uniform number. With `f'` the objective's
    value then, `d_ik = (f' - f) / q_ik`, and 0 for what was not chosen, estimates what that value would have changed:
    the credit of a Bernoulli logit is `p (1 - p) d_i`, less if the unit was up, and of a categorical one `p_k (d_k -
    sum_j p_j d_j)`.

    **Bias.** None: what follows has its own distribution given the unit's other value, whatever it shares with the
    trace. **Variance.** What chance does to the two passes alike is gone from their difference; what is left is what
    the unit has done, and which units were chosen. **Cost.** `alternatives` forward passes and evaluations of the
    objective beside the trace's, whatever the depth and the number of units. Needs an objective that can be evaluated
    more than once.

    Example:
        ```python
        estimator = hnca.CoupledAlternatives(4)
        bound, estimate = hnca.estimate(estimator, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** After Arya, Schauer, Schaefer and Rackauckas, *Automatic differentiation of programs with discrete
    randomness*, 2022, whose alternatives are carried along forwards, of one parameter, and pruned to one by chance;
    here all parameters have theirs in one backpropagation. The coupling is the maximal one (Lindvall, *Lectures on the
    coupling method*, 1992).

    Attributes:
        alternatives: how many an example has, at least 1; if there are no more in all, all are evaluated.

    Raises:
        ValueError: for fewer than one; when called, for a reward that can be observed only once, and for no key.
    """

    alternatives: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        count = self.alternatives
        if not is_count(count, 1):
            raise ValueError(
                f"CoupledAlternatives: alternatives={count!r}; expected how many an example has, an int of at least 1."
            )

    def cost(self, network: Network) -> Cost:
        return whole_passes(1 + self._count(network))

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        reached = downstream_members(network, objective)
        require_repeatable(self, objective)
        count = self._count(network)
        choice_key, follow_key = jax.random.split(require_key(self, key, "alternatives are"))
        chosen, inverse = _choose(choice_key, trace, cell_weights(network, trace, reached), count)

        def difference(pick: tuple[Int[Array, "*batch"], Key[Array, ""]]) -> Float[Array, "*batch"]:
            cell, own_key = pick
            keys = network.layer_keys(own_key)

            def redraw(name: str, logits: Float[Array, "*logits"]) -> Array:
                return coupled_values(network.layers[name], keys[name], trace.logits[name], logits, trace[name])

            return difference_in_cell(network, objective, trace, reached, cell, redraw)

        picks = chosen, jax.random.split(follow_key, count)
        # JAX cannot put groups of nothing together again.
        together = at_a_time(trace, count) if math.prod(trace.batch_shape) else None
        differences = jax.lax.map(difference, picks, batch_size=together)
        by_cell = _in_cells(cells_of(network), chosen, inverse.astype(differences.dtype) * differences)
        return credits_of_differences(network, trace, by_cell), state

    def _count(self, network: Network) -> int:
        """Returns how many alternatives are evaluated: no more than there are."""
        return min(self.alternatives, sum(one.units * (one.alternatives - 1) for one in network.layers.values()))


def _choose(
    key: Key[Array, ""], trace: Trace, weights: Float[Array, "*batch cells"], count: int
) -> tuple[Int[Array, " count *batch"], Float[Array, " count *batch"]]:
    """Draws cells for every example, and returns them with one over how often each is chosen on average."""
    ends = ends_of(weights.astype(at_least_float32(weights.dtype)), count)
    chosen = falling(ends, offsets(key, trace.batch_shape, ends), count)
    often = jnp.diff(ends, axis=-1, prepend=0)
    often = jnp.take_along_axis(often, jnp.moveaxis(chosen, 0, -1), axis=-1)
    return chosen, jnp.moveaxis(jnp.where(often > 0, 1 / often, 0), -1, 0)


def _in_cells(
    cells: Cells, chosen: Int[Array, " count *batch"], values: Float[Array, " count *batch"]
) -> Float[Array, "*batch cells"]:
    """Returns what each cell has been given in all, 0 where it was not chosen."""
    shape = chosen.shape[1:]
    size = math.prod(shape)
    rows = jnp.broadcast_to(jnp.arange(size, dtype=chosen.dtype), (len(chosen), size))
    places = rows, chosen.reshape(rows.shape)
    found = jnp.zeros((size, cells.total), values.dtype).at[places].add(values.reshape(rows.shape))
    return found.reshape(*shape, cells.total)
