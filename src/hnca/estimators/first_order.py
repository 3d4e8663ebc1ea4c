"""A first-order control variate for what is mediated: a linear expansion is taken out of it, and put back exactly."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.estimators._expansion import LinearTerm, MeanTerm, inner
from hnca.estimators._relaxation import finite, relaxation_of
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective, Role

_Points = dict[str, Array]
"""By layer, in the shape of its logits."""


class FirstOrder(eqx.Module):
    r"""For `HNCA(control=...)`: the mediated sum's linear expansion, around the means given the layer's parents.

    **Formula.** `M` is the sum of the components that a layer `Phi` reaches through its children `C`. In a pass in
    which `Phi` and all that comes after it take their means, and the rest what it has in the trace, `M` comes to `M_m`
    and has the partial derivatives `g1` by `Phi` and `g2` by `C`. The layer is credited with

    - `M - M_m - g1 (Phi - m) - g2 (C - m_C)`, mediated by `C`, for `M`;
    - `g1 Phi`, a direct component of contrast `g1`;
    - `g2 E[C | Phi]`, a function of `Phi` and `C`'s other parents, as an entropy is: its contrast is a sum over the
      children, `sum_j g2_j (sigmoid(a_j + delta_ij) - sigmoid(a_j))`.

    **Bias.** None, whatever `g1`, `g2` and `M_m` are: they have seen nothing of `Phi` or of what comes after it, and
    `C` and `E[C | Phi]` have the same mean. Where the expansion is no finite number, an example goes without.
    **Variance.** What is left is of second order in what varies. That is much where `M` is near linear over a draw, as
    a bound is of the layers above it; where it is not (few units of large weights, categories whose values have nothing
    in common) an expansion may add more than it takes away.
    **Cost.** For every layer with mediated components one forward and one backward pass from it on (the square of the
    depth in all), of the components that are mediated alone; a sum a mediating child, about the price of its message.
    Categorical children or parents, and conditionals that are not `Dense`, have the sum enumerated, like an entropy's.

    Takes out what is repeatable, and leaves a reward that is observed once as it is. Nothing changes for a layer
    without mediated components, whose credit is exact, nor for what REINFORCE credits.

    Example:
        ```python
        method = hnca.HNCA(hnca.RunningMean(), control=hnca.FirstOrder())
        bound, estimate = hnca.estimate(method, encoder, objective, {"image": images}, key=key)
        ```

    **Reference.** The expansion around a pass of means is that of Gu, Levine, Sutskever and Mnih, *MuProp: Unbiased
    backpropagation for stochastic neural networks*, 2016, there for REINFORCE and by the layer itself alone.
    """

    def check(self, objective: Objective, reached: Mapping[str, Sequence[Role]]) -> None:
        """Raises a ValueError if something is mediated, and none of it can be evaluated at means."""
        mediated = [objective.components[i] for roles in reached.values() for role in roles for i in _mediated(role)]
        if mediated and not any(component.repeatable for component in mediated):
            raise ValueError(
                f"FirstOrder: differentiates what is mediated by the values of the units, and all of it, "
                f"{sorted({str(component) for component in mediated})!r}, is observed once; expected a known function. "
                "Use hnca.HNCA with a baseline and without a control."
            )

    def corrected(
        self, network: Network, objective: Objective, trace: Trace, name: str, layer_roles: Sequence[Role]
    ) -> Objective:
        """Returns the objective that a layer is to be credited for: with terms whose gradients' expectations cancel.

        Args:
            network: the network.
            objective: what it is credited for without.
            trace: the forward pass.
            name: the layer.
            layer_roles: how it reaches the components.
        """
        expansions = [
            self._expansion(network, objective, trace, (name, *role.mediators), members)
            for role in layer_roles
            if (members := [i for i in _mediated(role) if objective.components[i].repeatable])
        ]
        if not expansions:
            return objective
        slopes = _summed([each.slopes for each in expansions])
        means = {layer: mean for each in expansions for layer, mean in each.means.items()}
        put_back: list[Component] = [LinearTerm({name: slopes.pop(name)}, jnp.zeros(trace.batch_shape, network.dtype))]
        put_back += [
            MeanTerm(network, child, slope, -inner(slope, means[child], trace)) for child, slope in slopes.items()
        ]
        return Objective(*objective.components, *(each.taken_out(trace) for each in expansions), *put_back)

    def _expansion(
        self, network: Network, objective: Objective, trace: Trace, around: tuple[str, ...], members: Sequence[int]
    ) -> "_Expansion":
        """Returns the expansion of some components by the points of a layer and its children."""

        def total(shifts: _Points) -> tuple[Float[Array, ""], tuple[Float[Array, "*batch"], _Points]]:
            means, points = self._pass_of_means(network, trace, around[0], shifts)
            value = objective.value_of(members, network, means)
            return jnp.sum(value), (value, {layer: points[layer] for layer in around})

        nothing = {layer: jnp.zeros_like(trace.logits[layer]) for layer in around}
        slopes, (value, points) = jax.grad(total, has_aux=True)(nothing)
        return _Expansion(value, slopes, points).where_finite(trace)

    def _pass_of_means(self, network: Network, trace: Trace, name: str, shifts: _Points) -> tuple[Trace, _Points]:
        """Returns the pass in which a layer and all after it take their means, and these.

        The derivative by the shift of a layer that has one is partial: what is before is held fixed.
        """
        points: _Points = {}

        def mean(layer: str, logits: Float[Array, "*logits"]) -> Float[Array, "*values"]:
            relaxation = relaxation_of(self, network.layers[layer])
            point = relaxation.soft(finite(logits))
            points[layer] = jax.lax.stop_gradient(point) + shifts[layer] if layer in shifts else point
            return relaxation.values(points[layer])

        return network.pass_after(mean, trace, name, mean(name, trace.logits[name])), points


class _Expansion(NamedTuple):
    """`value + sum <slope, point - mean>`."""

    value: Float[Array, "*batch"]
    slopes: _Points
    means: _Points

    def where_finite(self, trace: Trace) -> "_Expansion":
        """Returns it with 0 for all of an example of which something is infinite or no number."""
        sizes = [inner(jnp.abs(slope), jnp.ones_like(slope), trace) for slope in self.slopes.values()]
        known = jnp.isfinite(sum(sizes, jnp.abs(self.value)))

        def kept(array: Array) -> Array:
            return jnp.where(known.reshape(known.shape + (1,) * (array.ndim - known.ndim)), array, 0)

        return _Expansion(kept(self.value), jax.tree.map(kept, self.slopes), self.means)

    def taken_out(self, trace: Trace) -> LinearTerm:
        """Returns minus the expansion as a component."""
        at_means = sum(inner(slope, self.means[layer], trace) for layer, slope in self.slopes.items())
        return LinearTerm({layer: -slope for layer, slope in self.slopes.items()}, at_means - self.value)


def _mediated(role: Role) -> tuple[int, ...]:
    """Returns the components of a role that a control can do something for."""
    return () if role.opaque or not role.mediators else role.members


def _summed(parts: Sequence[_Points]) -> _Points:
    """Returns the sum over the expansions, layer by layer."""
    total: _Points = {}
    for part in parts:
        for layer, slope in part.items():
            total[layer] = total[layer] + slope if layer in total else slope
    return total
