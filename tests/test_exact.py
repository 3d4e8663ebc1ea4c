"""Enumeration in float64: what estimators expect, to 1e-10, and how much they vary, exactly."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES
from networks import NETWORKS, reward_of

import hnca
from hnca.exact import gradient, joint_states, moments

pytestmark = pytest.mark.usefixtures("float64")
SEEDS = (0, 1)
SOME = ("branching", "categorical chain")


def arrays(tree):
    return jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))


def largest_difference(left, right):
    return max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(arrays(left), arrays(right), strict=True))


def shifted(state):
    """Returns a state with its baselines away from where they begin."""
    return jax.tree.map(lambda leaf: leaf + 0.7 if eqx.is_inexact_array(leaf) else leaf, state)


def fresh_or_used_state(estimator, network):
    """Returns a state with baselines away from 0, so that a baseline that biases would show."""
    state = estimator.init(network, hnca.Objective(hnca.Reward("action", jnp.zeros(()))))
    return shifted(state)


class SlightlyWrong(hnca.Estimator):
    """HNCA with the credit of one layer off by a thousandth: wrong, and no test may miss it."""

    def init(self, network, objective):
        return {}

    def credit(self, network, objective, trace, key, state):
        credits, state = hnca.HNCA().credit(network, objective, trace, key, state)
        name = network.order[0]
        return {**credits, name: credits[name] * 1.001}, state


EVERYWHERE = [(case, name) for case in CASES for name in NETWORKS if CASES[case].everywhere or name in SOME]


@pytest.mark.parametrize(("case", "name"), EVERYWHERE)
@pytest.mark.sweep
def test_expectation_is_the_exact_gradient(case, name):
    network, inputs = NETWORKS[name](jax.random.key(0))
    estimator = CASES[case].estimator
    state = fresh_or_used_state(estimator, network)
    expected = moments(estimator, network, reward_of, inputs, state).mean
    assert largest_difference(expected, gradient(network, reward_of, inputs)) < 1e-10


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.sweep
def test_a_slightly_wrong_estimator_fails(name):
    network, inputs = NETWORKS[name](jax.random.key(0))
    expected = moments(SlightlyWrong(), network, reward_of, inputs).mean
    assert largest_difference(expected, gradient(network, reward_of, inputs)) > 1e-8


DOMINATING = [name for name, case in CASES.items() if case.dominates_reinforce and name != "REINFORCE"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("case", DOMINATING)
@pytest.mark.sweep
def test_no_parameter_varies_more_than_under_reinforce(case, name, seed):
    """Young 2022, Theorem 1."""
    network, inputs = NETWORKS[name](jax.random.key(seed))
    ours = moments(CASES[case].estimator, network, reward_of, inputs).variance
    reinforce = moments(hnca.REINFORCE(), network, reward_of, inputs).variance
    for a, b in zip(arrays(ours), arrays(reinforce), strict=True):
        assert np.all(a <= b * (1 + 1e-12) + 1e-14)


@pytest.mark.parametrize("name", ["chain of -1 and 1", "branching"])
def test_hnca_varies_less_than_reinforce_in_the_hidden_layers(name):
    network, inputs = NETWORKS[name](jax.random.key(0))
    total = {
        estimator: sum(float(jnp.sum(leaf)) for leaf in arrays(moments(estimator(), network, reward_of, inputs)[1]))
        for estimator in (hnca.HNCA, hnca.REINFORCE)
    }
    assert total[hnca.HNCA] < 0.6 * total[hnca.REINFORCE]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.sweep
def test_posterior_is_the_conditional_on_the_markov_blanket(name):
    """Young 2022, Eq 2, against the enumerated conditional given every other unit."""
    network, inputs = NETWORKS[name](jax.random.key(5))
    states = joint_states(network)

    @jax.jit
    def both(states):
        return {layer: posterior_and_conditional(network, inputs, states, layer) for layer in network.order}

    for layer, (posterior, conditional) in both(states).items():
        if isinstance(network.layers[layer], hnca.Bernoulli):
            conditional = conditional[..., 1]
        np.testing.assert_allclose(posterior, conditional, rtol=0, atol=1e-12)


def posterior_and_conditional(network, inputs, states, layer):
    trace, conditional = enumerated_conditional(network, inputs, states, layer)
    children = network.children(layer)
    total = sum((hnca.message(network, trace, child, layer) for child in children), trace.logits[layer] * 0)
    return network.layers[layer].posterior(trace.logits[layer], total), conditional


def enumerated_conditional(network, inputs, states, layer):
    """Returns the trace of all states, and for each of their units its conditional given all the others."""
    count = len(next(iter(states.values())))
    batched = {name: jnp.broadcast_to(value, (count, *value.shape)) for name, value in inputs.items()}
    trace = network.evaluate({**batched, **states}, (count,))
    family = network.layers[layer]
    joint = []
    for unit in range(family.units):
        changed = [states[layer].at[:, unit].set(v) for v in family.alternative_values(network.dtype)]
        traces = [network.evaluate({**batched, **states, layer: values}, (count,)) for values in changed]
        joint.append(jnp.stack([network.log_prob(t) for t in traces], axis=-1))
    return trace, jax.nn.softmax(jnp.stack(joint, axis=-2))


def test_joint_states_are_all_different_and_their_probabilities_add_up():
    network, inputs = NETWORKS["categorical hidden"](jax.random.key(1))
    states = joint_states(network)
    rows = np.concatenate([np.asarray(values, float) for values in states.values()], axis=1)
    assert len(np.unique(rows, axis=0)) == len(rows) == 3**2 * 2**2 * 3
    total = hnca.exact.expectation(network, inputs, lambda trace: jnp.ones(()))
    np.testing.assert_allclose(total, 1, rtol=1e-12)


def test_too_many_states_are_refused():
    network = hnca.Network({"wide": hnca.Bernoulli(hnca.Free(17))})
    with pytest.raises(ValueError, match="131072 joint states; expected at most 65536"):
        joint_states(network)


def test_the_exact_gradient_agrees_with_finite_differences():
    network, inputs = NETWORKS["branching"](jax.random.key(2))
    direction = jax.tree.map(jnp.cos, network)
    step = 1e-5

    def value(size):
        moved = jax.tree.map(lambda p, d: p + size * d, network, direction)
        return hnca.exact.value(moved, reward_of, inputs)

    slope = sum(
        jnp.sum(g * d) for g, d in zip(arrays(gradient(network, reward_of, inputs)), arrays(direction), strict=True)
    )
    np.testing.assert_allclose((value(step) - value(-step)) / (2 * step), slope, rtol=1e-7)
