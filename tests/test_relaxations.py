"""Estimators that differentiate through samples: what they compute, and their bias where it is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import ALL_CASES
from networks import BITS, NETWORKS, SIGNS, randomised, reward_of
from objectives import OBJECTIVES
from test_exact import arrays, largest_difference

import hnca
from hnca.estimators._base import OWN_KEYS
from hnca.estimators._pathwise import PathwiseEstimator
from hnca.estimators._relaxation import relaxation_of
from hnca.exact import gradient, moments
from hnca.experiments.experiment import straight_through as relaxed_trace

pytestmark = pytest.mark.usefixtures("float64")
ONE_PASS = [hnca.StraightThrough(), hnca.ReinMax(), hnca.GappedStraightThrough()]
GUMBEL = [hnca.GumbelSoftmax, hnca.StraightThroughGumbelSoftmax, hnca.GumbelRao]
DIFFERENTIATING = [c.estimator for c in ALL_CASES.values() if isinstance(c.estimator, PathwiseEstimator)]


def named(estimator):
    return (estimator if isinstance(estimator, type) else type(estimator)).__name__


def sampled(name, seed=0, batch=(4,)):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(seed))
    inputs = {key: jnp.broadcast_to(value, (*batch, *value.shape)) for key, value in inputs.items()}
    return network, objective, inputs, jax.random.key(seed + 1)


@pytest.mark.parametrize("name", ["3-layer auto-encoder", "auto-encoder with sampled entropies"])
@pytest.mark.sweep
def test_straight_through_is_backpropagation_through_samples_as_means(name):
    network, objective, inputs, key = sampled(name)
    estimate = hnca.StraightThrough()(network, objective, network.sample(key, inputs))

    def mean(trained):
        return jnp.mean(trained[1].value(trained[0], relaxed_trace(trained[0], key, inputs)))

    by_hand, of_objective = eqx.filter_grad(mean)((network, objective))
    assert largest_difference(estimate.gradient, by_hand) < 1e-12
    assert largest_difference(estimate.objective_gradient, of_objective) < 1e-12
    assert all(float(jnp.max(jnp.abs(leaf))) > 1e-3 for leaf in arrays(by_hand))


def mixed_families(key):
    """A categorical layer, a Bernoulli one after it, and components that read both, one of which scores categories."""
    k1, k2, k3, k4 = jax.random.split(key, 4)
    choice = hnca.Dense("image", 2, 6, key=k1)
    layers = {
        "choice": hnca.Categorical(choice, categories=3, embedding=jnp.eye(3)[:, :2]),
        "code": hnca.Bernoulli(hnca.Dense(("choice", "image"), (4, 2), 2, key=k2), SIGNS),
    }
    network = randomised(hnca.Network(layers, inputs={"image": 2}), k4)
    prior = hnca.Categorical(hnca.Dense("code", 2, 6, key=k3), categories=3)
    wave = hnca.Function(lambda choice, code: jnp.sin(jnp.sum(choice**2) + jnp.sum(code[0] * choice)), network.order)
    entropies = [hnca.Entropy(network, name) for name in network.order]
    return network, hnca.Objective(hnca.LogProb(prior, "choice"), wave, *entropies)


def by_hand(network, objective, image, attach):
    """The objective of `mixed_families` for one example, written out: `attach` makes points of a layer's logits."""
    choice, code = network.layers["choice"], network.layers["code"]
    choice_logits = (image @ choice.conditional.weights[0] + choice.conditional.bias).reshape(2, 3)
    choice_point = attach("choice", choice_logits)
    seen = (choice_point @ choice.embedding).reshape(-1)
    below = seen @ code.conditional.weights[0] + image @ code.conditional.weights[1]
    code_logits = below + code.conditional.bias
    code_value = 2 * attach("code", code_logits) - 1
    prior = objective.components[0].layer.conditional
    prior_logits = (code_value @ prior.weights[0] + prior.bias).reshape(2, 3)
    log_prior = jnp.sum(jax.nn.log_softmax(prior_logits) * choice_point)
    wave = jnp.sin(jnp.sum(seen**2) + jnp.sum(code_value[0] * seen))
    q, p = jax.nn.softmax(choice_logits), jax.nn.sigmoid(code_logits)
    entropies = -jnp.sum(q * jnp.log(q)) - jnp.sum(p * jnp.log(p) + (1 - p) * jnp.log(1 - p))
    return log_prior + wave + entropies


