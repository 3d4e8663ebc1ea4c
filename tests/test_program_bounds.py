"""Bounds of several samples in programs: the value is that of a described network, and passes have own noise."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest

import hnca

KEY = jax.random.key(0)


@pytest.mark.parametrize("estimator", [hnca.VIMCO(3), hnca.ReweightedWakeSleep(3)], ids=["VIMCO", "RWS"])
@pytest.mark.sweep
def test_bounds_take_a_program_that_says_what_its_weight_is(estimator, float64):
    p, x = programs.parameters(), programs.example()

    def loss(p, key, x):
        logits = x @ p["in"]
        h = hnca.bernoulli(key, logits)
        log_p = jnp.sum(hnca.log_prob(h @ p["back"], x)) + jnp.sum(hnca.log_prob(p["bias"], h))
        return hnca.log_weight(log_p, jnp.sum(hnca.log_prob(logits, h)))

    k1, k2 = jax.random.key(1), jax.random.key(2)
    value, gradient = jax.jit(hnca.value_and_grad(loss, estimator=estimator))(p, k1, x, estimator_key=k2)
    expected_value, expected = bound_of_described_network(estimator, p, k1, k2, x)
    np.testing.assert_allclose(value, expected_value, rtol=1e-12)
    for name, truth in expected.items():
        np.testing.assert_allclose(gradient[name], truth, atol=1e-10)
    with pytest.raises(ValueError, match=r"hnca\.log_weight"):
        hnca.grad(partial(programs.elbo_plain, hnca), estimator=estimator)(p, k1, x, estimator_key=k2)
    incomplete = lambda p: hnca.log_weight(jnp.sum(hnca.bernoulli(k1, p)), jnp.sum(p))  # noqa: E731
    with pytest.raises(ValueError, match="log_q does not depend on draw 'bernoulli_0'"):
        hnca.grad(incomplete, estimator=estimator)(p["bias"], estimator_key=k2)


FAIR = {"q": [0.4, -0.9], "a": 1.2, "b": -0.6}


def log_weight_of(p, z, coin):
    mean = p["a"] * coin + 1.3 * z[0] - 0.7 * z[1] * p["b"] + z[0] * z[1] * coin
    return -((mean - 1.0) ** 2), jnp.sum(jax.nn.log_sigmoid(jnp.where(z == 1, p["q"], -p["q"])))


def with_coin(p, key, x=0.0):
    """A latent variable that is none of hnca's draws, by a noise of two values, so that it can be summed over."""
    k1, k2 = jax.random.split(key)
    coin = jnp.where(jax.random.uniform(k1) < 0.5, 1.0, 0.0) + x
    z = hnca.bernoulli(k2, p["q"])
    log_p, _ = log_weight_of(p, z, coin)
    return hnca.log_weight(log_p, jnp.sum(hnca.log_prob(p["q"], z)))


def bound_of_two(p, x, wakes):
    """By the sum over two passes, coin and all: the bound; or what reweighted wake-sleep moves by, as a gradient."""
    z = jnp.array([[a, b] for a in (0.0, 1.0) for b in (0.0, 1.0) for _ in range(2)])
    coin = jnp.array([0.0, 1.0] * 4)
    log_p, log_q = jax.vmap(log_weight_of, in_axes=(None, 0, 0))(p, z, coin + x)
    chance = jnp.exp(log_q + jnp.log(0.5))
    chances = chance[:, None] * chance[None]
    weights = jnp.stack(jnp.broadcast_arrays((log_p - log_q)[:, None], (log_p - log_q)[None]))
    if not wakes:
        return jnp.sum(chances * (jax.nn.logsumexp(weights, axis=0) - jnp.log(2.0)))
    of_each = jnp.stack(jnp.broadcast_arrays((log_p + log_q)[:, None], (log_p + log_q)[None]))
    return jnp.sum(jax.lax.stop_gradient(chances[None] * jax.nn.softmax(weights, axis=0)) * of_each)


