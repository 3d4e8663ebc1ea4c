"""Weights of terms and of examples: exact by enumeration, in every pass, and never differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import BITS
from objectives import auto_encoder
from test_estimator_protocol import assert_close
from test_exact import largest_difference

import hnca
from hnca.exact import gradient, moments

WEIGHTS = np.array([0.5, 0.0, 2.0])


def weighted(objective, weight):
    return hnca.Objective(*(hnca.Weighted(term, weight) for term in objective.components))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("estimator", [hnca.HNCA(), hnca.REINFORCE(), hnca.NVIL(normalise=False)])
@pytest.mark.sweep
def test_a_weighted_term_is_the_exact_gradient_of_the_weighted_sum(estimator):
    """Against the sum of the terms' own gradients, each times its weight."""
    network, objective, inputs = auto_encoder(2, BITS)(jax.random.key(0))
    weights = [1.0, 0.25, -3.0, 2.0, 0.0]
    together = hnca.Objective(*(hnca.Weighted(*pair) for pair in zip(objective.components, weights, strict=True)))
    parts = [gradient(network, term, inputs) for term in objective.components]
    expected = jax.tree.map(lambda *leaves: sum(w * leaf for w, leaf in zip(weights, leaves, strict=True)), *parts)
    assert largest_difference(moments(estimator, network, together, inputs).mean, expected) < 1e-10


@pytest.mark.usefixtures("float64", "quick_compilation")
@pytest.mark.parametrize("estimator", [hnca.HNCA(), hnca.Exact(), hnca.LeaveOneOutHNCA(2), hnca.LeaveOneOut()])
@pytest.mark.sweep
def test_examples_are_weighted_in_every_pass(estimator):
    """Each example alone, of the same draws, times its weight; and so the decoder's gradient."""
    network, objective, inputs = auto_encoder(1, BITS)(jax.random.key(0))
    batch = {"image": jnp.stack([inputs["image"], 1 - inputs["image"], inputs["image"]])}
    trace = network.sample(jax.random.key(1), batch)

    def estimate(objective):
        return estimator(network, objective, trace, key=jax.random.key(2))

    found, plain = estimate(weighted(objective, WEIGHTS)), estimate(objective)
    np.testing.assert_allclose(found.value, WEIGHTS * plain.value, rtol=1e-10)
    for name, credit in plain.credits.items():
        np.testing.assert_allclose(found.credits[name], np.asarray(credit) * WEIGHTS[:, None], rtol=1e-10, atol=1e-12)
    for term, other in zip(found.objective_gradient.components, plain.objective_gradient.components, strict=True):
        assert float(jnp.max(jnp.abs(term.weight))) == 0
        assert len(jax.tree.leaves(term.component)) == len(jax.tree.leaves(other))
    one = np.array([0.0, 0.0, 1.0])
    alone = estimate(weighted(objective, one)).objective_gradient.components[1].component
    double = estimate(weighted(objective, 2 * one)).objective_gradient.components[1].component
    assert_close(double, jax.tree.map(lambda leaf: 2 * leaf, alone))


def test_a_weight_is_annealed_without_compiling_anew():
    network, objective, inputs = auto_encoder(1, BITS)(jax.random.key(0))
    count = 0

    @jax.jit
    def value(weight):
        nonlocal count
        count += 1
        term = hnca.Weighted(objective.components[0], weight)
        return hnca.estimate(hnca.HNCA(), network, term, inputs, key=jax.random.key(1))[0]

    np.testing.assert_allclose(3 * value(jnp.array(1.0)), value(jnp.array(3.0)), rtol=1e-6)
    assert count == 1


def test_what_cannot_be_a_weight_is_refused():
    network, objective, inputs = auto_encoder(1, BITS)(jax.random.key(0))
    trace = network.sample(jax.random.key(1), {"image": jnp.stack([inputs["image"]] * 4)})
    term = objective.components[0]
    with pytest.raises(ValueError, match=r"weight has shape \(3,\); expected \(\), one for all, or \(4,\)"):
        hnca.HNCA()(network, hnca.Weighted(term, WEIGHTS), trace)
    with pytest.raises(ValueError, match="Weighted: component=ELBO; expected one component"):
        hnca.Weighted(objective, 1.0)
    with pytest.raises(ValueError, match="weight has values that are NaN or infinite"):
        hnca.Weighted(term, jnp.inf)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("known", [0.0, 1.0])
@pytest.mark.sweep
def test_partly_labelled_data_by_two_networks_that_share_their_layers(known):
    """The recipe of `docs/method.md`: a label is a layer where it is unknown, and an input where it is known."""
    k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
    label = hnca.Categorical(hnca.Dense("x", 2, 3, key=k1))
    code = hnca.Bernoulli(hnca.Dense(("x", "label"), (2, 3), 2, key=k2))
    term = hnca.LogProb(hnca.Bernoulli(hnca.Dense("code", 2, 2, key=k3)), "x", inputs=("x",))
    x, taken = jnp.array([1.0, 0.0]), jnp.array([2])

    def parts(layers):
        inputs = {"x": x, "label": jax.nn.one_hot(taken[0], 3)}
        unknown = hnca.Network(layers, inputs={"x": 2})
        given = hnca.Network({"code": layers["code"]}, inputs={"x": 2, "label": 3})
        return [(unknown, hnca.Weighted(term, 1 - known), {"x": x}), (given, hnca.Weighted(term, known), inputs)]

    def surrogate(layers):
        total = 0.0
        for network, objective, inputs in parts(layers):
            trace = network.sample(jax.random.key(1), inputs)
            total += hnca.surrogate(network, objective, trace, hnca.Exact()(network, objective, trace))
        return total

    def exact(layers):
        place = int(known)
        network, objective, inputs = parts(layers)[place]
        return hnca.exact.value(network, objective.component, inputs)

    layers = {"label": label, "code": code}
    assert largest_difference(jax.grad(surrogate)(layers), jax.grad(exact)(layers)) < 1e-10