@pytest.mark.parametrize("estimator", DIFFERENTIATING, ids=named)
@pytest.mark.thorough
def test_mixed_families_against_a_pass_written_by_hand(estimator):
    network, objective = mixed_families(jax.random.key(0))
    image = jnp.array([0.7, -1.2])
    trace = network.sample(jax.random.key(1), {"image": image})
    estimate = estimator(network, objective, trace, key=jax.random.key(2))
    hard = {"choice": jax.nn.one_hot(trace["choice"], 3), "code": (trace["code"] + 1) / 2}
    squash = {"choice": jax.nn.softmax, "code": jax.nn.sigmoid}
    noise = noise_behind(estimator, estimate, network, trace, hard)

    def gapped(name, logits):
        """Of the taken value's logit and the others', as two categories if the layer is a Bernoulli one."""
        both = logits if name == "choice" else jnp.stack([jnp.zeros_like(logits), logits], axis=-1)
        taken = hard[name] if name == "choice" else jnp.stack([1 - hard[name], hard[name]], axis=-1)
        largest = jnp.max(both, axis=-1, keepdims=True)
        up = taken * (largest - both)
        down = (1 - taken) * jax.nn.relu(both + estimator.gap - largest)
        moved = jax.nn.softmax((both + jax.lax.stop_gradient(up - down)) / estimator.temperature)
        return moved if name == "choice" else moved[..., 1]

    def attach(name, logits):
        soft, held = squash[name], jax.lax.stop_gradient
        if isinstance(estimator, hnca.StraightThrough):
            return hard[name] + soft(logits) - held(soft(logits))
        if isinstance(estimator, hnca.ReinMax):
            middle = (hard[name] + held(soft(logits))) / 2
            shift = jnp.log(middle) if name == "choice" else jnp.log(middle / (1 - middle))
            moving = 2 * soft(shift - held(logits) + logits) - soft(logits) / 2
            return hard[name] + moving - held(moving)
        if isinstance(estimator, hnca.GappedStraightThrough):
            return hard[name] + gapped(name, logits) - held(gapped(name, logits))
        if isinstance(estimator, hnca.GumbelRao):
            relaxed = jnp.mean(jnp.stack([soft((logits + one) / estimator.temperature) for one in noise[name]]), axis=0)
            return hard[name] + relaxed - held(relaxed)
        relaxed = soft((logits + noise[name]) / estimator.temperature)
        if isinstance(estimator, hnca.GumbelSoftmax):
            return relaxed
        return hard[name] + relaxed - held(relaxed)

    value, expected = eqx.filter_value_and_grad(lambda both: by_hand(*both, image, attach))((network, objective))
    # The embedding is not a parameter of any layer's logits, and so none that credits reach.
    parts = [(estimate.gradient.layers[name].conditional, expected[0].layers[name].conditional) for name in hard]
    assert max(largest_difference(*part) for part in parts) < 1e-10
    assert largest_difference(estimate.objective_gradient, expected[1]) < 1e-10
    np.testing.assert_allclose(estimate.value, value, rtol=1e-10)


def noise_behind(estimator, estimate, network, trace, hard):
    """The noise that the relaxed pass had, or that the straight-through one draws for each layer's samples."""
    if isinstance(estimator, hnca.GumbelSoftmax):
        points = {"choice": estimate.trace["choice"][0], "code": (estimate.trace["code"][0] + 1) / 2}
        scores = {"choice": jnp.log(points["choice"]), "code": jnp.log(points["code"] / (1 - points["code"]))}
        return {n: s * estimator.temperature - estimate.trace.logits[n][0] for n, s in scores.items()}
    own_key = jax.random.fold_in(jax.random.key(2), OWN_KEYS)
    keys = dict(zip(network.order, jax.random.split(own_key, 2), strict=True))
    noise = {}
    for name, key in keys.items():
        relaxation, logits = relaxation_of(estimator, network.layers[name]), trace.logits[name]

        def drawn(key, relaxation=relaxation, logits=logits, name=name):
            return relaxation.scores_given(relaxation.noise(key, logits), logits, hard[name]) - logits

        several = isinstance(estimator, hnca.GumbelRao)
        noise[name] = [drawn(k) for k in jax.random.split(key, estimator.draws)] if several else drawn(key)
    return noise