@pytest.mark.parametrize("estimator", [hnca.VIMCO(2), hnca.LocalDisARM(2), hnca.ReweightedWakeSleep(2)], ids=str)
@pytest.mark.sweep
def test_every_pass_of_a_bound_has_noise_of_its_own(estimator, float64):
    """Against the sum over both passes' draws and coins: of 20,000 keys, each number within 4.5 deviations."""
    p, count = {name: jnp.asarray(number) for name, number in FAIR.items()}, 20_000
    both = hnca.value_and_grad(with_coin, in_axes=(None, 0, 0), estimator=estimator)
    keys = jax.random.split(jax.random.key(3), (count, 2))
    of_each = jax.jit(jax.vmap(lambda k, e: both(p, k, jnp.array([0.0, 0.5]), estimator_key=e)))
    value, gradient = of_each(keys, jax.random.split(jax.random.key(4), count))
    wakes = isinstance(estimator, hnca.ReweightedWakeSleep)
    expected = (bound_of_two(p, 0.0, False) + bound_of_two(p, 0.5, False)) / 2
    slope = jax.grad(lambda p: (bound_of_two(p, 0.0, wakes) + bound_of_two(p, 0.5, wakes)) / 2)(p)
    for found, truth in ((value, expected), *((gradient[name], slope[name]) for name in p)):
        deviation = jnp.std(found, axis=0) / count**0.5
        np.testing.assert_array_less(jnp.abs(jnp.mean(found, axis=0) - truth), 4.5 * deviation)


@pytest.mark.thorough
def test_the_first_pass_is_by_the_keys_that_are_given():
    """What comes beside the value is the first pass's, as it is of every estimator; any typed key will do."""

    def loss(p, key):
        k1, k2 = jax.random.split(key)
        noise, z = jax.random.normal(k1, (2,)), hnca.bernoulli(k2, p)
        return hnca.log_weight(-jnp.sum((noise - z) ** 2), jnp.sum(hnca.log_prob(p, z))), (noise, z)

    def called(implementation):
        keys = jax.random.split(jax.random.key(0, impl=implementation), 3)
        both = hnca.value_and_grad(loss, in_axes=(None, 0), has_aux=True, estimator=hnca.VIMCO(3))
        return keys, *both(jnp.zeros(2), keys, estimator_key=jax.random.key(1))

    keys, (_, (noise, z)), gradient = called("threefry2x32")
    pairs = [jax.random.split(key) for key in keys]
    np.testing.assert_allclose(noise, jnp.stack([jax.random.normal(a, (2,)) for a, _ in pairs]), rtol=1e-6)
    np.testing.assert_array_equal(z, jnp.stack([hnca.bernoulli(b, jnp.zeros(2)) for _, b in pairs]))
    assert jnp.all(jnp.isfinite(gradient))
    assert jnp.all(jnp.isfinite(called("rbg")[-1]))  # whose numbers for several keys are not those for each


@pytest.mark.parametrize("estimator", [hnca.VIMCO(3), hnca.LocalDisARM(3), hnca.ReweightedWakeSleep(3)], ids=str)
@pytest.mark.sweep
def test_noise_of_its_own_in_16_bits_and_with_a_state(estimator):
    def loss(p, key):
        k1, k2 = jax.random.split(key)
        z, noise = hnca.bernoulli(k2, p), jax.random.normal(k1).astype(p.dtype)
        return hnca.log_weight(-((jnp.sum(z.astype(p.dtype)) + noise) ** 2), jnp.sum(hnca.log_prob(p, z)))

    both, key = hnca.value_and_grad(loss, estimator=estimator, stateful=True), jax.random.key(1)
    p = jnp.array([0.5, -0.25])
    state = both.init(p, key)
    (value, after), gradient = both(p, key, estimator_key=key, estimator_state=state)
    assert jax.tree.structure(state) == jax.tree.structure(after)
    (again, first), _ = both(p, key, estimator_key=key)
    assert again == value
    assert jax.tree.structure(state) == jax.tree.structure(first)
    for dtype, tolerance in ((jnp.float16, 0.02), (jnp.bfloat16, 0.1)):
        (rounded, _), of_rounded = both(p.astype(dtype), key, estimator_key=key)
        assert of_rounded.dtype == dtype
        np.testing.assert_allclose(rounded.astype(float), value, atol=tolerance)
        np.testing.assert_allclose(of_rounded.astype(float), gradient, atol=tolerance)


def with_noise(noise, draw_key=None):
    def loss(p, key):
        k1, k2 = jax.random.split(key)
        z = hnca.bernoulli(k2 if draw_key is None else draw_key, p[1])
        log_p = -0.5 * (p[0] + noise(k1) - 2.0 - z) ** 2
        return hnca.log_weight(log_p, hnca.log_prob(p[1], z))

    return loss


