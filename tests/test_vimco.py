"""The bound of several samples: unbiased by enumeration of all of them together, and drawn as it says by z-tests."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import BITS, NETWORKS, reward_of
from objectives import OBJECTIVES, auto_encoder
from test_exact import arrays, largest_difference

import hnca
from hnca.estimators import Passes
from hnca.exact import joint_states
from hnca.experiments.data.images import Images
from hnca.experiments.methods import estimator_of as named
from hnca.experiments.settings import SettingsError, VAESettings
from hnca.experiments.vae import VAE
from hnca.variance import gradient_variance, mean_gradient_variance

pytestmark = pytest.mark.usefixtures("float64", "quick_compilation")

MAKERS = {
    "1 layer": auto_encoder(1, BITS, hnca.SampledEntropy),
    "2 layers": OBJECTIVES["auto-encoder with sampled entropies"],
}


class OfTheseSamples(hnca.VIMCO):
    """VIMCO of samples that are given, stacked in the trace."""

    def passes(self, network, trace, key):
        return Passes(trace, jnp.ones(trace.batch_shape, network.dtype))


def over_tuples(network, inputs, samples, function):
    """Returns the sum of the function of a trace over every tuple of joint states, stacked along a first axis."""
    states = jax.tree.map(jnp.asarray, joint_states(network))
    count = len(next(iter(states.values())))
    tuples = jnp.stack(jnp.unravel_index(jnp.arange(count**samples), (count,) * samples), axis=-1)
    repeated = {name: jnp.broadcast_to(value, (samples, *value.shape)) for name, value in inputs.items()}

    def of_tuple(places):
        values = {name: state[places] for name, state in states.items()}
        return function(network.evaluate({**repeated, **values}, (samples,)))

    every = jax.lax.map(of_tuple, tuples, batch_size=512)
    return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), every)


def exact_bound(network, objective, inputs, samples):
    """Returns the bound, by its definition: nothing in it is the estimator's."""

    def term(trace):
        weights = jnp.exp(objective.log_weight(network, trace))
        return jnp.exp(jnp.sum(network.log_prob(trace))) * jnp.log(jnp.sum(weights) / samples)

    return over_tuples(network, inputs, samples, term)


@eqx.filter_value_and_grad
def bound_and_gradients(trained, inputs, samples):
    return exact_bound(*trained, inputs, samples)


@pytest.mark.parametrize(("name", "samples"), [("1 layer", 2), ("1 layer", 3), ("2 layers", 2)])
@pytest.mark.sweep
def test_all_samples_enumerated_give_the_bound_and_its_gradients(name, samples):
    network, objective, inputs = MAKERS[name](jax.random.key(0))

    def term(trace):
        estimate = OfTheseSamples(samples)(network, objective, trace)
        probability = jnp.exp(jnp.sum(network.log_prob(trace)))
        results = estimate.value, arrays(estimate.gradient), arrays(estimate.objective_gradient)
        return jax.tree.map(lambda leaf: probability * leaf, results)

    found = eqx.filter_jit(over_tuples)(network, inputs, samples, term)
    bound, gradients = eqx.filter_jit(bound_and_gradients)((network, objective), inputs, samples)
    assert abs(float(found[0] - bound)) < 1e-10
    for part, exact in zip(found[1:], gradients, strict=True):
        assert largest_difference(part, arrays(exact)) < 1e-10
        assert max(float(jnp.max(jnp.abs(leaf))) for leaf in part) > 1e-2


