"""An estimator's first state, from `init`, is what a call that is given None begins with."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

PARAMS, XS = (
    {"in": jnp.ones((4, 2)) * 0.3, "out": jnp.ones((2, 4)) * 0.2},
    jnp.arange(12, dtype=jnp.float32).reshape(3, 4),
)
KEYS = jax.random.split(jax.random.key(0), 3)


def of_one(params, key, x):
    code = hnca.bernoulli(key, x @ params["in"])
    return jnp.sum((code @ params["out"] - x) ** 2)


def of_all(params, key, xs):
    codes = hnca.bernoulli(key, xs @ params["in"])
    return jnp.mean(jnp.sum((codes @ params["out"] - xs) ** 2, axis=1))


def in_steps(params, key, x):
    def step(place, key):
        place = place + jnp.mean(hnca.bernoulli(key, place * (x @ params["in"]))) - 0.5
        return place, place**2

    return jnp.sum(jax.lax.scan(step, jnp.ones(()), jax.random.split(key, 5))[1])


WAYS = {
    "one": (of_one, KEYS, {"in_axes": (None, 0, 0)}),
    "whole": (of_all, KEYS[0], {"in_axes": (None, None, 0), "whole_batch": True}),
    "loops": (in_steps, KEYS, {"in_axes": (None, 0, 0), "unroll": False}),
}
LEARNED = hnca.REINFORCE(hnca.LearnedBaseline())
CASES = [("one", LEARNED), ("whole", LEARNED), ("loops", LEARNED), ("loops", hnca.HNCA(hnca.RunningMean()))]
CASES += [("one", hnca.NVIL()), ("one", hnca.RELAX()), ("one", hnca.DisARM()), ("loops", hnca.HNCA())]


@pytest.mark.parametrize(
    ("way", "estimator"), CASES, ids=lambda case: case if isinstance(case, str) else type(case).__name__
)
def test_it_is_what_a_call_begins_with(way, estimator):
    function, keys, options = WAYS[way]
    both = hnca.value_and_grad(function, estimator=estimator, stateful=True, **options)
    first = both.init(PARAMS, keys, XS)
    (_, after), _ = jax.eval_shape(lambda: both(PARAMS, keys, XS, estimator_key=KEYS[0]))
    assert jax.tree.map(lambda a: (a.shape, a.dtype), first) == jax.tree.map(lambda a: (a.shape, a.dtype), after)


def test_a_scan_carries_it_and_draws_nothing_for_it():
    estimator = hnca.HNCA(hnca.RunningMean())
    of_mean = hnca.grad(of_one, in_axes=(None, 0, 0), estimator=estimator, stateful=True)

    def update(carry, keys):
        params, state = carry
        gradient, state = of_mean(params, keys, XS, estimator_state=state)
        return (jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient), state), None

    steps = jnp.stack([KEYS, KEYS[::-1]])
    (_, found), _ = jax.lax.scan(update, (PARAMS, of_mean.init(PARAMS, KEYS, XS)), steps)
    expected = PARAMS, None
    for keys in steps:
        expected, _ = jax.jit(update)(expected, keys)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected[1])


def test_wrappers_keep_it_and_mistakes_are_told():
    of_mean = hnca.credited(of_one, in_axes=(None, 0, 0), estimator=LEARNED, stateful=True)
    first = of_mean.init(PARAMS, KEYS, XS)
    jax.tree.map(np.testing.assert_array_equal, jax.jit(of_mean).init(PARAMS, KEYS, XS), first)
    jax.tree.map(np.testing.assert_array_equal, eqx.filter_jit(of_mean.init)(PARAMS, KEYS, XS), first)
    with pytest.raises(ValueError, match="in_axes"):
        of_mean.init(PARAMS, KEYS)


def test_of_an_empty_batch_it_is_that_of_any():
    both = hnca.value_and_grad(of_one, in_axes=(None, 0, 0), estimator=LEARNED, stateful=True)
    jax.tree.map(np.testing.assert_array_equal, both.init(PARAMS, KEYS[:0], XS[:0]), both.init(PARAMS, KEYS, XS))
