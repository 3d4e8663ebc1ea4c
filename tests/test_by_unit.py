"""A draw each of whose units reads one unit of another draw: tokens, chains, populations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracle import exact_gradient
from sweeps import some_thorough

import hnca

RANDOM = np.random.default_rng(0)
P = {"first": RANDOM.normal(size=(3, 2)), "table": RANDOM.normal(size=(2, 3)), "out": RANDOM.normal(size=(3, 2))}
X, Y = RANDOM.normal(size=3), RANDOM.normal(size=3)
NEVER = -np.inf


def of_all(z, y):
    """Mixes everything, so that all credit of what is read by others is mediated too."""
    return jnp.sin(jnp.sum(jnp.asarray(Y) * y) + jnp.sum(z * jnp.asarray(X)) ** 2)


def chained(draws, key, logits_of, first):
    k1, k2 = jax.random.split(key)
    z = draws.categorical(k1, first)
    y = draws.categorical(k2, logits_of(z))
    return of_all(z.astype(float), y.astype(float))


def linear(draws, p, key, x):
    return chained(draws, key, lambda z: p["table"][z] @ p["out"], p["first"] * x[:, None])


def bent(draws, p, key, x):
    return chained(draws, key, lambda z: jnp.tanh(p["table"][z] * x[:, None]) @ p["out"], p["first"])


def masked(draws, p, key, x):
    """What is drawn first says what cannot be drawn next."""
    never = jnp.asarray([[0.0, 0.0], [NEVER, 0.0]])
    return chained(draws, key, lambda z: p["table"][z] @ p["out"] + never[z], p["first"])


def neighbours(draws, p, key, x):
    """Each reads the one before it, and the first none."""
    return chained(draws, key, lambda z: jnp.pad(p["table"][z[:-1]] @ p["out"], ((1, 0), (0, 0))), p["first"])


def spins(draws, p, key, x):
    """Of two values, two steps, and a third draw that reads one unit of both."""
    k1, k2, k3 = jax.random.split(key, 3)
    a = draws.bernoulli(k1, p["first"][:2, 0], values=(-1, 1))
    b = draws.bernoulli(k2, a * p["table"][0, :2] + x[:2])
    c = draws.bernoulli(k3, jnp.exp(0.3 * a[::-1]) * b - p["table"][1, :2])
    return jnp.sin(jnp.sum(a) + jnp.sum(b * jnp.asarray(X[:2]))) * jnp.sum(c * jnp.asarray(Y[:2]))


def kinds_of_spins(draws, p, key, x):
    """A unit of two values makes two classes' logits, and two such are read by a spin."""
    k1, k2, k3 = jax.random.split(key, 3)
    a = draws.bernoulli(k1, p["first"][:, 0])
    kind = draws.categorical(k2, jnp.stack([a * p["first"][:, 1], jnp.cos(a) * x], axis=1))
    back = draws.bernoulli(k3, p["out"][kind, 0] + a)
    return of_all(back * a, kind.astype(float))


def pointers(draws, p, key, x):
    """What is looked up reads the draw that chooses it: one unit, and whichever it names."""
    k1, k2 = jax.random.split(key)
    z = draws.categorical(k1, jnp.concatenate([p["first"], x[:, None]], axis=1))
    y = draws.categorical(k2, p["out"][z[z]])
    own = p["out"][z][jnp.arange(3), z % 2] + z[z[0]].astype(float) * x
    return jnp.sum(own * y.astype(float)) + jnp.sum(jnp.asarray(Y) * z[z].astype(float))


def filled(draws, p, key, x):
    """Places that there are not are filled with what looks like the number of a unit, or of none."""

    def logits_of(z):
        places = jnp.asarray([2, 5, 0])
        return jnp.take(p["table"][z] @ p["out"], places, axis=0, mode="fill", fill_value=7.0) * x[:, None]

    return chained(draws, key, logits_of, p["first"])


PROGRAMS = {
    "pointers": pointers,
    "filled": filled,
    "linear": linear,
    "bent": bent,
    "masked": masked,
    "neighbours": neighbours,
    "spins": spins,
    "kinds of spins": kinds_of_spins,
}


@pytest.mark.parametrize("name", some_thorough(PROGRAMS, ["linear", "masked", "kinds of spins", "pointers"]))
@pytest.mark.sweep
def test_expected_gradient_is_the_exact_one(name, float64):
    program, p, x = PROGRAMS[name], jax.tree.map(jnp.asarray, P), jnp.asarray(X)
    exact = exact_gradient(program, p, x)
    found = hnca.check_unbiased(lambda p, key, x: program(hnca, p, key, x), (p, jax.random.key(0), x))
    for leaf, of in exact.items():
        np.testing.assert_allclose(found.expected[leaf], of, rtol=0, atol=1e-10, err_msg=leaf)


def test_with_a_control_the_expected_gradient_is_the_exact_one(float64):
    p, x = jax.tree.map(jnp.asarray, P), jnp.asarray(X)
    exact = exact_gradient(spins, p, x)
    estimator = hnca.HNCA(control=hnca.FirstOrder())
    found = hnca.check_unbiased(
        lambda p, key, x: spins(hnca, p, key, x), (p, jax.random.key(0), x), estimator=estimator
    )
    for leaf, of in exact.items():
        np.testing.assert_allclose(found.expected[leaf], of, rtol=0, atol=1e-10, err_msg=leaf)


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in ("pointers", "filled")])
def test_all_units_are_changed_at_once(name, float64):
    arguments = jax.tree.map(jnp.asarray, P), jax.random.key(0), jnp.asarray(X)
    told = hnca.explain(lambda p, key, x: PROGRAMS[name](hnca, p, key, x))(*arguments)
    assert "unit by unit" in told
    assert "Dense" not in told


def test_it_is_linear_in_the_number_of_units(quick_compilation):
    """A thousand units of each of two draws, of which a matrix would have a million pairs."""

    def loss(p, key, x):
        first, second = jax.random.split(key)
        return jnp.sum(jnp.cos(hnca.bernoulli(second, jnp.sin(hnca.bernoulli(first, x * p)) * p)) * x)

    def flops(size):
        arguments = jnp.ones(()), jax.random.key(0), jnp.ones(size)
        return jax.jit(hnca.grad(loss)).lower(*arguments).compile().cost_analysis()["flops"]

    assert flops(1000) < 12 * flops(100)
