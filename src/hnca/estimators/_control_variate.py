"""Unbiased estimators whose control variate is a relaxation, adapted while they are used to vary less."""

import math
from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from hnca._options import is_number
from hnca._precision import at_least_float32
from hnca.estimators._adaptation import AdaptationState, adapted, mean_square
from hnca.estimators._base import Credits, Estimator
from hnca.estimators._concrete import NoisyLayer, noisy_layers, relaxed_pass
from hnca.estimators._cost import Cost, passes_from_each_layer
from hnca.estimators._downstream import downstream_members, over_logits
from hnca.estimators._relaxation import finite
from hnca.estimators._requirements import require_key, require_repeatable
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective


class Parameters(NamedTuple):
    """What is adapted.

    Attributes:
        log_temperature: of the relaxation.
        scale: what the relaxed objective is multiplied with.
        surrogates: for every layer the arrays of a learned function; empty where there is none.
    """

    log_temperature: Float[Array, ""]
    scale: Float[Array, ""]
    surrogates: dict[str, PyTree]


class RelaxedControlVariate(Estimator):
    """REINFORCE less a control variate `c(z)` of relaxed units, whose expectation's derivative is added back.

    Each layer is treated alone: what comes before it is as in the trace, and everything after it is relaxed too.
    """

    temperature: eqx.AbstractVar[float]
    scale: eqx.AbstractVar[float]
    learning_rate: eqx.AbstractVar[float]

    def __check_init__(self):
        for name, value in (("temperature", self.temperature), ("learning_rate", self.learning_rate)):
            least = 0 if name == "learning_rate" else math.ulp(0.0)
            if not is_number(value) or not least <= value < math.inf:
                expected = "a number of at least 0" if name == "learning_rate" else "a number above 0"
                raise ValueError(f"{type(self).__name__}: {name}={value!r}; expected {expected}.")
        if not is_number(self.scale) or not math.isfinite(self.scale):
            raise ValueError(f"{type(self).__name__}: scale={self.scale!r}; expected a finite number.")

    @abstractmethod
    def initial_surrogates(self, network: Network) -> dict[str, PyTree]:
        """Returns the learned functions' arrays before the first call, by layer, in float32 at least."""

    @abstractmethod
    def control(
        self,
        parameters: Parameters,
        name: str,
        mean: Float[Array, "*logits"],
        point: Float[Array, "*logits"],
        relaxed_value: Float[Array, "*batch"],
    ) -> Float[Array, "*batch"]:
        """Returns the control variate of one layer, a differentiable function of its relaxed point.

        Args:
            parameters: what is adapted.
            name: the layer.
            mean: the layer's probabilities, held fixed.
            point: the relaxed one, between 0 and 1; each unit's sum to 1 if it is categorical.
            relaxed_value: the objective, of what the layer can change, with it and all after it relaxed.
        """

    def init(self, network: Network, objective: Objective | Component) -> AdaptationState:
        dtype = at_least_float32(network.dtype)
        parameters = Parameters(
            jnp.asarray(math.log(self.temperature), dtype),
            jnp.asarray(self.scale, dtype),
            self.initial_surrogates(network),
        )
        return AdaptationState(parameters, self._adam.init(parameters))

    def cost(self, network: Network) -> Cost:
        return passes_from_each_layer(network, 2)

    def credit(
        self,
        network: Network,
        objective: Objective,
        trace: Trace,
        key: Key[Array, ""] | None,
        state: AdaptationState,
    ) -> tuple[Credits, AdaptationState]:
        members = downstream_members(network, objective)
        require_repeatable(self, objective)
        noisy = noisy_layers(self, network, trace, require_key(self, key, "the relaxation is"))

        def second_moment(parameters: Parameters) -> tuple[Float[Array, ""], Credits]:
            used = jax.tree.map(lambda leaf: leaf.astype(network.dtype), parameters)
            credits = {
                name: self._credit_layer(used, network, objective, trace, name, indices, noisy)
                for name, indices in members.items()
            }
            return mean_square(credits, trace.batch_shape), credits

        # The credits are made with the state as it was: one adapted to this very noise would bias them.
        slope, credits = jax.grad(second_moment, has_aux=True)(state.parameters)
        # Of an empty batch there is nothing to learn.
        return credits, adapted(self._adam, state, slope) if math.prod(trace.batch_shape) else state

    def _credit_layer(
        self,
        parameters: Parameters,
        network: Network,
        objective: Objective,
        trace: Trace,
        name: str,
        members: tuple[int, ...],
        noisy: dict[str, NoisyLayer],
    ) -> Float[Array, "*logits"]:
        logits = trace.logits[name]
        if not members:
            return jnp.zeros_like(logits)
        relaxation, logits = noisy[name].relaxation, finite(logits)
        hard, mean = relaxation.point(trace[name], logits), relaxation.soft(logits)
        temperature = jnp.exp(parameters.log_temperature)

        def value(at: Trace) -> Float[Array, "*batch"]:
            return objective.value_of(members, network, at)

        def control(scores: Float[Array, "*logits"]) -> Float[Array, "*batch"]:
            point = relaxation.soft(scores / temperature)
            relaxed = relaxed_pass(noisy, network, trace, name, point, temperature)
            return self.control(parameters, name, mean, point, value(relaxed))

        def difference(moving: Float[Array, "*logits"]) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
            given_value = control(relaxation.scores_given(noisy[name].conditional, moving, hard))
            return control(moving + noisy[name].prior) - given_value, given_value

        change, pull, given_value = jax.vjp(difference, logits, has_aux=True)
        (correction,) = pull(jnp.ones_like(change))
        score = network.layers[name].score(logits, trace[name])
        return score * over_logits(value(trace) - given_value, logits) + correction

    @property
    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)