def steps_of_noise(key):
    return jax.lax.scan(lambda x, k: (x + jax.random.normal(k), None), 0.0, jax.random.split(key, 3))[0]


def by_a_key_of_its_own(_):
    return jax.random.normal(jax.random.key(7))


SHARED = {
    "a key of the function's own": (with_noise(by_a_key_of_its_own), jax.random.key(0)),
    "one in a loop": (with_noise(lambda _: steps_of_noise(jax.random.key(7))), jax.random.key(0)),
    "a draw by the function's own key": (with_noise(jax.random.normal, jax.random.key(7)), jax.random.key(0)),
    "numbers for a key": (lambda p, key: with_noise(jax.random.normal)(p, jax.random.wrap_key_data(key)), jnp.ones(2)),
}


@pytest.mark.parametrize("kind", SHARED)
def test_noise_that_all_passes_of_a_bound_have_to_share_is_warned_of(kind):
    loss, key = SHARED[kind]
    key = key if kind != "numbers for a key" else key.astype(jnp.uint32)
    for estimator in (hnca.VIMCO(3), hnca.LocalDisARM(3), hnca.ReweightedWakeSleep(3)):
        with pytest.warns(UserWarning, match=r"the noise of jax.random at .*test_program_bounds.py:\d+.* is the same"):
            hnca.grad(loss, estimator=estimator)(jnp.zeros(2), key, estimator_key=jax.random.key(0))
    hnca.grad(loss, estimator=hnca.MultiSampleLeaveOneOut(3))(jnp.zeros(2), key, estimator_key=jax.random.key(0))


@pytest.mark.parametrize("noise", [jax.random.normal, jax.checkpoint(jax.random.normal), steps_of_noise, lambda _: 1.0])
@pytest.mark.sweep
def test_noise_that_differs_is_not(noise):
    key = jax.random.key(0)
    for estimator in (hnca.VIMCO(3), hnca.LocalDisARM(3), hnca.ReweightedWakeSleep(3)):
        assert jnp.all(
            jnp.isfinite(hnca.grad(with_noise(noise), estimator=estimator)(jnp.zeros(2), key, estimator_key=key))
        )


@pytest.mark.thorough
def test_it_is_the_bound_given_the_noise_that_is_shared():
    """By the sum over all passes' values, at one noise: what is said of the bound, and its value."""
    key, p = jax.random.key(0), jnp.array([0.3, -0.2])
    noise = by_a_key_of_its_own(None)
    with pytest.warns(UserWarning, match="is the same in all passes"):
        found = jax.vmap(
            lambda k: hnca.value_and_grad(with_noise(by_a_key_of_its_own), estimator=hnca.VIMCO(2))(
                p, key, estimator_key=k
            )[0]
        )(jax.random.split(jax.random.key(1), 4))
    weight = [-0.5 * (p[0] + noise - 2.0 - z) ** 2 - jax.nn.log_sigmoid(jnp.where(z, 1, -1) * p[1]) for z in (0.0, 1.0)]
    bounds = [jnp.logaddexp(a, b) - jnp.log(2.0) for a in weight for b in weight]
    assert all(min(abs(float(value - bound)) for bound in bounds) < 1e-5 for value in found)


def bound_of_described_network(estimator, p, key, estimator_key, x):
    def dense(parent, weight):
        shell = hnca.Dense(parent, *weight.shape, key=KEY, use_bias=False)
        return eqx.tree_at(lambda layer: layer.weights, shell, (weight,))

    prior = eqx.tree_at(lambda free: free.bias, hnca.Free(3), p["bias"])
    encoder = hnca.Network({"h": hnca.Bernoulli(dense("x", p["in"]))}, {"x": 4})
    decoder = hnca.Network({"h": hnca.Bernoulli(prior), "x": hnca.Bernoulli(dense("h", p["back"]))})
    taken = hnca.bernoulli(key, x @ p["in"])
    trace = encoder.evaluate({"x": x, "h": taken}, ())
    objective = hnca.ELBO(encoder, decoder, hnca.SampledEntropy)
    found = estimator(encoder, objective, trace, key=estimator_key)
    of_decoder = found.objective_gradient.decoder.layers
    return jnp.mean(found.value), {
        "in": found.gradient.layers["h"].conditional.weights[0],
        "back": of_decoder["x"].conditional.weights[0],
        "bias": of_decoder["h"].conditional.bias,
    }
