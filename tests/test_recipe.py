"""Recipes of the auto-encoder: what is learned from, by what steps, and what is told of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, logit

import hnca
from hnca.experiments.auto_encoder.bounds import test_measures as measures_of
from hnca.experiments.auto_encoder.free_bits import FreeBits, bernoulli_divergence
from hnca.experiments.auto_encoder.learned import gradient_like, kl_weight, learned_objective
from hnca.experiments.data.images import Images
from hnca.experiments.optimisers import ascent
from hnca.experiments.settings import (
    BanditSettings,
    CompareSettings,
    OptimiserSettings,
    RecipeSettings,
    SettingsError,
    VAESettings,
)
from hnca.experiments.store.configuration import differences
from hnca.experiments.vae import VAE

IMAGES = Images(jnp.asarray([[0, 255], [255, 255], [0, 0], [51, 255]], jnp.uint8), jnp.zeros(4, jnp.int32))


def built(layers=1, recipe=RecipeSettings(), width=3):  # noqa: B008 - it cannot be changed
    experiment = VAE(width, 2, image_shape=(1, 2), recipe=recipe)
    return experiment, experiment.build(layers, jax.random.key(0))


def steps_of(settings, gradients, rate=None, updates=1):
    optimiser = ascent(settings, rate, updates)
    state, steps = optimiser.init(jnp.zeros(1)), []
    with jax.numpy_dtype_promotion("standard"):
        for gradient in gradients:
            step, state = optimiser.update(jnp.asarray([gradient]), state, jnp.zeros(1))
            steps.append(float(step[0]))
    return steps


def test_rates_rise_and_fall_update_by_update():
    by_sign = {"optimiser": "sgd", "learning_rate": 0.5}
    assert steps_of(OptimiserSettings(**by_sign), [2.0, -1.0]) == [1.0, -0.5]
    rising = steps_of(OptimiserSettings(**by_sign, rate_warm_up=2), [1.0] * 6, updates=2)
    np.testing.assert_allclose(rising, [0, 0.125, 0.25, 0.375, 0.5, 0.5])
    falling = steps_of(OptimiserSettings(**by_sign, rate_decay=2), [1.0] * 5, updates=2)
    np.testing.assert_allclose(falling, [0.25 * (1 + np.cos(np.pi * t / 4)) for t in range(5)], atol=1e-7)
    assert steps_of(OptimiserSettings(**by_sign), [1.0], rate=2.0) == [2.0]


def test_optimisers_are_what_they_are_called():
    for name, first in (("adam", 0.1), ("adamax", 0.1), ("rmsprop", 0.1 / 0.001**0.5)):
        np.testing.assert_allclose(steps_of(OptimiserSettings(0.1, name), [3.0]), [first], rtol=1e-4)
    np.testing.assert_allclose(steps_of(OptimiserSettings(0.1, epsilon=3.0), [3.0]), [0.05], rtol=1e-5)
    assert steps_of(OptimiserSettings(0.1, decays=(0.0, 0.999)), [3.0, 0.0])[1] == 0


def test_the_divergences_weight_rises_as_the_recipe_says():
    def weights(epochs, **recipe):
        return [float(kl_weight(RecipeSettings(**recipe), jnp.asarray(float(n)))) for n in epochs]

    assert weights([0, 50]) == [1, 1]
    assert weights([0, 50], kl_weight=0.5) == [0.5, 0.5]
    assert weights([0, 1, 4, 9], kl_warm_up=4) == [0, 0.25, 1, 1]
    assert weights([0, 1, 2, 9], kl_weight=0.5, kl_hold=2) == [0.5, 0.5, 1, 1]
    assert weights([0, 2, 3, 4, 9], kl_weight=0.5, kl_hold=2, kl_warm_up=2) == [0.5, 0.5, 0.75, 1, 1]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.sweep
def test_a_weighted_bound_has_the_weighted_gradient(layers):
    """By enumeration: with a weight w it is w times the bound's gradient and 1 - w times the reconstruction's."""
    with jax.enable_x64(True):
        _, trained = built(layers, width=2)
        encoder, bound = trained
        inputs = {"image": jnp.asarray([1.0, 0.0])}

        def exactly(objective):
            def value(trained):
                encoder, objective = trained
                return hnca.exact.value(encoder, objective, inputs)

            return eqx.filter_grad(value)((encoder, objective))

        weight = 0.3
        learned = learned_objective(trained, jnp.asarray(weight), 0.0)
        by_encoder, by_learned = exactly(learned)
        # The bound scores the image in one of its terms.
        (place,) = [n for n, term in enumerate(bound.components) if getattr(term, "value_name", "") == "image"]
        whole, scored = exactly(bound), exactly(hnca.Objective(bound.components[place]))

        def mixed(a, b):
            return weight * a + (1 - weight) * b

        wanted = jax.tree.map(mixed, whole[0], scored[0])
        assert eqx.tree_equal(by_encoder, wanted, rtol=1e-10, atol=1e-12)
        found, of_bound = gradient_like(bound, by_learned), whole[1]
        assert jax.tree.structure(eqx.filter(found, eqx.is_array)) == jax.tree.structure(of_bound)
        for n, term in enumerate(found.components):
            factor = 1 if n == place else weight
            scaled = jax.tree.map(lambda leaf: factor * leaf, of_bound.components[n])  # noqa: B023
            assert eqx.tree_equal(eqx.filter(term, eqx.is_array), scaled, rtol=1e-10, atol=1e-12)


def test_free_bits_leave_units_below_alone():
    with jax.enable_x64(True):
        logits, prior = np.array([[3.0, 0.1, -2.0], [2.0, -0.1, 1.5]]), np.array([0.5, 0.0, 0.2])
        q, p = expit(logits), expit(prior)
        expected = q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))
        divergence = bernoulli_divergence(jnp.asarray(logits), jnp.broadcast_to(jnp.asarray(prior), (2, 3)))
        np.testing.assert_allclose(divergence, expected, rtol=1e-12)

        free = hnca.Free(3, dtype=jnp.float64)
        network = hnca.Network({"code": hnca.Bernoulli(hnca.Apply(lambda x: x, "x", 3))}, inputs={"x": 3})
        prior_layer = hnca.Bernoulli(eqx.tree_at(lambda f: f.bias, free, jnp.asarray(prior)))
        nats = 0.2
        term = FreeBits(network, prior_layer, "code", nats)
        pays = expected.mean(0) > nats
        assert pays.tolist() == [True, False, True]

        def total(x):
            trace = network.sample(jax.random.key(0), {"x": x})
            return jnp.mean(term.value(network, trace))

        value, gradient = jax.value_and_grad(total)(jnp.asarray(logits))
        np.testing.assert_allclose(value, -np.sum(np.maximum(nats, expected.mean(0))), rtol=1e-12)
        np.testing.assert_allclose(gradient, -np.where(pays, q * (1 - q) * (logits - prior), 0) / 2, rtol=1e-10)


def test_free_bits_are_for_one_layer():
    _, trained = built(2)
    with pytest.raises(ValueError, match=r"FreeBits: layer='latent2' or its prior reads \['latent1'\]"):
        learned_objective(trained, jnp.ones(()), 0.1)


def test_an_update_moves_each_part_by_its_own_rate():
    recipe = RecipeSettings(encoder_rate=0.25, decoder_rate=0.5, prior="fixed")
    experiment, trained = built(2, recipe)
    parameters = eqx.filter(trained, eqx.is_inexact_array)
    optimiser = experiment.optimiser(OptimiserSettings(1.0, "sgd"), 1)
    ones = jax.tree.map(jnp.ones_like, parameters)
    (by_encoder, by_bound), _ = optimiser.update(ones, optimiser.init(parameters), parameters)
    assert {float(step) for leaf in jax.tree.leaves(by_encoder) for step in leaf.flatten()} == {0.25}
    rates = {term.value_name: {float(s) for leaf in jax.tree.leaves(term) for s in leaf.flatten()}
             for term in by_bound.components if isinstance(term, hnca.LogProb)}  # fmt: skip
    assert rates == {"image": {0.5}, "latent1": {0.5}, "latent2": {0.0}}
    trained_prior, _ = built(2, RecipeSettings(encoder_rate=0.25))
    of_prior = trained_prior.optimiser(OptimiserSettings(1.0, "sgd"), 1)
    (_, moved), _ = of_prior.update(ones, of_prior.init(parameters), parameters)
    assert all(float(step) == 1 for leaf in jax.tree.leaves(moved) for step in leaf.flatten())


def test_first_parameters_are_as_the_recipe_says():
    _, (plain, _) = built()
    experiment, trained = built(recipe=RecipeSettings(output_bias="data", encoder_scale=0.5))
    encoder, bound = experiment.started(trained, IMAGES)
    weights = [network.layers["latent1"].conditional.weights[0] for network in (plain, encoder)]
    np.testing.assert_array_equal(0.5 * weights[0], weights[1])
    bias = bound.decoder.layers["image"].conditional.bias
    np.testing.assert_allclose(bias, logit([(255 + 51) / 4 / 255, 0.75]), rtol=1e-5)


def test_what_is_measured_of_test_images(quick_compilation):
    """A unit that follows the first pixel is in use, one that does not know the image is not."""
    _, (encoder, bound) = built(width=2)
    dense = encoder.layers["latent1"].conditional
    followed = eqx.tree_at(
        lambda d: (d.weights[0], d.bias), dense, (jnp.asarray([[9.0, 0.0], [0.0, 0.0]]), jnp.asarray([-4.0, 2.0]))
    )
    encoder = eqx.tree_at(lambda e: e.layers["latent1"].conditional, encoder, followed)
    found = measures_of((encoder, bound), IMAGES, 1, jax.random.key(1))
    assert float(found["active_units"]) == 1
    np.testing.assert_allclose(found["elbo"], found["reconstruction"] - found["kl"], rtol=1e-6)
    q, prior = expit([[-4.0, 2.0], [5.0, 2.0]]), 0.5
    by_first_pixel = np.sum(q * np.log(q / prior) + (1 - q) * np.log((1 - q) / prior), axis=1)
    assert by_first_pixel.min() - 0.5 < float(found["kl"]) < by_first_pixel.max() + 0.5


def test_an_untouched_recipe_is_not_written_so_that_earlier_runs_go_on():
    assert not {"kl_weight", "encoder_rate", "optimiser", "epsilon"} & VAESettings().determining().keys()
    changed = VAESettings(prior="fixed", epsilon=1e-3, kl_warm_up=3).determining()
    assert {name: changed[name] for name in ("prior", "epsilon", "kl_warm_up")} == {
        "prior": "fixed",
        "epsilon": 1e-3,
        "kl_warm_up": 3,
    }
    of = {"experiment": "vae", "layers": 1, "estimator": "hnca", "data": {}}
    plain = {**of, "settings": VAESettings().determining()}
    assert sorted(differences(plain, {**of, "settings": changed})) == [
        "epsilon (not set), now 0.001",
        "kl-warm-up (not set), now 3",
        "prior (not set), now fixed",
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"encoder_rate": -1.0}, "--encoder-rate -1.0: expected a positive number"),
        ({"epsilon": float("nan")}, "--epsilon nan: expected a positive number"),
        ({"decays": (0.9, 1.0)}, "--decays 0.9 1.0: expected two numbers from 0 to below 1"),
        ({"kl_weight": -0.5}, "--kl-weight -0.5: expected a number of at least 0"),
        ({"kl_hold": 3}, "--kl-hold 3: expected --kl-weight"),
        ({"kl_warm_up": -1}, "--kl-warm-up -1: expected a whole number of epochs"),
        ({"free_bits": 0.1, "layers": (1, 2)}, "--free-bits 0.1: --layers 1 2; expected --layers 1"),
        ({"rate_decay": 3, "epochs": 4}, "--rate-decay 3: expected at least --epochs 4"),
        ({"rate_decay": 3, "rate_warm_up": 3, "epochs": 2}, "--rate-decay 3: expected more than --rate-warm-up"),
        ({"categories": 1}, "--categories 1: expected at least 2"),
        ({"categories": 3, "estimators": ("hnca", "arms", "muprop")}, "--estimators arms muprop: expected no --cat"),
        ({"categories": 3, "latent_values": "signs"}, "--latent-values signs: expected no --categories"),
        ({"categories": 3, "protocol": "disarm"}, "--latent-values signs: expected no --categories"),
        ({"prior": "fixed", "prior_rate": 0.1}, "--prior-rate 0.1: expected no --prior fixed"),
        ({"categories": 3, "free_bits": 0.1, "layers": (1,)}, "--free-bits 0.1: expected no --categories"),
        (
            {"estimators": ("vimco",), "entropy": "sampled", "kl_warm_up": 2},
            "--estimators vimco: expected no --kl-weight or --kl-warm-up",
        ),
    ],
)
def test_mistakes_are_told_when_settings_are_built(settings, expected):
    with pytest.raises(SettingsError) as error:
        VAESettings(**settings)
    assert expected in str(error.value)
    if settings.keys() <= {"categories", "estimators"}:
        with pytest.raises(SettingsError) as error:
            CompareSettings(**settings)
        assert expected in str(error.value)
    with pytest.raises(SettingsError, match="--rate-warm-up -1"):
        BanditSettings(rate_warm_up=-1)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.sweep
def test_a_bound_of_categories_is_below_the_likelihood_and_as_near_as_its_posterior(layers, float64):
    """By enumeration: `log p(x) - KL(q(z | x), p(z | x))`, of units of three categories; and the decoder's sizes."""
    experiment = VAE(2, 2, image_shape=(1, 2), categories=3)
    encoder, bound = experiment.build(layers, jax.random.key(0))
    assert experiment.identity()["units"] == "3 categories"
    assert all(layer.alternatives == 3 and layer.units == 2 for layer in encoder.layers.values())
    image = {"image": jnp.asarray([1.0, 0.0])}
    expected = hnca.exact.value(encoder, bound, image)
    log_p = []
    for states in np.ndindex(*(3,) * 2 * layers):
        values = {f"latent{i + 1}": jnp.asarray(states[2 * i : 2 * i + 2]) for i in range(layers)}
        log_p.append(jnp.sum(bound.decoder.log_prob(bound.decoder.evaluate({**image, **values}, ()))))
    gap = hnca.exact.expectation(
        encoder,
        image,
        lambda trace: (
            jnp.sum(encoder.log_prob(trace))
            - jnp.sum(bound.decoder.log_prob(bound.decoder.evaluate(trace.values, ())))
            + jax.nn.logsumexp(jnp.stack(log_p))
        ),
    )
    np.testing.assert_allclose(expected, jax.nn.logsumexp(jnp.stack(log_p)) - gap, rtol=1e-10)
    assert float(gap) > 0.001


