"""Programs in which something is empty: a draw, a scan, a batch; and results that no example changes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY, WEIGHT = jax.random.key(0), jnp.ones(3)
SLOPE = float(jax.nn.sigmoid(1.0) * jax.nn.sigmoid(-1.0))
ESTIMATORS = [hnca.HNCA(), hnca.HNCA(hnca.RunningMean()), hnca.REINFORCE(hnca.LearnedBaseline()), hnca.DisARM()]


def test_a_draw_of_no_units_is_credited_for_nothing():
    def loss(weight, key):
        first, second, third = jax.random.split(key, 3)
        code = hnca.bernoulli(first, weight)
        nothing = hnca.bernoulli(second, weight[:0] * code[:0])
        none = hnca.categorical(third, jnp.ones((0, 2)) * weight[:2][None])
        return jnp.sum(code) + jnp.sum(nothing) + jnp.sum(none).astype(weight.dtype)

    np.testing.assert_allclose(hnca.grad(loss)(WEIGHT, KEY), np.full(3, SLOPE), rtol=1e-5)
    told = hnca.explain(loss)(WEIGHT, KEY)
    assert "bernoulli_0" in str(told)
    assert "categorical" not in str(told)


def test_where_no_draw_has_units_that_is_told():
    with pytest.raises(
        ValueError, match=r"no draws in it but one of 0 units at .*test_nothing_to_draw\.py:\d+.*jax.grad"
    ):
        hnca.grad(lambda weight, key: jnp.sum(hnca.bernoulli(key, weight) * weight))(WEIGHT[:0], KEY)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_of_no_steps_draws_nothing(reverse):
    def loss(weight, key):
        def step(carry, part):
            code = hnca.bernoulli(part, carry)
            return carry + code, (code, jnp.ones(2, jnp.int32))

        last, (codes, ones) = jax.lax.scan(step, weight[0], jax.random.split(key, 0), reverse=reverse)
        assert codes.shape == (0,)
        assert ones.shape == (0, 2)
        return last * hnca.bernoulli(key, weight[1]) + jnp.sum(codes)

    gradient = jax.jit(hnca.grad(loss))(WEIGHT, KEY)
    np.testing.assert_allclose(gradient[1:], [SLOPE, 0], rtol=1e-5)


def of_example(weight, key, x):
    first, second = jax.random.split(key)
    code = hnca.bernoulli(first, x * weight)
    kind = hnca.categorical(second, code + x)
    return jnp.sum(jax.nn.softplus(code)) * weight[kind] + jnp.sum(weight**2)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
@pytest.mark.sweep
def test_of_an_empty_batch_with_data_nothing_is_learned(estimator):
    def loss(weight, key, x):
        return jnp.sin(jnp.sum(hnca.bernoulli(key, x * weight)))

    function = loss if isinstance(estimator, hnca.DisARM) else of_example
    both = hnca.value_and_grad(function, in_axes=(None, 0, 0), estimator=estimator, stateful=True)

    def call(examples, state):
        keys = jax.random.split(KEY, 2)[:examples]
        return both(WEIGHT, keys, jnp.ones((examples, 3)), estimator_key=KEY, estimator_state=state)

    with pytest.warns(UserWarning, match="the batch has no examples: their mean is NaN, and the gradient 0"):
        (value, state), gradient = call(0, None)
    assert jnp.isnan(value)
    np.testing.assert_array_equal(gradient, np.zeros(3))
    # The state is one to go on with, and is kept where there is one.
    (_, after), _ = call(2, state)
    with pytest.warns(UserWarning, match="the batch has no examples"):
        (_, kept), _ = call(0, after)
    assert eqx.tree_equal(kept, after)


def test_an_empty_batch_is_explained():
    explained = hnca.explain(of_example, in_axes=(None, 0, 0))
    empty = explained(WEIGHT, jax.random.split(KEY, 0), jnp.ones((0, 3)))
    assert str(empty) == str(explained(WEIGHT, jax.random.split(KEY, 2), jnp.ones((2, 3))))


@pytest.mark.parametrize("examples", [0, 4])
@pytest.mark.filterwarnings("ignore:hnca. the batch has no examples")
def test_a_result_beside_the_value_is_of_every_example(examples):
    def loss(weight, key, x):
        code = hnca.bernoulli(key, weight * x)
        return jnp.sum(code), {"code": code, "norm": jnp.sum(weight**2), "x": x, "one": 1.5, "key": key}

    both = hnca.value_and_grad(loss, in_axes=(None, 0, 0), has_aux=True)
    keys = jax.random.split(KEY, examples)
    (_, aux), _ = both(WEIGHT, keys, jnp.ones((examples, 3)))
    expected = jax.eval_shape(jax.vmap(loss, (None, 0, 0)), WEIGHT, keys, jnp.ones((examples, 3)))[1]
    assert jax.tree.map(jnp.shape, aux) == jax.tree.map(lambda leaf: leaf.shape, expected)
    np.testing.assert_allclose(aux["norm"], np.full(examples, 3.0))


def test_the_places_of_arguments_are_no_names():
    # Beneath the checks of types that tests have, and users have not.
    value_and_grad = hnca.value_and_grad.__wrapped__
    for argnums in ("w", ("w",), ()):
        with pytest.raises(ValueError, match=r"of_example: argnums=.*; expected the place of a positional argument"):
            value_and_grad(of_example, argnums)
