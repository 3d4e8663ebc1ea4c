"""Python's own values in the arguments of a program: flags, counts, rates and names are what they are to JAX."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY, WEIGHT = jax.random.key(0), jnp.ones(3)


def flagged(weight, key, train=True):
    code = hnca.bernoulli(key, weight)
    return jnp.sum(code) if train else -jnp.sum(code)


def counted(weight, key, count):
    total = jnp.zeros(())
    for part in jax.random.split(key, count):
        total += jnp.sum(hnca.bernoulli(part, weight))
    return total


def rated(weight, key, rate):
    code = hnca.bernoulli(key, weight)
    return jnp.sum(code) * rate if rate > 0.5 else jnp.sum(code)


def moded(weight, key, mode, mask, activation):
    code = activation(hnca.bernoulli(key, weight))
    return jnp.sum(code) if mode == "sum" and mask is None else -jnp.sum(code)


class Dropping(eqx.Module):
    """A module with a flag and a rate among its leaves."""

    linear: eqx.nn.Linear
    dropout: eqx.nn.Dropout

    def __init__(self):
        self.linear = eqx.nn.Linear(3, 3, key=KEY)
        self.dropout = eqx.nn.Dropout(0.5)

    def __call__(self, key, x):
        first, second = jax.random.split(key)
        return jnp.sum(self.dropout(self.linear(hnca.bernoulli(first, self.linear(x))), key=second))


# Linear in the draws, so that the estimate is exact: its slope is each unit's variance.
SLOPE = float(jax.nn.sigmoid(1.0) * jax.nn.sigmoid(-1.0))


@pytest.mark.parametrize(
    ("function", "more", "named", "slope"),
    [
        (flagged, (), {"train": False}, -SLOPE),
        (flagged, (True,), {}, SLOPE),
        (flagged, (np.bool_(False),), {}, -SLOPE),
        (counted, (2,), {}, 2 * SLOPE),
        (counted, (np.int64(3),), {}, 3 * SLOPE),
        (rated, (0.75,), {}, 0.75 * SLOPE),
        (rated, (), {"rate": 0.25}, SLOPE),
        (moded, ("sum", None, jax.nn.relu), {}, SLOPE),
    ],
)
@pytest.mark.sweep
def test_values_stay_what_they_are(function, more, named, slope):
    gradient = hnca.grad(function)(WEIGHT, KEY, *more, **named)
    np.testing.assert_allclose(gradient, np.full(3, slope), rtol=1e-5)
    keys, shared = jax.random.split(KEY, 4), (None,) * len(more)
    gradient = hnca.grad(function, in_axes=(None, 0, *shared))(WEIGHT, keys, *more, **named)
    np.testing.assert_allclose(gradient, np.full(3, slope), rtol=1e-5)
    if more:  # Of what is named, it names the parameter alone.
        hnca.explain(function, in_axes=(None, 0, *shared))(WEIGHT, keys, *more, **named)
        assert hnca.check_unbiased(function, (WEIGHT[:2], KEY, *more)).error < 1e-5


def test_a_whole_batch_takes_a_flag():
    def loss(weight, key, xs, train):
        code = hnca.bernoulli(key, xs * weight[None])
        return jnp.mean(jnp.sum(code, axis=1)) if train else -jnp.mean(jnp.sum(code, axis=1))

    found = hnca.grad(loss, in_axes=(None, None, 0, None), whole_batch=True)(WEIGHT, KEY, jnp.ones((4, 3)), False)
    np.testing.assert_allclose(found, np.full(3, -SLOPE), rtol=1e-5)


def test_a_module_with_dropout():
    by_module = hnca.grad(lambda m, k, x: m(k, x))(eqx.nn.inference_mode(Dropping()), KEY, WEIGHT)
    by_filter = eqx.filter_grad(hnca.credited(lambda m, k, x: m(k, x)))(Dropping(), KEY, WEIGHT)
    assert by_module.dropout.inference is None
    assert jnp.all(by_module.linear.bias != 0)
    assert jnp.any(by_filter.linear.weight != 0)
    assert by_filter.dropout.p is None


def test_a_float_that_is_differentiated_by_has_a_gradient():
    found = hnca.grad(lambda p, key: jnp.sum(hnca.bernoulli(key, p["at"] * jnp.ones(2))) * p["times"])(
        {"at": 1.0, "times": 2.0, "count": 3}, KEY
    )
    np.testing.assert_allclose(found["at"], 4 * SLOPE, rtol=1e-5)
    assert found["times"].shape == ()
    assert found["count"] is None


@pytest.mark.parametrize("options", [{}, {"unroll": False}], ids=["written out", "loops"])
def test_what_is_no_array_in_aux_comes_back(options):
    def loss(w, key):
        code = hnca.bernoulli(key, w)
        return jnp.sum(code), {"kind": "code", "count": 3, "code": code, "nothing": None}

    (value, aux), _ = hnca.value_and_grad(loss, has_aux=True, **options)(WEIGHT, KEY)
    assert (aux["kind"], aux["count"], aux["nothing"]) == ("code", 3, None)
    assert jnp.sum(aux["code"]) == value


def test_traced_numbers_are_arrays_as_before():
    gradient = jax.jit(hnca.grad(lambda w, k, n: jnp.sum(hnca.bernoulli(k, w)) * n))(WEIGHT, KEY, 3.0)
    np.testing.assert_allclose(gradient, np.full(3, 3 * SLOPE), rtol=1e-5)
    static = jax.jit(hnca.grad(flagged), static_argnames="train")(WEIGHT, KEY, train=False)
    np.testing.assert_allclose(static, np.full(3, -SLOPE), rtol=1e-5)


def test_a_number_has_no_batch_axis():
    with pytest.raises(ValueError, match=r"flagged: in_axes has 0 for argument 2, of shape \(\).*expected None"):
        hnca.grad(flagged, in_axes=(None, 0, 0))(WEIGHT, jax.random.split(KEY, 2), True)