def one_unit(function, logit, values=BITS):
    """One Bernoulli unit with this logit and a function of its value."""
    network = hnca.Network({"unit": hnca.Bernoulli(hnca.Free(1), values)})
    network = eqx.tree_at(lambda n: n.layers["unit"].conditional.bias, network, jnp.array([logit]))
    return network, hnca.Objective(hnca.Function(lambda x: function(x[0]), "unit"))


def of_unit(network):
    return float(network.layers["unit"].conditional.bias[0])


def gapped_slope(logit, p):
    """What the gapped estimator expects of `f = x`, for gap and temperature 1."""
    slope = lambda gap: float(jax.nn.sigmoid(gap) * jax.nn.sigmoid(-gap))  # noqa: E731
    return p * slope(max(logit, 1.0)) + (1 - p) * slope(max(-logit, 1.0))


@pytest.mark.parametrize("logit", [-1.3, 0.4, 2.0])
@pytest.mark.sweep
def test_the_known_bias_for_one_unit(logit):
    p = float(jax.nn.sigmoid(logit))
    cases = [
        (hnca.StraightThrough(), lambda x: 3 * x, 0.0),
        (hnca.StraightThrough(), lambda x: (x - 0.3) ** 2, p * (1 - p) * (2 * p - 1)),
        (hnca.ReinMax(), lambda x: (x - 0.3) ** 2, 0.0),
        (hnca.ReinMax(), lambda x: x**3, p * (1 - p) / 2),
        (hnca.GappedStraightThrough(1.0), lambda x: x, gapped_slope(logit, p) - p * (1 - p)),
    ]
    for estimator, function, bias in cases:
        network, objective = one_unit(function, logit)
        expected, exact = moments(estimator, network, objective, {}).mean, gradient(network, objective, {})
        np.testing.assert_allclose(of_unit(expected) - of_unit(exact), bias, rtol=0, atol=1e-13)


@pytest.mark.parametrize("estimator", ONE_PASS, ids=named)
def test_a_categorical_unit_and_a_quadratic_function(estimator):
    """Of a function that is quadratic in the one-hot value ReinMax is exact, straight-through is not."""
    network = randomised(hnca.Network({"unit": hnca.Categorical(hnca.Free(4))}), jax.random.key(3))
    weight = jax.random.normal(jax.random.key(4), (4, 4))
    objective = hnca.Objective(hnca.Function(lambda x: jnp.sum(x * (weight @ x)), "unit"))
    found = largest_difference(moments(estimator, network, objective, {}).mean, gradient(network, objective, {}))
    assert found < 1e-12 if isinstance(estimator, hnca.ReinMax) else found > 0.05


@pytest.mark.parametrize("name", ["1-layer auto-encoder", "2-layer auto-encoder"])
@pytest.mark.parametrize("estimator", ONE_PASS, ids=named)
@pytest.mark.sweep
def test_the_tests_of_exactness_tell_that_it_is_biased(estimator, name):
    network, objective, inputs, _ = sampled(name, batch=())
    expected, exact = moments(estimator, network, objective, inputs).mean, gradient(network, objective, inputs)
    assert relative_bias(expected, exact) > 1e-3
    assert relative_bias(expected, exact) < 0.5


def relative_bias(expected, exact):
    difference, size = (
        sum(float(jnp.sum(leaf**2)) for leaf in leaves)
        for leaves in ([a - b for a, b in zip(arrays(expected), arrays(exact), strict=True)], arrays(exact))
    )
    return (difference / size) ** 0.5


@pytest.mark.parametrize(("logit", "temperature"), [(0.0, 1.0), (-1.0, 0.5), (1.5, 2.0)])
@pytest.mark.parametrize("estimator", GUMBEL, ids=named)
@pytest.mark.sweep
def test_gumbel_softmax_expects_what_the_integral_over_its_noise_says(estimator, logit, temperature):
    """z-tests at level 1e-6 each: passed against the integral, failed against the exact gradient."""
    network, objective = one_unit(lambda x: x + 0.5 * x**3, logit)
    chosen, count = estimator(temperature), 40_000

    def draw(key):
        trace_key, own_key = jax.random.split(key)
        return chosen(network, objective, network.sample(trace_key, {}, ()), key=own_key).gradient

    drawn = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(5), count)).layers["unit"].conditional.bias[:, 0]
    uniform = (np.arange(400_000) + 0.5) / 400_000
    scores = logit + np.log(uniform / (1 - uniform))
    relaxed = 1 / (1 + np.exp(-scores / temperature))
    seen = relaxed if estimator is hnca.GumbelSoftmax else scores > 0
    expected = np.mean(relaxed * (1 - relaxed) / temperature * (1 + 1.5 * seen**2))
    error = float(jnp.std(drawn)) / count**0.5
    assert abs(float(jnp.mean(drawn)) - expected) < 4.9 * error
    assert abs(float(jnp.mean(drawn)) - of_unit(gradient(network, objective, {}))) > 4.9 * error