def test_the_prior_as_proposal_gives_the_bound_of_the_conditional_likelihood():
    """Tang and Salakhutdinov 2013: `log mean_k p(y | h_k)`, all pairs of samples and the bound by its definition."""
    network, objective, inputs = MAKERS["1 layer"](jax.random.key(0))
    likelihood = objective.components[1]
    assert str(likelihood) == "log p(image | latent1)"

    def terms(trained, trace):
        network, (decoder,) = trained[0], trained[1].components
        logits = decoder.layer.logits((trace["latent1"],), (2,))
        weights = jnp.exp(jnp.sum(decoder.layer.log_prob(logits, trace["image"]), axis=-1))
        again = network.evaluate(trace.values, (2,))
        return jnp.exp(jnp.sum(network.log_prob(again))) * jnp.log(jnp.sum(weights) / 2)

    @eqx.filter_value_and_grad
    def exact(trained):
        return over_tuples(trained[0], inputs, 2, lambda trace: terms(trained, trace))

    def term(trace):
        estimate = OfTheseSamples(2)(network, likelihood, trace)
        results = estimate.value, arrays(estimate.gradient), arrays(estimate.objective_gradient)
        return jax.tree.map(lambda leaf: jnp.exp(jnp.sum(network.log_prob(trace))) * leaf, results)

    found = eqx.filter_jit(over_tuples)(network, inputs, 2, term)
    bound, gradients = eqx.filter_jit(exact)((network, hnca.Objective(likelihood)))
    assert abs(float(found[0] - bound)) < 1e-10
    for part, expected in zip(found[1:], gradients, strict=True):
        assert largest_difference(part, arrays(expected)) < 1e-10
        assert max(float(jnp.max(jnp.abs(leaf))) for leaf in part) > 1e-3


def test_the_bound_rises_from_the_elbo_towards_the_evidence():
    network, objective, inputs = MAKERS["1 layer"](jax.random.key(0))
    bounds = [exact_bound(network, objective, inputs, samples) for samples in (1, 2, 3)]
    np.testing.assert_allclose(bounds[0], hnca.exact.value(network, objective, inputs), rtol=1e-12)
    evidence = hnca.exact.expectation(network, inputs, lambda trace: jnp.exp(objective.log_weight(network, trace)))
    assert bounds[0] + 0.01 < bounds[1] < bounds[2] < jnp.log(evidence)


def test_drawn_samples_give_the_bound_and_its_gradients():
    """z-tests of the value and every parameter of both networks, level 1e-6 over all of them (Bonferroni)."""
    network, objective, inputs = MAKERS["1 layer"](jax.random.key(0))
    count = 40_000

    def draw(key):
        trace_key, own_key = jax.random.split(key)
        estimate = hnca.VIMCO(3)(network, objective, network.sample(trace_key, inputs), key=own_key)
        return arrays((estimate.value, estimate.gradient, estimate.objective_gradient))

    drawn = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), count))
    expected = arrays(eqx.filter_jit(bound_and_gradients)((network, objective), inputs, 3))
    for sample, exact in zip(drawn, expected, strict=True):
        deviation = (jnp.mean(sample, axis=0) - exact) / (jnp.std(sample, axis=0) / count**0.5 + 1e-12)
        assert float(jnp.max(jnp.abs(deviation))) < 5.6


def test_credits_are_those_of_the_paper():
    """Mnih and Rezende 2016, Eqs 8 to 10, written out for three samples."""
    network, objective, inputs = MAKERS["1 layer"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), {"image": jnp.broadcast_to(inputs["image"], (3, 3))})
    estimate = OfTheseSamples(3)(network, objective, trace)
    log_weights = np.asarray(objective.log_weight(network, trace))
    weights = np.exp(log_weights)
    for k in range(3):
        others = np.delete(weights, k)
        without = np.log((others.sum() + math.sqrt(others.prod())) / 3)
        score = trace["latent1"][k] - jax.nn.sigmoid(trace.logits["latent1"][k])
        expected = 3 * score * (np.log(weights.mean()) - without)
        np.testing.assert_allclose(estimate.credits["latent1"][k], expected, rtol=1e-10)
    np.testing.assert_allclose(estimate.weights, 3 * weights / weights.sum(), rtol=1e-12)
    np.testing.assert_allclose(estimate.value, np.log(weights.mean()), rtol=1e-12)


