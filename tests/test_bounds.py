"""Other estimators of the bound of several samples than VIMCO: local DisARM, and reweighted wake-sleep."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import NETWORKS, reward_of
from objectives import OBJECTIVES
from test_exact import arrays, largest_difference
from test_vimco import MAKERS, bound_and_gradients, over_tuples

import hnca
from hnca.estimators import Passes

pytestmark = pytest.mark.usefixtures("float64", "quick_compilation")


class OfTheseSamples(hnca.ReweightedWakeSleep):
    """Reweighted wake-sleep of samples that are given, stacked in the trace."""

    def passes(self, network, trace, key):
        return Passes(trace, jnp.ones(trace.batch_shape, network.dtype))


@pytest.mark.parametrize(("name", "count"), [("1 layer", 40_000), ("2 layers", 10_000)])
@pytest.mark.thorough
def test_drawn_samples_of_local_disarm_give_the_bound_and_its_gradients(name, count):
    """z-tests of the value and every parameter of both networks, level 1e-6 over all of them (Bonferroni)."""
    network, objective, inputs = MAKERS[name](jax.random.key(0))

    def draw(key):
        trace_key, own_key = jax.random.split(key)
        estimate = hnca.LocalDisARM(2)(network, objective, network.sample(trace_key, inputs), key=own_key)
        return arrays((estimate.value, estimate.gradient, estimate.objective_gradient))

    drawn = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), count))
    expected = arrays(eqx.filter_jit(bound_and_gradients)((network, objective), inputs, 2))
    for sample, exact in zip(drawn, expected, strict=True):
        deviation = (jnp.mean(sample, axis=0) - exact) / (jnp.std(sample, axis=0) / count**0.5 + 1e-12)
        assert float(jnp.max(jnp.abs(deviation))) < 5.6


def of_tuples(network, objective, inputs, samples):
    """Returns what reweighted wake-sleep expects, over all tuples of joint states, of both networks' parameters."""

    def term(trace):
        estimate = OfTheseSamples(samples)(network, objective, trace)
        probability = jnp.exp(jnp.sum(network.log_prob(trace)))
        results = arrays(estimate.gradient), arrays(estimate.objective_gradient)
        return jax.tree.map(lambda leaf: probability * leaf, results)

    return eqx.filter_jit(over_tuples)(network, inputs, samples, term)


def by_definition(network, objective, inputs, samples, log_weight):
    """Returns the same by weights and log-probabilities written out, and the gradients of these by AD."""

    def term(trace):
        weights = jax.lax.stop_gradient(jax.nn.softmax(log_weight(objective, network, trace)))
        probability = jnp.exp(jnp.sum(network.log_prob(trace)))

        @eqx.filter_grad
        def ascended(trained):
            encoder, model = trained
            again = encoder.evaluate(trace.values, (samples,))
            log_q = encoder.log_prob(again)
            held = jax.lax.stop_gradient(encoder)
            return jnp.sum(weights * (log_q + log_weight(model, held, trace)))

        return jax.tree.map(lambda leaf: probability * leaf, arrays(ascended((network, objective))))

    return eqx.filter_jit(over_tuples)(network, inputs, samples, term)


def of_elbo(objective, network, trace):
    return objective.log_weight(network, trace)


def of_likelihood(objective, network, trace):
    return objective.value(network, trace)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("prior", [False, True], ids=["encoder", "prior as proposal"])
@pytest.mark.sweep
def test_both_phases_ascend_what_they_say(name, prior):
    """EM, if the network is the prior and the proposal (Tang and Salakhutdinov 2013). All pairs of samples."""
    network, objective, inputs = MAKERS[name](jax.random.key(0))
    if prior:
        terms = [c for c in objective.components if isinstance(c, hnca.LogProb) and c.value_name == "image"]
        objective = hnca.Objective(*terms)
    found = of_tuples(network, objective, inputs, 2)
    expected = by_definition(network, objective, inputs, 2, of_likelihood if prior else of_elbo)
    assert len(expected) == sum(map(len, found))
    for one, other in zip([*found[0], *found[1]], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)
    assert all(max(float(jnp.max(jnp.abs(leaf))) for leaf in part) > 1e-2 for part in found)


