"""The contract of an estimator."""

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca._keys import require_one_key, required_key
from hnca._network_arguments import require_network, require_pass
from hnca._precision import in_32_bits
from hnca._warning import warn_of_no_examples
from hnca.estimators._centring import unless_lost
from hnca.estimators._cost import Cost, whole_passes
from hnca.estimators._estimate import Combined as Combined
from hnca.estimators._estimate import Credits as Credits
from hnca.estimators._estimate import Estimate as Estimate
from hnca.estimators._estimate import Passes as Passes
from hnca.estimators._estimate import weighted_values
from hnca.estimators._requirements import require_state
from hnca.estimators._surrogate import direct_credits as direct_credits
from hnca.estimators._surrogate import gradient_of, held_fixed, with_inputs_of
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective, as_objective

# So that a key which drew the trace gives the estimator other numbers. Far from any number a user would fold in, and
# from 0, 1, ...: folding in i is what `jax.random.split` does for its i-th key.
OWN_KEYS = 0x686E6361


class Attribution(NamedTuple):
    """What an estimator finds before any backpropagation.

    Attributes:
        credits: of every layer.
        state: for the next call.
        trace: the forward pass, or passes, that the credits belong to.
        passes: these passes, where the estimator made them; None for the pass it was given.
    """

    credits: Credits
    state: PyTree
    trace: Trace
    passes: Passes | None


class Estimator(eqx.Module):
    """A way to estimate `dE[f]/dlogits` from a trace. It never touches parameters.

    Calling it with (network, objective, trace) returns an `Estimate`; subclasses say only how to get the credits.
    """

    def init(self, network: Network, objective: Objective | Component) -> PyTree:
        """Returns the state before the first call: arrays only, so that it can be carried through a scan.

        Most carry nothing from call to call, and begin with an empty state.
        """
        return {}

    @abstractmethod
    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        """Returns for every layer the credit, in the shape of its logits, and the new state."""

    def passes(self, network: Network, trace: Trace, key: Key[Array, ""] | None) -> Passes | None:
        """Returns the passes to credit, `trace` among them or not; None, as most do, for `trace` alone."""
        return None

    def combine(self, values: Float[Array, " passes *batch"], weights: Float[Array, " passes *batch"]) -> Combined:
        """Returns what the objective's values in the passes come to: as most have it, their weighted mean.

        Args:
            values: of the objective in every pass.
            weights: as in `Passes`.
        """
        return Combined(jnp.mean(weighted_values(values, weights), axis=0), weights)

    def unscaled(self) -> "Estimator":
        """Returns the estimator without scales of the layers' own; of most it is itself.

        For a program, where nothing says what of the derivative by a parameter is which draw's.
        """
        return self

    def scale_of_all(self, state: PyTree) -> Float[Array, ""] | None:
        """Returns what all of a program's gradient is multiplied with instead; None, as for most, for nothing.

        Args:
            state: before the call; None for the first.
        """
        return None

    def most_counterfactuals(self) -> int | None:
        """Returns how many an example and layer has evaluated where there is no closed form; None, as most, for all."""
        return None

    def reevaluations(self, network: Network, objective: Objective | Component) -> int:
        """Returns how many other values of units are evaluated for want of a closed form, beside what it `cost`s.

        In each of them whatever has no closed form is evaluated; of most 0, as they ask for no counterfactuals.
        """
        return 0

    def cost(self, network: Network) -> Cost:
        """Returns what one estimate takes: of most the one forward pass, evaluated once (see `reevaluations` too)."""
        return whole_passes(1)

    def __call__(
        self,
        network: Network,
        objective: Objective | Component,
        trace: Trace,
        *,
        key: Key[Array, ""] | None = None,
        state: PyTree = None,
    ) -> Estimate:
        """Returns the estimate for one batch.

        Args:
            network: the network that made the trace.
            objective: what to increase.
            trace: one forward pass, as `network.sample` returns it.
            key: for estimators that draw samples of their own; a number of the estimator's is folded into it, so that
                even the key that drew the trace gives other samples.
            state: the state an earlier call returned; None begins with `init`.

        Raises:
            ValueError: for what is no network, no pass or no objective; if the objective names layers that the network
                has not, or its values have another shape than the trace's batch.
        """
        require_pass(type(self).__name__, network, trace)
        whole = as_objective(objective)
        if 0 in trace.batch_shape:
            warn_of_no_examples()
        for component in whole.components:
            component.check(network, trace)
        found = self.attribute(network, whole, trace, key=key, state=state)
        # Under a caller's `jax.grad` nothing here is differentiated: that is what `surrogate` is for.
        network, whole, passed = held_fixed((network, whole, found.trace))
        combine = None if found.passes is None else partial(self.combine, weights=found.passes.weights)
        (gradient, objective_gradient), combined = gradient_of((network, whole), passed, found.credits, combine)
        trace = with_inputs_of(network, trace, passed)
        return Estimate(
            gradient, objective_gradient, found.credits, combined.value, found.state, trace, combined.weights
        )

    def attribute(
        self,
        network: Network,
        objective: Objective,
        trace: Trace,
        *,
        key: Key[Array, ""] | None = None,
        state: PyTree = None,
    ) -> Attribution:
        """Returns the credits alone, for a caller that does its own backpropagation; arguments as for `__call__`."""
        if state is None:
            state = self.init(network, objective)
        else:
            require_state(self, jax.eval_shape(lambda: self.init(network, objective)), state)
        network, objective, trace = held_fixed((network, objective, trace))
        require_one_key(type(self).__name__, "key", key)
        key = None if key is None else jax.random.fold_in(key, OWN_KEYS)
        passes = self.passes(network, trace, key)
        if passes is not None:
            # That key has been used: its splits have made the passes.
            key, trace = None if key is None else jax.random.fold_in(key, OWN_KEYS), passes.trace
            passes = passes._replace(weights=in_32_bits(passes.weights))
        passed = trace
        # Credits are small differences of sums. The passes are handed on with the bits that the network has.
        if jnp.finfo(network.dtype).bits < 32:
            network, objective, trace = in_32_bits((network, objective, trace))
        credits, learned = self.credit(network, objective, trace, key, state)
        return Attribution(credits, unless_lost(learned, state, credits), passed, passes)


def estimate(
    estimator: Estimator,
    network: Network,
    objective: Objective | Component,
    inputs: Mapping[str, Any],
    *,
    key: Key[Array, ""],
    state: PyTree = None,
    batch_shape: tuple[int, ...] | None = None,
) -> tuple[Float[Array, ""], Estimate]:
    """Samples the network and returns the objective's mean and the estimate of its gradient.

    For objectives whose value needs no environment. `key` is split into one for the sample and one for the estimator.

    Raises:
        ValueError: for what is no estimator, no network or no key; else as `Network.sample` and the estimator.
    """
    if not isinstance(estimator, Estimator):
        raise ValueError(f"estimate: estimator is a {type(estimator).__name__}; expected one such as hnca.HNCA().")
    require_network("estimate", network)
    sample_key, estimator_key = jax.random.split(required_key("estimate", key))
    trace = network.sample(sample_key, inputs, batch_shape)
    found = estimator(network, objective, trace, key=estimator_key, state=state)
    return jnp.mean(found.value), found
