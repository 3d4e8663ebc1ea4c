"""RELAX: REINFORCE with the concrete relaxation and a learned function as its control variate."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hnca._options import is_count
from hnca._precision import at_least_float32
from hnca.estimators._adaptation import hidden_layer, hidden_of
from hnca.estimators._control_variate import Parameters, RelaxedControlVariate
from hnca.network import Network


class RELAX(RelaxedControlVariate):
    r"""`REBAR` with a small network for every layer added to the control variate.

    **Formula.** As `REBAR`, whose `scale * f(s(z))` becomes `c(z) = scale * f(s(z)) + r(s(z), a)`: the credit is
    `score(b) (f(b) - c(z')) + d/da c(z) - d/da c(z')`. `r` reads the layer's relaxed values and, held fixed, its
    probabilities; it has one layer of hyperbolic tangents, and its last weights start at 0, so that at first this is
    `REBAR`. Temperature, scale and all that `r` has are adapted together, as `REBAR` adapts its two.

    **Bias.** None, whatever `r` is, if the objective is continuous in the relaxed values. **Cost.** As `REBAR`, and
    `hidden_units * logits` multiplications a layer and example for `r`. Needs an objective that can be evaluated on
    relaxed values.

    Example:
        ```python
        method = hnca.RELAX(hidden_units=32)
        bound, estimate = hnca.estimate(method, encoder, objective, {"image": images}, key=key)
        bound, estimate = hnca.estimate(method, encoder, objective, inputs, key=key2, state=estimate.state)
        ```

    **Reference.** Grathwohl, Choi, Wu, Roeder and Duvenaud, *Backpropagation through the void: Optimizing control
    variates for black-box gradient estimation*, 2018.

    Attributes:
        temperature: of the relaxation at first, above 0.
        scale: of the relaxed objective at first; 0 leaves the control variate to `r`.
        learning_rate: of the adaptation; 0 leaves everything as it is.
        hidden_units: of `r`, at least 1.
        seed: of the first weights of `r`.

    Raises:
        ValueError: as `REBAR`, and for fewer than one hidden unit.
    """

    temperature: float = eqx.field(static=True, default=0.5)
    scale: float = eqx.field(static=True, default=1.0)
    learning_rate: float = eqx.field(static=True, default=1e-3)
    hidden_units: int = eqx.field(static=True, default=32)
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if not is_count(self.hidden_units, 1):
            raise ValueError(f"RELAX: hidden_units={self.hidden_units!r}; expected at least 1.")
        if not is_count(self.seed):
            raise ValueError(f"RELAX: seed={self.seed!r}; expected a whole number.")

    def initial_surrogates(self, network: Network) -> dict[str, PyTree]:
        keys = network.layer_keys(jax.random.key(self.seed))
        return {name: self._surrogate(network, name, key) for name, key in keys.items()}

    def control(
        self,
        parameters: Parameters,
        name: str,
        mean: Float[Array, "*logits"],
        point: Float[Array, "*logits"],
        relaxed_value: Float[Array, "*batch"],
    ) -> Float[Array, "*batch"]:
        surrogate = parameters.surrogates[name]
        both = [
            part.reshape(*relaxed_value.shape, math.prod(part.shape[relaxed_value.ndim :])) for part in (point, mean)
        ]
        # Centred, so that tanh is not driven to one side by many units.
        seen = 2 * jnp.concatenate(both, axis=-1) - 1
        return parameters.scale * relaxed_value + hidden_of(surrogate, seen) @ surrogate["output"]

    def _surrogate(self, network: Network, name: str, key: Array) -> dict[str, Array]:
        inputs, dtype = 2 * network.layers[name].conditional.out_features, at_least_float32(network.dtype)
        # An array each, so that a state can be donated to the next update.
        return {**hidden_layer(key, inputs, self.hidden_units, dtype), "output": jnp.zeros(self.hidden_units, dtype)}
