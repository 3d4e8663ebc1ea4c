"""The evidence lower bound: its components, its decoder, its mistakes, and the bound of many samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objectives import OBJECTIVES

import hnca
from hnca.exact import expectation, joint_states
from hnca.experiments.auto_encoder.bounds import importance_weighted_bound

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEYS = jax.random.split(jax.random.key(0), 8)


def dense(parent, size, units, key):
    return hnca.Bernoulli(hnca.Dense(parent, size, units, key=key))


def encoder():
    layers = {"low": dense("image", 4, 3, KEYS[0]), "high": dense("low", 3, 2, KEYS[1])}
    return hnca.Network(layers, inputs={"image": 4})


def decoder(**changes):
    layers = {
        "image": dense("low", 3, 4, KEYS[2]),
        "low": dense("high", 2, 3, KEYS[3]),
        "high": hnca.Bernoulli(hnca.Free(2)),
    }
    return hnca.Network({name: layer for name, layer in {**layers, **changes}.items() if layer is not None})


def with_a_layer_of_its_own():
    return decoder(deep=dense("high", 2, 2, KEYS[4]))


MISTAKES = {
    "the decoder does not end in an observed input.*'image'": lambda: decoder(image=None),
    "the encoder's layer 'high' has no prior": lambda: hnca.Network(
        {"image": dense("low", 3, 4, KEYS[2]), "low": hnca.Bernoulli(hnca.Free(3))}
    ),
    "no layer of the decoder reads the encoder's layer 'high'": lambda: decoder(low=hnca.Bernoulli(hnca.Free(3))),
    r"the decoder's layers \['deep'\] are neither layers nor inputs": with_a_layer_of_its_own,
    "ELBO: the layer that scores 'image' has 5 units; expected its 4 numbers": lambda: decoder(
        image=dense("low", 3, 5, KEYS[2])
    ),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_names_the_layer(message):
    with pytest.raises(ValueError, match=message):
        hnca.ELBO(encoder(), MISTAKES[message]())


def test_the_decoder_comes_back_with_its_parameters():
    made = decoder()
    found = hnca.ELBO(encoder(), made).decoder
    assert found.order == made.order
    assert all(bool(jnp.all(a == b)) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(made), strict=True))


def test_explain_shows_how_each_component_reaches_each_layer():
    """Young 2022, Figure 2: the colours, in words."""
    shown = hnca.ELBO(encoder(), decoder()).explain(encoder())
    assert shown.splitlines() == [
        "                    low                high",
        "log p(high)         via high           direct",
        "log p(low | high)   direct + via high  direct",
        "log p(image | low)  direct             -",
        "H(low)              -                  -",
        "H(high | low)       direct             -",
    ]


def test_explain_tells_of_what_has_no_counterfactual():
    shown = hnca.Objective(hnca.Function(jnp.sum, "low", counterfactual="none")).explain(encoder())
    assert shown.splitlines()[1].split() == ["Function(low)", "score", "-"]


@pytest.mark.parametrize("name", ["1-layer auto-encoder", "3-layer auto-encoder"])
@pytest.mark.usefixtures("float64")
@pytest.mark.sweep
def test_the_log_weight_has_the_elbo_as_its_mean_and_the_likelihood_in_its_exponential(name):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    elbo = hnca.exact.value(network, objective, inputs)
    np.testing.assert_allclose(
        expectation(network, inputs, lambda t: objective.log_weight(network, t)), elbo, rtol=1e-12
    )
    likelihood = expectation(network, inputs, lambda t: jnp.exp(objective.log_weight(network, t)))
    states = joint_states(objective.decoder)
    same = jnp.all(states["image"] == inputs["image"][None], axis=-1)
    trace = objective.decoder.evaluate(states, same.shape)
    summed = jnp.sum(jnp.where(same, jnp.exp(objective.decoder.log_prob(trace)), 0.0))
    np.testing.assert_allclose(likelihood, summed, rtol=1e-12)


@pytest.mark.thorough
@pytest.mark.usefixtures("float64")
def test_more_samples_bring_the_bound_from_the_elbo_to_the_likelihood():
    """z-test of the mean over 4,000 examples at level 1e-6; then 4,000 samples for each of four."""
    network, objective, inputs = OBJECTIVES["2-layer auto-encoder"](jax.random.key(0))
    # Milder parameters, so that no few samples carry all of the likelihood.
    network, objective = jax.tree.map(lambda leaf: 0.3 * leaf, (network, objective))
    elbo = hnca.exact.value(network, objective, inputs)
    likelihood = jnp.log(expectation(network, inputs, lambda t: jnp.exp(objective.log_weight(network, t))))

    def bound(examples, samples):
        many = {name: jnp.broadcast_to(v, (examples, *v.shape)) for name, v in inputs.items()}
        return importance_weighted_bound(network, objective, many, samples, jax.random.key(1))

    one, thirteen, thousands = bound(4000, 1), bound(4000, 13), bound(4, 4000)
    assert abs(float(jnp.mean(one) - elbo)) < 4.9 * float(jnp.std(one)) / 4000**0.5
    assert float(elbo) < float(jnp.mean(thirteen)) < float(likelihood)
    np.testing.assert_allclose(thousands, jnp.full(4, likelihood), atol=0.05)
