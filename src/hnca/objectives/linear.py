"""A linear map of one layer and an elementwise activation (Young 2022, Algorithm 3)."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._names import layer_names
from hnca._options import floats_of_rank, require_callable
from hnca.network import Network, Trace
from hnca.objectives._base import Component


class Linear(Component):
    """`sum_k activation(features @ weight + bias)_k` of one layer.

    The contrast shifts the pre-activations by one row of the weight a unit, as in Young 2022, Algorithm 3, a unit at a
    time.

    Attributes:
        weight: `[features, outputs]`, a parameter of the objective.
        bias: `[outputs]`.
        activation: elementwise.
    """

    weight: Float[Array, "features outputs"]
    bias: Float[Array, " outputs"]
    activation: Callable[[Array], Array] = eqx.field(static=True)
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(
        self,
        of: str,
        weight: Float[Array, "features outputs"],
        bias: Float[Array, " outputs"],
        activation: Callable[[Array], Array] = lambda x: x,
    ):
        """Args:
        of: the layer it reads.
        weight: `[features, outputs]`.
        bias: `[outputs]`.
        activation: any elementwise function; by default the identity.

        Raises:
            ValueError: for what is no layer's name, no floats of these shapes, or no function.
        """
        require_callable("Linear", "activation", activation, "the sums")
        self.arguments = layer_names("Linear", "of", of)
        if len(self.arguments) > 1:
            raise ValueError(f"Linear: of={of!r}; expected one layer.")
        self.weight = floats_of_rank("Linear", "weight", weight, 2, "[features, outputs]")
        self.bias = floats_of_rank("Linear", "bias", bias, 1, "[outputs]")
        if self.weight.shape[1:] != self.bias.shape:
            raise ValueError(
                f"Linear: bias of shape {self.bias.shape}; expected {self.weight.shape[1:]}, a number for every column "
                f"of weight, {self.weight.shape}."
            )
        self.activation = activation
        self.counterfactual = True
        self.repeatable = True

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        return jnp.sum(self.activation(self._pre_activation(network, trace)), axis=-1)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        above, taken = network.layers[layer], trace[layer]
        before = self._pre_activation(network, trace)
        alternatives = above.alternative_values(network.dtype)
        weights = self.weight.reshape(above.units, -1, self.weight.shape[-1])

        def of_unit(unit: tuple[Array, Array]) -> Float[Array, " alternatives *batch"]:
            weight, values = unit
            here = above.encode(values[..., None], network.dtype) @ weight
            changed = [jnp.full((*values.shape, 1), value, taken.dtype) for value in alternatives]
            there = [above.encode(value, network.dtype) @ weight for value in changed]
            return jnp.stack([jnp.sum(self.activation(before - here + shifted), axis=-1) for shifted in there])

        results = jax.lax.map(of_unit, (weights, jnp.moveaxis(taken, -1, 0)))
        return above.contrast(jnp.moveaxis(results, (0, 1), (-2, -1)), taken)

    def _pre_activation(self, network: Network, trace: Trace) -> Float[Array, "*batch outputs"]:
        product = network.features(trace.values, self.arguments[0]) @ self.weight
        return product + self.bias.reshape((1,) * (product.ndim - 1) + self.bias.shape)
