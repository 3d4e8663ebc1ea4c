"""Values that are no exact binary fractions, infinite logits, short floats and small probabilities."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import NETWORKS, chain

import hnca
from hnca.units import _noise
from hnca.units._base import checked_conditional

pytestmark = pytest.mark.usefixtures("quick_compilation")

# `low + (high - low)` is not `high`: in float64, and in float32.
MISSED = [(-0.4, 0.7), (0.2, 0.9)]
PAIRS = [(low / 10, high / 10) for low in range(-20, 20, 3) for high in range(-19, 20, 3) if low < high]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, jnp.bfloat16])
@pytest.mark.sweep
def test_a_sampled_value_is_one_of_the_alternatives_bit_for_bit(dtype):
    with jax.enable_x64(True):
        for pair in PAIRS:
            layer = hnca.Bernoulli(hnca.Free(2), pair)
            drawn = layer.sample(jax.random.key(0), jnp.array([-50.0, 50.0], dtype))
            assert jnp.array_equal(drawn, layer.alternative_values(dtype))
            assert layer.index(drawn).tolist() == [0, 1]
            assert jnp.array_equal(layer.state(drawn), jnp.array([0, 1], dtype))
            assert jnp.array_equal(layer.from_state(jnp.array([0, 1], dtype)), drawn)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith("chain of 0")])
@pytest.mark.sweep
def test_credits_of_a_sampled_trace_are_those_of_the_enumerated_one(name):
    """Equal states, equal credits: a mistake between drawing and looking up shows only in the former."""
    values = MISSED[len(name) % 2]
    network, inputs = NETWORKS[name](jax.random.key(0))
    layers = {
        layer: hnca.Bernoulli(of.conditional, values) if isinstance(of, hnca.Bernoulli) else of
        for layer, of in network.layers.items()
    }
    network = hnca.Network(layers, inputs=dict(network.inputs))
    batched = {key: jnp.broadcast_to(value, (20, *value.shape)) for key, value in inputs.items()}
    trace = network.sample(jax.random.key(1), batched, (20,))
    rounded = {
        layer: jnp.where(trace[layer] > sum(values) / 2, *reversed(values))
        for layer, of in network.layers.items()
        if isinstance(of, hnca.Bernoulli)
    }
    twin = network.evaluate({**trace.values, **rounded}, (20,))
    sums = hnca.Function(lambda *seen: jnp.sin(sum(jnp.sum(one) for one in seen)), network.order)
    objective = hnca.Objective(sums, hnca.Entropy(network, network.order[-1]), hnca.SampledEntropy(network, "action"))
    credit = jax.jit(lambda trace: hnca.HNCA()(network, objective, trace).credits)
    credits, expected = credit(trace), credit(twin)
    for layer in network.order:
        np.testing.assert_allclose(credits[layer], expected[layer], rtol=0, atol=1e-10)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("values", MISSED)
def test_the_contrast_of_a_sampled_trace_is_that_of_its_states(values):
    """An equality of floats that fails makes the contrast of units that are up 0."""
    network, inputs = chain(jax.random.key(0), values)
    trace = network.sample(jax.random.key(1), {"image": jnp.broadcast_to(inputs["image"], (40, 3))})
    function = hnca.Function(lambda first, second: jnp.sin(jnp.sum(first)) * jnp.sum(second), ("first", "second"))
    contrast = function.contrast(network, trace, "second")
    slope = jnp.sin(trace["first"].sum(-1))[:, None] * (values[1] - values[0])
    np.testing.assert_allclose(contrast, jnp.broadcast_to(slope, contrast.shape), rtol=1e-10)


def test_infinite_logits_have_finite_log_probabilities_and_entropies():
    bernoulli, categorical = hnca.Bernoulli(hnca.Free(2)), hnca.Categorical(hnca.Free(3))
    logits, values = jnp.array([-jnp.inf, jnp.inf]), jnp.array([0.0, 1.0])
    masked, action = jnp.array([[0.5, -jnp.inf, -1.0]]), jnp.array([2])
    for layer, a, x in ((bernoulli, logits, values), (categorical, masked, action)):
        for of in (
            lambda a, layer=layer, x=x: jnp.sum(layer.log_prob(a, x)),
            lambda a, layer=layer: jnp.sum(layer.entropy(a)),
        ):
            assert jnp.isfinite(of(a))
            assert jnp.all(jnp.isfinite(jax.grad(of)(a)))
    allowed = hnca.Categorical(hnca.Free(2))
    np.testing.assert_allclose(categorical.entropy(masked), allowed.entropy(masked[:, ::2]), rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(categorical.log_prob(masked, action)), jax.nn.sigmoid(-1.5), rtol=1e-6)
    np.testing.assert_array_equal(bernoulli.log_prob(logits, values), 0)
    assert jnp.isnan(categorical.log_prob(masked, jnp.array([3]))).all()


def test_a_relaxed_value_keeps_its_linear_form():
    bernoulli, categorical = hnca.Bernoulli(hnca.Free(2), (-1, 1)), hnca.Categorical(hnca.Free(3))
    a, b = jnp.array([-2.0, 1.5]), jnp.array([[0.5, -2.0, -1.0]])
    for x in (jnp.array([-1.0, 1.0]), jnp.array([0.2, -0.6])):
        state = (x + 1) / 2
        np.testing.assert_allclose(bernoulli.log_prob(a, x), state * a - jnp.logaddexp(a, 0), rtol=1e-5)
        slope = jax.grad(lambda x: jnp.sum(bernoulli.log_prob(a, x)))(x)
        np.testing.assert_allclose(slope, a / 2, rtol=1e-5)
    point = jnp.array([[0.2, 0.0, 0.8]])
    np.testing.assert_allclose(jax.grad(lambda x: jnp.sum(categorical.log_prob(b, x)))(point), jax.nn.log_softmax(b))


def test_short_floats_are_drawn_with_all_digits():
    """z-tests at level 1e-6 each."""
    count = 200_000
    equal = hnca.Categorical(hnca.Free(1000)).sample(jax.random.key(0), jnp.zeros((2000, 1, 1000), jnp.bfloat16))
    assert abs(float(jnp.mean((equal < 500).astype(jnp.float32))) - 0.5) < 4.9 * 0.5 / 2000**0.5
    rare = jnp.full((count,), jnp.log(1e-3), jnp.bfloat16)
    share = jnp.mean(hnca.Bernoulli(hnca.Free(count)).sample(jax.random.key(1), rare).astype(jnp.float32))
    p = float(jax.nn.sigmoid(rare.astype(jnp.float32)[0]))
    assert abs(float(share) - p) < 4.9 * (p / count) ** 0.5


def test_very_small_probabilities_are_those_asked_for(monkeypatch, request):
    """The bits themselves are chosen: a draw at the edge, with and without the bits that follow."""
    request.addfinalizer(jax.clear_caches)  # nobody else is to be given these bits
    first, further = jnp.uint32(0), jnp.uint32(2**30)

    def bits(key, shape, dtype=jnp.uint32):
        is_again = jnp.any(jax.random.key_data(key) != jax.random.key_data(jax.random.key(0)))
        return jnp.where(is_again, further, first) * jnp.ones(shape, jnp.uint32)

    monkeypatch.setattr(jax.random, "bits", bits)
    # The number drawn is (0 + 1/4) / 2^32 = 5.8e-11.
    logits = jnp.log(jnp.array([1e-7, 1e-10, 5e-11, 1e-20]))
    assert _noise.bernoulli(jax.random.key(0), logits).tolist() == [True, True, False, False]
    first = ~first
    jax.clear_caches()
    assert _noise.bernoulli(jax.random.key(0), -logits).tolist() == [False, False, True, True]
    np.testing.assert_allclose(_noise.gumbel(jax.random.key(0), (1,), jnp.float32), -np.log(0.25 / 2**32), rtol=1e-5)


def test_a_bare_module_is_refused_with_the_cure():
    with pytest.raises(ValueError, match=r"Bernoulli: conditional=Linear; expected.*hnca\.Apply\(function, parents"):
        checked_conditional("Bernoulli", eqx.nn.Linear(2, 3, key=jax.random.key(0)))


def masked(h):
    return jnp.where(jnp.array([True, False, True]), jnp.sum(h) * jnp.arange(3.0), -jnp.inf)


@pytest.mark.parametrize("estimator", [hnca.HNCA(), hnca.REBAR()], ids=["HNCA", "REBAR"])
@pytest.mark.sweep
def test_a_masked_category_has_finite_credits(estimator):
    hidden = hnca.Bernoulli(hnca.Dense("x", 2, 2, key=jax.random.key(0)))
    layers = {"h": hidden, "z": hnca.Categorical(hnca.Apply(masked, "h", 3))}
    network = hnca.Network(layers, inputs={"x": 2})
    trace = network.sample(jax.random.key(0), {"x": jnp.ones((4, 2))})
    wave = hnca.Function(lambda h, z: jnp.sin(jnp.sum(h) + z[0]), ("h", "z"))
    objective = hnca.Objective(wave, hnca.Entropy(network, "z"), hnca.SampledEntropy(network, "h"))
    state = estimator.init(network, objective)
    credits, _ = estimator.credit(network, objective, trace, jax.random.key(1), state)
    assert all(jnp.all(jnp.isfinite(credit)) for credit in credits.values())
    assert jnp.all(credits["z"][..., 1] == 0)