@pytest.mark.thorough
def test_it_is_biased_and_consistent():
    """The encoder's part, against the gradient of the posterior's expectation of log q, for 2, 3 and 4 samples."""
    network, objective, inputs = MAKERS["1 layer"](jax.random.key(0))
    evidence = hnca.exact.expectation(network, inputs, lambda trace: jnp.exp(objective.log_weight(network, trace)))

    @jax.grad
    def wanted(trained):
        def term(trace):
            share = jax.lax.stop_gradient(jnp.exp(objective.log_weight(network, trace)) / evidence)
            return share * trained.log_prob(trained.evaluate(trace.values, ()))

        return hnca.exact.expectation(network, inputs, term)

    exact = arrays(wanted(network))
    errors = [largest_difference(of_tuples(network, objective, inputs, k)[0], exact) for k in (2, 3, 4)]
    assert errors[0] > 1.1 * errors[1] > 1.1**2 * errors[2] > 1e-3
    of_bound = bound_and_gradients((network, objective), inputs, 2)[1][0]
    assert largest_difference(of_tuples(network, objective, inputs, 2)[0], arrays(of_bound)) > 0.01


@pytest.mark.parametrize("kind", [hnca.LocalDisARM, hnca.ReweightedWakeSleep])
def test_other_objectives_are_refused_with_the_reason(kind):
    network, analytic, inputs = OBJECTIVES["2-layer auto-encoder"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    with pytest.raises(ValueError, match=rf"{kind.__name__}: .*value has to be the log weight.*expected hnca.ELBO\("):
        eqx.filter_eval_shape(kind(), network, analytic, trace, key=jax.random.key(2))
    sampled = OBJECTIVES["auto-encoder with sampled entropies"](jax.random.key(0))[1]
    with pytest.raises(ValueError, match=f"{kind.__name__}: key=None; expected a key"):
        eqx.filter_eval_shape(kind(), network, sampled, trace)
    with pytest.raises(ValueError, match=f"{kind.__name__}: samples=1; expected at least 2"):
        kind(samples=1)
    network, inputs = NETWORKS["chain of 0 and 1"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    with pytest.raises(ValueError, match="observed once does not allow; use HNCA or REINFORCE"):
        eqx.filter_eval_shape(kind(), network, reward_of(trace), trace, key=jax.random.key(2))


@pytest.mark.parametrize("kind", [hnca.LocalDisARM, hnca.ReweightedWakeSleep])
@pytest.mark.sweep
def test_log_weights_far_apart_stay_finite(kind):
    network, objective, inputs = MAKERS["1 layer"](jax.random.key(0))
    network = jax.tree.map(lambda leaf: 3000 * leaf, network)
    trace = network.sample(jax.random.key(1), {"image": jnp.broadcast_to(inputs["image"], (50, 3))})
    estimate = eqx.filter_jit(kind())(network, objective, trace, key=jax.random.key(2))
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in arrays(estimate))


def test_the_sleep_phase_learns_from_what_the_model_dreams():
    """A z-test of its gradient against the sum over all that can be dreamt, level 1e-6 over all parameters."""
    encoder, objective, _ = MAKERS["2 layers"](jax.random.key(0))
    decoder, count = objective.decoder, 20_000
    sizes = {name: layer.units for name, layer in decoder.layers.items()}
    bits = jnp.stack(jnp.meshgrid(*[jnp.arange(2.0)] * sum(sizes.values()), indexing="ij"), axis=-1)
    split = jnp.split(bits.reshape(-1, sum(sizes.values())), np.cumsum(list(sizes.values()))[:-1].tolist(), axis=1)
    every = {
        n: decoder.layers[n].alternative_values(jnp.float64)[v.astype(int)] for n, v in zip(sizes, split, strict=True)
    }
    shape = (len(bits.reshape(-1, sum(sizes.values()))),)
    probability = jnp.exp(decoder.log_prob(decoder.evaluate(every, shape)))
    np.testing.assert_allclose(jnp.sum(probability), 1.0, rtol=1e-12)

    def loss(encoder, dreams, batch):
        return -jnp.mean(encoder.log_prob(encoder.evaluate(dreams, batch)))

    @jax.vmap
    def slept(key):
        return arrays(eqx.filter_grad(loss)(encoder, decoder.sample(key, {}, (1,)).values, (1,)))

    def expected(encoder):
        return -jnp.sum(probability * encoder.log_prob(encoder.evaluate(every, shape)))

    drawn = jax.jit(slept)(jax.random.split(jax.random.key(1), count))
    for sample, exact in zip(drawn, arrays(eqx.filter_grad(expected)(encoder)), strict=True):
        deviation = (jnp.mean(sample, axis=0) - exact) / (jnp.std(sample, axis=0) / count**0.5 + 1e-12)
        assert float(jnp.max(jnp.abs(deviation))) < 5.6