def test_log_weights_far_apart_stay_finite():
    network, objective, inputs = MAKERS["1 layer"](jax.random.key(0))
    network = jax.tree.map(lambda leaf: 3000 * leaf, network)
    image = jnp.broadcast_to(inputs["image"], (50, 3))
    estimate = hnca.VIMCO()(
        network, objective, network.sample(jax.random.key(1), {"image": image}), key=jax.random.key(2)
    )
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in arrays(estimate))


def test_the_variance_has_the_weights_of_the_samples_in_it():
    """Of credits and weighted direct credits, against the gradients of the examples one by one."""
    network, objective, inputs = MAKERS["2 layers"](jax.random.key(0))
    batch = {"image": jnp.stack([inputs["image"], 1 - inputs["image"], jnp.ones(3)])}
    estimate = eqx.filter_jit(hnca.VIMCO(4))(
        network, objective, network.sample(jax.random.key(1), batch), key=jax.random.key(2)
    )
    direct = hnca.direct_credits(network, objective, estimate.trace, estimate.weights)
    credits = jax.tree.map(jnp.add, estimate.credits, direct)

    def of_example(values):
        return OfTheseSamples(4)(network, objective, network.evaluate(values, (4,))).gradient

    alone = eqx.filter_jit(jax.vmap(of_example, in_axes=1))(estimate.trace.values)
    expected = jax.tree.map(lambda leaf: jnp.var(leaf, axis=0), alone)
    found = gradient_variance(network, estimate.trace, credits, passes=4)
    for name in network.order:
        assert largest_difference(found[name], expected.layers[name].conditional) < 1e-12
    mean = mean_gradient_variance(network, estimate.trace, credits, estimate.gradient, passes=4)
    every = jnp.concatenate([leaf.ravel() for leaf in arrays(expected)])
    np.testing.assert_allclose(mean, jnp.mean(every), rtol=1e-10)


def test_the_experiment_measures_the_variance_of_the_whole_gradient():
    """The credits it measures are those that make the gradient: their mean is that of the biases."""
    experiment = VAE(3, 1, entropy="sampled")
    trained, method = experiment.build(2, jax.random.key(0)), named("vimco")
    batch = Images(jnp.zeros((4, 784)).at[:2].set(1.0), jnp.zeros(4, int))
    keys = jax.random.key(1), jax.random.key(2)
    found = eqx.filter_jit(experiment.estimate)(trained, method, batch, keys, method.init(*trained))
    assert found.estimate.passes == 5
    for name, layer in found.network.layers.items():
        gradient = found.estimate.gradient.layers[name].conditional.bias
        assert layer.units == 3
        np.testing.assert_allclose(jnp.mean(found.credits[name], axis=(0, 1)), gradient, rtol=1e-4, atol=1e-5)


def test_other_objectives_are_refused_with_the_reason():
    network, analytic, inputs = OBJECTIVES["2-layer auto-encoder"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    sampled = OBJECTIVES["auto-encoder with sampled entropies"](jax.random.key(0))[1]
    more = hnca.Objective(*sampled.components, hnca.Function(jnp.sum, "latent1"))
    for objective in (analytic, more):
        with pytest.raises(ValueError, match=r"value has to be the log weight.*expected hnca.ELBO\(.*SampledEntropy\)"):
            hnca.VIMCO()(network, objective, trace, key=jax.random.key(2))
    with pytest.raises(ValueError, match="VIMCO: key=None; expected a key"):
        hnca.VIMCO()(network, sampled, trace)
    with pytest.raises(ValueError, match="VIMCO: samples=1; expected at least 2"):
        hnca.VIMCO(samples=1)
    network, inputs = NETWORKS["chain of 0 and 1"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    with pytest.raises(ValueError, match="observed once does not allow; use HNCA or REINFORCE"):
        hnca.VIMCO()(network, reward_of(trace), trace, key=jax.random.key(2))


def test_the_command_line_needs_sampled_entropies():
    with pytest.raises(SettingsError, match="--estimators vimco: expected --entropy sampled"):
        VAESettings(estimators=("hnca", "vimco"))
    assert VAESettings(estimators=("hnca", "vimco"), entropy="sampled").all_estimators == ("hnca", "vimco")