@pytest.mark.parametrize("estimator", GUMBEL, ids=named)
def test_at_temperature_one_a_sixth_stands_for_a_quarter(estimator):
    network, objective = one_unit(lambda x: x, 0.0)
    trace = network.sample(jax.random.key(0), {}, (100_000,))
    found = of_unit(estimator(1.0)(network, objective, trace, key=jax.random.key(1)).gradient)
    np.testing.assert_allclose(found, 1 / 6, atol=5 * (1 / 180 / 100_000) ** 0.5)
    np.testing.assert_allclose(of_unit(gradient(network, objective, {})), 1 / 4, rtol=1e-12)


@pytest.mark.parametrize("layer", [hnca.Bernoulli(hnca.Free(3), SIGNS), hnca.Categorical(hnca.Free(3))], ids=named)
def test_noise_given_samples_has_the_distribution_it_has_without(layer):
    """Shares below some thresholds, of every score and every pair, by z-tests at level 1e-6 (Bonferroni)."""
    count, logits = 40_000, layer.as_logits(jnp.array([-1.0, 0.2, 2.0]))
    wide = jnp.broadcast_to(logits, (count, *logits.shape))
    relaxation = relaxation_of(hnca.GumbelSoftmax(), layer)
    point = relaxation.point(layer.sample(jax.random.key(0), wide), wide)
    scores = relaxation.scores_given(relaxation.noise(jax.random.key(1), wide), wide, point)
    hard = jax.nn.one_hot(jnp.argmax(scores, axis=-1), 3) if scores.ndim == 3 else (scores > 0).astype(scores.dtype)
    assert jnp.array_equal(hard, point)
    standard = (scores - wide).reshape(count, 3)
    below = jax.nn.sigmoid if scores.ndim == 2 else lambda x: jnp.exp(-jnp.exp(-x))
    for threshold in (-1.0, 0.0, 0.5, 2.0):
        share = float(below(threshold))
        inside = (standard < threshold).astype(scores.dtype)
        for first, second in [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]:
            expected = share if first == second else share**2
            found = float(jnp.mean(inside[:, first] * inside[:, second]))
            assert abs(found - expected) < 5.6 * (expected * (1 - expected) / count) ** 0.5


@pytest.mark.parametrize("estimator", DIFFERENTIATING, ids=named)
def test_an_observed_reward_is_refused_with_the_reason(estimator):
    network, inputs = NETWORKS["chain of 0 and 1"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    with pytest.raises(ValueError, match=r"by the values of the units.*observed once does not allow; use HNCA"):
        estimator(network, reward_of(trace), trace, key=jax.random.key(2))


@pytest.mark.parametrize("estimator", GUMBEL, ids=named)
@pytest.mark.sweep
def test_a_temperature_is_annealed_without_compiling_anew(estimator):
    network, objective = one_unit(lambda x: x, 0.3)
    trace, traced = network.sample(jax.random.key(0), {}, (5,)), []

    @jax.jit
    def update(step):
        traced.append(step)
        chosen = estimator(jnp.exp(-step))
        return chosen(network, objective, trace, key=jax.random.key(1)).gradient

    for step in (0.0, 0.5):
        fixed = estimator(float(jnp.exp(-step)))(network, objective, trace, key=jax.random.key(1)).gradient
        np.testing.assert_allclose(of_unit(update(jnp.float32(step))), of_unit(fixed), rtol=1e-6)
    assert len(traced) == 1


@pytest.mark.parametrize("estimator", GUMBEL, ids=named)
@pytest.mark.sweep
def test_what_a_gumbel_softmax_needs_is_said(estimator):
    with pytest.raises(ValueError, match=r"temperature=0\.0; expected a finite number above 0"):
        estimator(temperature=0.0)
    network, objective = one_unit(lambda x: x, 0.0)
    with pytest.raises(ValueError, match="key=None; expected a key"):
        estimator()(network, objective, network.sample(jax.random.key(0), {}, ()))
