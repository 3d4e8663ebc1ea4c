"""A matrix for every unit, chosen by what it drew, as of experts: each token reads its own draw alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracle import exact_gradient
from sweeps import some_thorough

import hnca

TOKENS, SIZE, EXPERTS, OUT = 3, 2, 2, 2
X = np.random.default_rng(0).normal(size=(TOKENS, SIZE))
Y = np.array([0.3, -1.0, 0.7])


def parameters():
    found = np.random.default_rng(1)
    route, experts = found.normal(size=(SIZE, EXPERTS)), found.normal(size=(EXPERTS, SIZE, OUT))
    return {"route": jnp.asarray(route), "experts": jnp.asarray(experts)}


def of_each(p, chosen, x):
    return jax.vmap(lambda i, x: x @ p["experts"][i])(chosen, x)


WAYS = {
    "vmap": of_each,
    "einsum": lambda p, chosen, x: jnp.einsum("td,tde->te", x, p["experts"][chosen]),
    "from the right": lambda p, chosen, x: jnp.einsum("tde,td->te", p["experts"][chosen], x),
    "one-hot": lambda p, chosen, x: jnp.einsum(
        "tk,tke->te", jax.nn.one_hot(chosen, EXPERTS, dtype=x.dtype), jnp.einsum("td,kde->tke", x, p["experts"])
    ),
    "twice": lambda p, chosen, x: jnp.einsum(
        "td,tde->te", of_each(p, chosen, x), jnp.swapaxes(p["experts"], 1, 2)[chosen]
    ),
    "outer": lambda p, chosen, x: jnp.sum(jnp.einsum("td,tef->tdfe", x, p["experts"][chosen]), axis=1)[:, 0],
}


def loss_of(way):
    def loss(draws, p, key, x):
        made = jnp.tanh(WAYS[way](p, draws.categorical(key, x @ p["route"]), x))
        return jnp.mean((made[:, 0] - jnp.asarray(Y)) ** 2 * jnp.exp(made[:, 1]))

    return loss


def two_layers(draws, p, key, x):
    """What the first experts make decides who comes next."""
    first, second = jax.random.split(key)
    made = jnp.tanh(of_each(p, draws.categorical(first, x @ p["route"]), x))
    again = of_each(p, draws.categorical(second, made @ p["route"]), made)
    return jnp.sum(jnp.sin(again[:, 0]) * jnp.asarray(Y))


PROGRAMS = {**{way: loss_of(way) for way in WAYS}, "two layers": two_layers}


@pytest.mark.parametrize("name", some_thorough(PROGRAMS, ["einsum", "from the right", "outer", "one-hot", "twice"]))
@pytest.mark.sweep
def test_expected_gradient_is_the_exact_one(name, float64):
    program, p, x = PROGRAMS[name], parameters(), jnp.asarray(X)
    exact = exact_gradient(program, p, x)
    found = hnca.check_unbiased(lambda p, key, x: program(hnca, p, key, x), (p, jax.random.key(0), x))
    for leaf, of in exact.items():
        np.testing.assert_allclose(found.expected[leaf], of, rtol=0, atol=1e-10, err_msg=leaf)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_evaluated_anew(way, float64):
    arguments = parameters(), jax.random.key(0), jnp.asarray(X)
    told = hnca.explain(lambda p, key, x: loss_of(way)(hnca, p, key, x))(*arguments)
    assert "evaluated anew" not in told


def test_tokens_that_are_mixed_are_evaluated_anew(float64):
    def mixed(p, key, x):
        return jnp.sum(jnp.tanh(jnp.sum(of_each(p, hnca.categorical(key, x @ p["route"]), x), axis=0)))

    told = hnca.explain(mixed)(parameters(), jax.random.key(0), jnp.asarray(X))
    assert f"evaluated anew {TOKENS * (EXPERTS - 1)} times" in told