def test_backpropagation_through_categories_is_straight_through(quick_compilation):
    """What updates are timed beside: the value is that of a sample, the gradient that of the estimator."""
    experiment = VAE(2, 2, image_shape=(1, 2), categories=3)
    encoder, bound = experiment.build(2, jax.random.key(0))
    batch = Images(jnp.asarray([[1.0, 0.0]]), jnp.zeros(1, jnp.int32))
    value, found = jax.value_and_grad(
        lambda network: experiment.differentiable((network, bound), batch, jax.random.key(1))
    )(encoder)
    trace = encoder.sample(jax.random.key(1), {"image": batch.pixels})
    estimate = hnca.StraightThrough()(encoder, bound, trace)
    np.testing.assert_allclose(value, estimate.value[0], rtol=1e-5)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(estimate.gradient), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_unit_of_categories_is_in_use_if_one_of_its_probabilities_follows_the_image(quick_compilation):
    encoder, bound = VAE(2, 2, image_shape=(1, 2), categories=3).build(1, jax.random.key(0))
    dense = encoder.layers["latent1"].conditional
    weight = jnp.zeros((2, 6)).at[0, 4].set(9.0)  # the first pixel and the second unit
    followed = eqx.tree_at(lambda d: (d.weights[0], d.bias), dense, (weight, jnp.zeros(6)))
    encoder = eqx.tree_at(lambda e: e.layers["latent1"].conditional, encoder, followed)
    assert float(measures_of((encoder, bound), IMAGES, 1, jax.random.key(1))["active_units"]) == 1


def test_networks_joined_otherwise_can_be_compared(tmp_path):
    assert CompareSettings(categories=3, layers=(1,)).training(1).categories == 3
    assert {"arms", "muprop"}.isdisjoint(CompareSettings(categories=3).names)
    training = CompareSettings(encoder="nonlinear", layers=(2,)).training(2)
    assert (training.encoder, training.decoder, training.layers) == ("nonlinear", "linear", (2,))
    for settings, where in (
        ({"experiment": "bandit"}, "--experiment bandit"),
        ({"run": tmp_path}, f"--run {tmp_path}"),
    ):
        with pytest.raises(SettingsError) as error:
            CompareSettings(decoder="nonlinear", **settings)
        assert f"--decoder nonlinear: expected none with {where}" in str(error.value)
