"""NVIL: REINFORCE with a learned, input-dependent baseline and a running scale, each layer with its own signal."""

import dataclasses
import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from hnca._options import is_number, require_flag
from hnca._precision import at_least_float32
from hnca.baselines import _regression as regression
from hnca.baselines._regression import Regression
from hnca.estimators._base import Credits, Estimator, direct_credits
from hnca.estimators._centring import input_size, inputs_seen
from hnca.estimators._downstream import downstream_values, scored
from hnca.network import Network, Trace
from hnca.objectives import Component, Entropy, Objective, Reward, SampledEntropy, Weighted, as_objective
from hnca.units import Categorical


class Signal(NamedTuple):
    """What is known of one layer's learning signal, in float32 at least.

    Attributes:
        baseline: what is learned of it from the inputs and the layer's parents.
        mean: running mean of what the baseline leaves, `[]`.
        variance: running mean of its square, `[]`.
    """

    baseline: Regression
    mean: Float[Array, ""]
    variance: Float[Array, ""]


class NVIL(Estimator):
    r"""The score-function estimator of neural variational inference and learning.

    **Formula.** For a layer with score `s`, and `f` the sum of the components it can change, the credit is
    `s(x) (f - C(seen) - c) / max(1, sqrt(v))`: `C` is a network of one hidden layer of 100 tanh units, trained by
    regression with Adam on `f - c`; `c` and `v` are running means of `f - C` and of the square of what is left.
    Every layer has a `C`, `c` and `v` of its own. `C` reads the inputs of the network and the layer's parents (in the
    paper, of layers in a row, the layer below alone). The derivative of the objective by the layer's logits themselves
    (of an analytic entropy), which the direct part of the gradient has whole, is brought to the same scale by the
    credit, so that all of the layer's gradient has one; in the paper entropies are sampled, and nothing is direct.
    In a program nothing says what of the derivative by a parameter is which draw's: there the whole gradient has one
    scale, that of the draw with the largest `v`.

    **Bias.** None in direction, layer by layer, and of a program as a whole: `C`, `c` and `v` come from batches before
    (in the paper `c` and `v` have seen this one). With `normalise` the layer's gradient, or all of a program's, is
    divided by a number of at least 1, a learning rate of its own; without it, it is unbiased. What made the network's
    inputs gets, by `hnca.surrogate`, the parts of all layers, each at its scale.
    **Cost.** One forward pass, one evaluation of the objective, and for each layer a small network on what it sees.
    Learns from rewards that are observed once, too.

    Example:
        ```python
        estimate = hnca.NVIL()(network, hnca.Reward("action", reward), trace, state=state)
        ```

    **Reference.** Mnih and Gregor, *Neural variational inference and learning in belief networks*, 2014, Sections
    2.3 to 2.5 and Algorithm 1.

    Attributes:
        normalise: whether to divide by the running standard deviation where it is above 1. An embedding that several
            layers or components read has no one scale then, and is a ValueError.
        decay: of the running means, in [0, 1).
        learning_rate: of the baselines.
    """

    normalise: bool = eqx.field(static=True, default=True)
    decay: float = eqx.field(static=True, default=0.8)
    learning_rate: float = eqx.field(static=True, default=1e-3)

    def __check_init__(self):
        if not is_number(self.decay) or not 0 <= self.decay < 1:
            raise ValueError(f"NVIL: decay={self.decay!r}; expected a number in [0, 1).")
        if not is_number(self.learning_rate) or not 0 < self.learning_rate < math.inf:
            raise ValueError(f"NVIL: learning_rate={self.learning_rate!r}; expected a positive number.")
        require_flag("NVIL", "normalise", self.normalise)

    def init(self, network: Network, objective: Objective | Component) -> PyTree:
        if self.normalise:
            _require_one_scale(network, as_objective(objective))
        dtype = at_least_float32(network.dtype)
        sizes = {name: input_size(network) + _parent_size(network, name) for name in network.order}

        def zero() -> Float[Array, ""]:
            """One for each, so that a state can be donated to the next update."""
            return jnp.zeros((), dtype)

        return {n: Signal(regression.begin(size, dtype, self._adam), zero(), zero()) for n, size in sizes.items()}

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        credits, new_state = {}, {}
        inputs = inputs_seen(network, trace)
        direct = direct_credits(network, objective, trace) if self.normalise else None
        for name, value in downstream_values(network, objective, trace).items():
            signal = state[name]
            if value is None or value.size == 0:
                credits[name], new_state[name] = scored(network, trace, name, None), signal
                continue
            seen = jnp.concatenate([inputs, *_parents_seen(network, trace, name)], axis=-1).astype(signal.mean.dtype)
            observed = value.astype(signal.mean.dtype)
            left = observed - regression.predict(signal.baseline, seen)
            scale = self._scale(signal)
            credits[name] = scored(network, trace, name, ((left - signal.mean) * scale).astype(value.dtype))
            if direct is not None:
                credits[name] -= (1 - scale).astype(value.dtype) * direct[name]
            new_state[name] = self._observed(signal, seen, observed, left)
        return credits, new_state

    def unscaled(self) -> "NVIL":
        return dataclasses.replace(self, normalise=False)

    def scale_of_all(self, state: PyTree) -> Float[Array, ""] | None:
        if not self.normalise or state is None:
            return None
        return jnp.min(jnp.stack([self._scale(signal) for signal in state.values()]))

    def _scale(self, signal: Signal) -> Float[Array, ""]:
        ones = jnp.ones_like(signal.variance)
        return 1 / jnp.maximum(ones, jnp.sqrt(signal.variance)) if self.normalise else ones

    def _observed(
        self, signal: Signal, seen: Float[Array, "*batch size"], value: Float[Array, "*batch"], left: Array
    ) -> Signal:
        """Returns the signal's state after a batch."""
        mean = self.decay * signal.mean + (1 - self.decay) * jnp.mean(left)
        variance = self.decay * signal.variance + (1 - self.decay) * jnp.mean((left - mean) ** 2)
        baseline = regression.learn(signal.baseline, seen, value - mean, self._adam)
        return Signal(baseline, mean, variance)

    @property
    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)


def _require_one_scale(network: Network, objective: Objective) -> None:
    """Raises a ValueError for an embedding whose derivative comes by several layers, each of which has another scale.

    By a layer that reads it, it comes at that layer's scale, and by a component at its own.
    """
    for name, layer in network.layers.items():
        if isinstance(layer, Categorical) and layer.embedding is not None:
            components = [c for c in objective.components if name in c.arguments and _reads_features(c)]
            readers = [*network.children(name), *map(str, components)]
            if len(readers) > 1:
                raise ValueError(
                    f"NVIL: the embedding of layer {name!r} is read by {', '.join(readers)}, each of which has a scale "
                    "of its own, so that its gradient would point elsewhere; expected normalise=False, or one reader."
                )


def _reads_features(component: Component) -> bool:
    """Returns whether a component reads what its arguments show, and not the logits of a layer alone, or nothing."""
    while isinstance(component, Weighted):
        component = component.component
    return not isinstance(component, Entropy | SampledEntropy | Reward)


def _parent_layers(network: Network, name: str) -> list[str]:
    """Returns the parents of a layer that are layers."""
    return [parent for parent in network.layers[name].conditional.parents if parent in network.layers]


def _parent_size(network: Network, name: str) -> int:
    return sum(network.layers[parent].features for parent in _parent_layers(network, name))


def _parents_seen(network: Network, trace: Trace, name: str) -> list[Float[Array, "*batch features"]]:
    return [network.features(trace.values, parent) for parent in _parent_layers(network, name)]
