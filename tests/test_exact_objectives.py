"""Known functions, by enumeration in float64: unbiased to 1e-10, and never more variable than REINFORCE."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES
from objectives import OBJECTIVES
from test_exact import arrays, largest_difference

import hnca
from hnca.exact import gradient, moments
from hnca.messages import contrast_by_enumeration

pytestmark = pytest.mark.usefixtures("float64")


SOME = ("scattered over branching", "2-layer auto-encoder")
EVERYWHERE = [(case, name) for case in CASES for name in OBJECTIVES if CASES[case].everywhere or name in SOME]


@pytest.mark.parametrize(("case", "name"), EVERYWHERE)
@pytest.mark.sweep
def test_expectation_is_the_exact_gradient(case, name):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    estimator = CASES[case].estimator
    state = jax.tree.map(
        lambda leaf: leaf + 0.7 if eqx.is_inexact_array(leaf) else leaf, estimator.init(network, objective)
    )
    expected = moments(estimator, network, objective, inputs, state).mean
    assert largest_difference(expected, gradient(network, objective, inputs)) < 1e-10


@pytest.mark.parametrize("name", [*SOME, "3-layer auto-encoder"])
@pytest.mark.sweep
def test_each_component_varies_no_more_than_under_reinforce(name):
    """Young 2022, Appendix I, for every component by itself."""
    network, objective, inputs = OBJECTIVES[name](jax.random.key(1))

    def credits(trace):
        """Of each estimator, for every component alone."""
        return [
            [estimator(network, component, trace).credits for component in objective.components]
            for estimator in (hnca.HNCA(), hnca.REINFORCE())
        ]

    ours, reinforce = exact_variance(network, inputs, credits)
    for one, other in zip(ours, reinforce, strict=True):
        for layer in network.order:
            assert np.all(one[layer] <= other[layer] * (1 + 1e-12) + 1e-14)


def exact_variance(network, inputs, credits):
    """Returns the variance of the credit on every logit, given what is upstream averaged in."""

    def powers(trace):
        first = credits(trace)
        return first, jax.tree.map(jnp.square, first)

    mean, square = hnca.exact.expectation(network, inputs, powers)
    return jax.tree.map(lambda s, m: np.asarray(s - m**2), square, mean)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.sweep
def test_every_contrast_is_the_enumerated_one(name):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(2))
    batched = {key: jnp.broadcast_to(value, (2, 3, *value.shape)) for key, value in inputs.items()}
    trace = network.sample(jax.random.key(3), batched, (2, 3))

    @jax.jit
    def both(trace):
        """Of every component and layer its contrast, and the enumerated one."""
        pairs = []
        for component in objective.components:

            def value(values, component=component):
                return component.value(network, network.evaluate(values, (2, 3)))

            for layer in component.arguments if component.counterfactual else ():
                enumerated = contrast_by_enumeration(value, network, trace, layer)
                pairs.append((component.contrast(network, trace, layer), enumerated))
        return pairs

    for found, expected in both(trace):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.sweep
def test_the_elbo_is_a_bound_and_its_decoder_learns(depth):
    network, objective, inputs = OBJECTIVES[f"{depth}-layer auto-encoder"](jax.random.key(4))
    generated, entropies = objective.components[: depth + 1], objective.components[depth + 1 :]

    def one_state(trace):
        joint = sum(component.value(network, trace) for component in generated)
        return jnp.exp(joint - network.log_prob(trace)), sum(e.value(network, trace) for e in entropies)

    evidence, entropy = hnca.exact.expectation(network, inputs, one_state)
    bound = hnca.exact.value(network, objective, inputs)
    assert bound < jnp.log(evidence)
    log_q = hnca.exact.expectation(network, inputs, network.log_prob)
    np.testing.assert_allclose(entropy, -log_q, rtol=1e-10)

    def by_decoder(candidate):
        return hnca.exact.value(network, candidate, inputs)

    exact = eqx.filter_grad(by_decoder)(objective)
    mean = hnca.exact.expectation(
        network, inputs, lambda trace: arrays(hnca.HNCA()(network, objective, trace).objective_gradient)
    )
    for a, b in zip(arrays(exact), mean, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
