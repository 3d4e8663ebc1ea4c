"""Draws that are named, or come to be named, alike: each has its own credit."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweeps import some_thorough

import hnca

LOGITS, PAYS = np.array([0.3, -0.5, 0.8]), np.array([2.0, -3.0, 5.0])
NAMES = {
    "the second has the first's": (None, "bernoulli_0", None),
    "the first has the second's": ("bernoulli_1", None, None),
    "one name thrice": ("code", "code", "code"),
    "the number of one of several": ("code", "code", "code_1"),
    "the number before": ("code_1", "code", "code"),
    "its kind": (None, "bernoulli", "bernoulli"),
}
pytestmark = pytest.mark.usefixtures("float64", "quick_compilation")


@pytest.mark.parametrize("unroll", some_thorough([True, False], [False]))
@pytest.mark.parametrize("estimator", some_thorough(["HNCA", "REINFORCE"], ["REINFORCE"]))
@pytest.mark.parametrize("case", NAMES)
@pytest.mark.sweep
def test_each_draw_has_its_own_credit(case, estimator, unroll):
    def loss(logits, taken, weight):
        drawn = [hnca.bernoulli(None, logits[i], name=name, given=taken[i]) for i, name in enumerate(NAMES[case])]
        return weight * sum(pay * unit for pay, unit in zip(PAYS, drawn, strict=True))

    up = jax.nn.sigmoid(jnp.asarray(LOGITS))
    joint = jnp.asarray(list(itertools.product([0.0, 1.0], repeat=3)))
    weights = jnp.prod(jnp.where(joint > 0, up, 1 - up), axis=1) * len(joint)
    step = hnca.grad(loss, in_axes=(None, 0, 0), estimator=getattr(hnca, estimator)(), unroll=unroll)
    np.testing.assert_allclose(step(jnp.asarray(LOGITS), joint, weights), PAYS * up * (1 - up), rtol=1e-9)


def test_names_are_told_apart():
    def loss(logits, key):
        keys = jax.random.split(key, 3)
        names = (None, "bernoulli_0", "bernoulli_0")
        return sum(hnca.bernoulli(k, logits, name=name) for k, name in zip(keys, names, strict=True))

    told = str(hnca.explain(loss)(jnp.asarray(0.5), jax.random.key(0)))
    assert [line.split()[0] for line in told.splitlines()[1:4]] == ["bernoulli_0", "bernoulli_0_1", "bernoulli_0_2"]
