"""Every estimator on a network with a masked category and with units that are certain: infinite logits."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import ALL_CASES, LOG_WEIGHT
from networks import randomised

import hnca
from hnca.exact import expectation, gradient

pytestmark = pytest.mark.usefixtures("float64")
ONLY_BERNOULLI = ("ARMS", "MuProp")
# All but those that are another with a baseline, or less pruned.
CONTROLLED = "HNCA with a first-order control"
KINDS = [CONTROLLED, *(name for name in ALL_CASES if not name.startswith(("HNCA with", "REINFORCE with")))]
UNBIASED = ("HNCA", CONTROLLED, "REINFORCE", "NVIL")


class Masked(eqx.Module):
    """A linear map whose output is minus infinity in one place."""

    weight: jax.Array
    place: int = eqx.field(static=True)

    def __call__(self, seen):
        outputs = self.weight @ seen
        return jnp.where(jnp.arange(outputs.size) == self.place, -jnp.inf, outputs)


def masked(top):
    """x -> two units and one that is never up -> a family with a masked place, and an observed y that reads both."""
    first = hnca.Bernoulli(hnca.Apply(Masked(jnp.zeros((3, 2)), 1), "x", 3), (-1, 1))
    above = top(hnca.Apply(Masked(jnp.zeros((3, 3)), 0), "h", 3))
    network = randomised(hnca.Network({"h": first, "z": above}, inputs={"x": 2, "y": 2}), jax.random.key(0))
    inputs = {"x": jnp.array([0.4, -1.0]), "y": jnp.array([1.0, 0.0])}
    below = hnca.Bernoulli(hnca.Dense(("h", "z"), (3, 3), 2, key=jax.random.key(1)))
    wave = hnca.Function(lambda h, z: jnp.sin(jnp.sum(h) + z @ jnp.arange(1.0, 4.0)), ("h", "z"))
    terms = wave, hnca.LogProb(below, "y", inputs=("y",)), hnca.Entropy(network, "z"), hnca.SampledEntropy(network, "h")
    return network, hnca.Objective(*terms), inputs


@pytest.mark.sweep
@pytest.mark.parametrize("name", KINDS)
def test_it_is_finite_and_leaves_what_is_masked_alone(name):
    network, objective, inputs = masked(hnca.Bernoulli if name in ONLY_BERNOULLI else hnca.Categorical)
    if ALL_CASES[name].objective == LOG_WEIGHT:
        objective = objective.components[1]

    def estimated(key):
        batched = {k: jnp.broadcast_to(v, (5, *v.shape)) for k, v in inputs.items()}
        trace = network.sample(key, batched)
        found = ALL_CASES[name].estimator(network, objective, trace, key=jax.random.key(2))
        return found.credits, found.gradient, found.objective_gradient, found.value, found.state

    found = eqx.filter_jit(estimated)(jax.random.key(3))
    for leaf in jax.tree.leaves(found):
        assert jnp.all(jnp.isfinite(leaf))
    assert jnp.all(found[0]["z"][..., 0] == 0)
    if name != "ARM":  # whose credits of units that are certain are 0 on average only
        assert jnp.all(found[0]["h"][..., 1] == 0)


def test_unbiased_ones_expect_the_gradient():
    network, objective, inputs = masked(hnca.Categorical)

    def gradients(trace):
        return {name: ALL_CASES[name].estimator(network, objective, trace).gradient for name in UNBIASED}

    expected = gradient(network, objective, inputs)
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(expected))
    every = network.sample(jax.random.key(0), {k: v[None] for k, v in inputs.items()})
    found = {**expectation(network, inputs, gradients), "Exact": hnca.Exact()(network, objective, every).gradient}
    for name, one in found.items():
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("wish", ["auto", "jax"])
@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.sweep
def test_contrasts_beside_children_that_are_certain(wish, conv, monkeypatch):
    """Of infinite logits, which a bias of infinity makes, against enumeration."""
    monkeypatch.setenv("HNCA_KERNEL", wish)
    above = hnca.Bernoulli(hnca.Free(3), (-1, 1))
    if conv:
        conditional = hnca.Conv("above", (1, 1, 3), 4, 1, key=jax.random.key(0))
    else:
        conditional = hnca.Dense("above", 3, 4, key=jax.random.key(0))
    bias = jnp.array([0.3, -jnp.inf, jnp.inf, -1.0])
    conditional = eqx.tree_at(lambda c: c.bias, conditional, bias)
    network = hnca.Network({"above": above, "below": hnca.Bernoulli(conditional)})
    trace = network.sample(jax.random.key(1), {}, (4,))

    def total(of):
        return lambda values: jnp.sum(of(network.evaluate(values, (4,))), axis=-1)

    layer = network.layers["below"]
    entropy = total(lambda trace: layer.entropy(trace.logits["below"]))
    likelihood = total(lambda trace: layer.log_prob(trace.logits["below"], trace["below"]))
    found = hnca.Entropy(network, "below").contrast(network, trace, "above")
    by_enumeration = hnca.messages.contrast_by_enumeration
    np.testing.assert_allclose(found, by_enumeration(entropy, network, trace, "above"), atol=1e-12)
    found = hnca.message(network, trace, "below", "above")
    np.testing.assert_allclose(found, by_enumeration(likelihood, network, trace, "above"), atol=1e-12)
