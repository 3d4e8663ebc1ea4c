"""Mixed objectives and shared weights, by enumeration in float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from cases import CASES
from networks import NETWORKS, randomised, reward_of
from test_exact import arrays, largest_difference, shifted

import hnca
from hnca.exact import expectation, gradient, moments

pytestmark = pytest.mark.usefixtures("float64")


def mixed(network, trace):
    """An observed reward, the entropy of the policy, and a cost on the units that are on."""
    hidden = network.order[0]
    cost = hnca.Function(lambda units: -0.3 * jnp.sum(units), hidden)
    return hnca.Objective(reward_of(trace), hnca.Entropy(network, "action"), cost)


@pytest.mark.parametrize("name", ["chain of -1 and 1", "branching", "convolutional"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.sweep
def test_an_observed_reward_and_known_regularisers_together(case, name):
    network, inputs = NETWORKS[name](jax.random.key(0))
    estimator = CASES[case].estimator
    objective = mixed(network, network.sample(jax.random.key(0), inputs))
    state = shifted(estimator.init(network, objective))
    found = moments(estimator, network, lambda t: mixed(network, t), inputs, state).mean
    assert largest_difference(found, gradient(network, lambda t: mixed(network, t), inputs)) < 1e-10


def test_each_part_of_a_mixture_goes_by_its_own_rule():
    network, inputs = NETWORKS["chain of -1 and 1"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    lines = mixed(network, trace).explain(network).splitlines()
    assert lines[0].split() == ["first", "second", "action"]
    assert lines[1].split("  ", 1)[1].split() == ["via", "second", "via", "action", "score"]
    assert lines[3].split("  ", 1)[1].split() == ["direct", "-", "-"]


class Recurrence(eqx.Module):
    """What a recurrent network learns: one cell, and one read-out, both used at every step."""

    cell: hnca.Dense
    policy: hnca.Dense

    def unrolled(self):
        """Two steps: a state that remembers, and an action at each step."""
        layers = {}
        for step, before in ((1, "state0"), (2, "state1")):
            layers[f"state{step}"] = hnca.Bernoulli(renamed(self.cell, (f"seen{step}", before)), (-1, 1))
            layers[f"action{step}"] = hnca.Categorical(renamed(self.policy, (f"state{step}",)))
        return hnca.Network(layers, inputs={"state0": 2, "seen1": 2, "seen2": 2})


def renamed(dense, parents):
    """Returns a dense conditional with the same weights that reads other parents."""
    copy = hnca.Dense(parents, dense.parent_sizes, dense.out_features, key=jax.random.key(0))
    return eqx.tree_at(lambda d: (d.weights, d.bias), copy, (dense.weights, dense.bias))


def returned(trace):
    """One reward a step, the second of which depends on both actions."""
    first, second = (jnp.sum(trace[f"action{step}"]).astype(jnp.float64) for step in (1, 2))
    early = hnca.Reward("action1", jnp.sin(2 * first))
    late = hnca.Reward(("action1", "action2"), jnp.cos(first + 3 * second))
    return hnca.Objective(early, late)


@pytest.mark.parametrize("case", ["HNCA", "HNCA with a running mean", "REINFORCE"])
def test_gradients_add_up_over_the_uses_of_shared_weights(case):
    """A network unrolled over two steps: credits belong to the uses, backpropagation adds them."""
    k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
    cell = hnca.Dense(("seen", "before"), (2, 2), 2, key=k1)
    recurrence = randomised(Recurrence(cell, hnca.Dense("state", 2, 3, key=k2)), k3)
    inputs = {"state0": jnp.zeros(2), "seen1": jnp.array([1.0, -0.5]), "seen2": jnp.array([0.2, 1.0])}
    estimator = CASES[case].estimator

    def estimate(trace):
        credits = estimator(recurrence.unrolled(), returned(trace), trace).credits
        held = trace.values
        return jax.grad(
            lambda r: hnca.surrogate(r.unrolled(), returned(trace), r.unrolled().evaluate(held, ()), credits)
        )(recurrence)

    found = expectation(recurrence.unrolled(), inputs, estimate)
    exact = jax.grad(lambda r: hnca.exact.value(r.unrolled(), returned, inputs))(recurrence)
    assert largest_difference(found, exact) < 1e-10
    assert all(float(jnp.max(jnp.abs(leaf))) > 1e-3 for leaf in arrays(exact))
