"""Arrays that a function closes over are known under `jax.jit` too, where what is computed of them is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

KEY, ONES = jax.random.key(0), jnp.ones(2)
OUT_OF_RANGE, NO_NUMBERS = jnp.array([1, 3]), jnp.array([jnp.nan, jnp.inf])
LABELS, BITS, SPINS = jnp.array([1, 0]), jnp.ones((2, 3)), -jnp.ones((2, 3))
NETWORK = hnca.Network({"h": hnca.Bernoulli(hnca.Dense("x", 2, 2, key=KEY))}, inputs={"x": 2})


def value_of(term, x):
    return hnca.HNCA()(NETWORK, term, NETWORK.sample(KEY, {"x": x * jnp.ones((2, 2))})).value


def of_program(logits, labels):
    def loss(w, key):
        return jnp.sum(hnca.log_prob(w * jnp.sum(hnca.bernoulli(key, w)), labels))

    return hnca.value_and_grad(loss)(logits, KEY)[1]


def squared(h):
    return jnp.sum(h) ** 2


def of_table(h, x):
    return jnp.sum(h) * jnp.sum(x) + jnp.sum(SPINS)


FOUND = {
    "labels": lambda x: hnca.log_prob(x * BITS, LABELS),
    "bits": lambda x: hnca.log_prob(x * BITS, BITS),
    "spins": lambda x: hnca.log_prob(x * BITS, SPINS, values=(-1, 1)),
    "labels in a program": lambda x: of_program(x * BITS, LABELS),
    "bits in a program": lambda x: of_program(x * BITS, BITS),
    "a weight": lambda x: value_of(hnca.Weighted(hnca.Function(squared, of="h"), ONES), x),
    "a reward": lambda x: value_of(hnca.Reward("h", ONES), x),
    "a table": lambda x: value_of(hnca.Function(of_table, of="h", inputs="x"), x),
}
REFUSED = {
    "labels": (lambda x: hnca.log_prob(x * BITS, OUT_OF_RANGE), "value has categories outside of 0 to 2"),
    "bits": (lambda x: hnca.log_prob(x * BITS, SPINS), "value has numbers outside of 0.0 to 1.0"),
    "a weight": (lambda x: value_of(hnca.Weighted(hnca.Function(squared, of="h"), NO_NUMBERS), x), "weight has values"),
    "a reward": (lambda x: value_of(hnca.Reward("h", NO_NUMBERS), x), "observed has 2 values that are NaN"),
}


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.sweep
def test_it_is_the_same_under_jit(name):
    np.testing.assert_allclose(jax.jit(FOUND[name])(1.0), FOUND[name](jnp.asarray(1.0)), rtol=1e-6)


@pytest.mark.parametrize("under", [jax.jit, lambda f: f], ids=["jit", "eager"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_under_jit_too(name, under):
    found, told = REFUSED[name]
    with pytest.raises(ValueError, match=told):
        under(found)(jnp.asarray(1.0))
