"""Numbers beside which others are lost, in 32 bits: masks, infinities, differences; judged by enumeration in 64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracle import exact_gradient
from test_program_arithmetic import WORTH, P, X, hidden

import hnca

SCORES = np.array([3.0, -4.0, 1.0])
ROADS = np.array([3.0, 5.0, 11.0])
LOWEST = float(np.finfo(np.float32).min)


def masked(number, use):
    """Scores of which draws leave the last one and some others, the rest being a large negative number."""

    def program(d, p, k, x):
        first, second = jax.random.split(k)
        mask = jnp.concatenate([hidden(d, p, first, x)[:2] > 0, jnp.array([True])])
        scores = jnp.where(mask, (jnp.asarray(SCORES) + p["square"][0]).astype(p["bias"].dtype), number)
        return use(d, second, p, scores)

    return program


def added(number):
    """The same as it is added to scores, each mask a draw."""

    def program(d, p, k, x):
        first, second = jax.random.split(k)
        h = hidden(d, p, first, x)
        masks = (1 - h[0]) * jnp.array([number, 0, 0], h.dtype) + (1 - h[1]) * jnp.array([0, number, 0], h.dtype)
        return jnp.asarray(WORTH)[d.categorical(second, p["square"][0] + jnp.asarray(SCORES, h.dtype) + masks)]

    return program


def worth(d, key, p, scores):
    return jnp.asarray(WORTH, scores.dtype)[d.categorical(key, scores)]


def attended(d, key, p, scores):
    return jax.nn.softmax(scores) @ jnp.asarray(WORTH, scores.dtype)


def later_units(d, key, p, scores):
    return jnp.sum(d.bernoulli(key, scores) * p["bias"])


def two_masks(scale, offsets):
    def program(d, p, k, x):
        first, second = jax.random.split(k)
        h = hidden(d, p, first, x)[:2]
        off = jnp.where((h[:, None] > 0) & jnp.array([[False, True, False], [False, False, True]]), -jnp.inf, 0.0)
        logits = p["square"][0] + jnp.asarray(offsets, h.dtype) + jnp.sum(off, axis=0).astype(h.dtype)
        return jnp.asarray(WORTH)[d.categorical(second, logits / scale)]

    return program


def shortest(use):
    def program(d, p, k, x):
        open_road = hidden(d, p, k, x) > 0
        roads = jnp.where(open_road, jnp.asarray(ROADS, p["bias"].dtype), jnp.inf)
        return use(jnp.minimum(roads[0] + roads[1], roads[2])) * p["bias"][0]

    return program


def hash_of_words(d, p, k, x):
    words = d.categorical(k, jnp.resize(p["square"][:, :2], (7, 2)))
    code = jnp.int32(5381)
    for word in words:
        code = code * 31 + word
    return jnp.array([0.1, 0.9, 0.4, 0.7, -0.3])[code % 5]


def shifted_words(d, p, k, x):
    words = d.categorical(k, p["square"])
    return jnp.array([0.1, 0.9, 0.4, 0.7, -0.3])[((words[0] << 24) + (words[1] << 12) + words[2]) % 5]


def codes_of_an_argument(d, p, k, x):
    codes = (jnp.arange(3) + jnp.round(x[0]).astype(jnp.int32)) ** 2 * 2**24 + 1
    total = jnp.sum(hidden(d, p, k, x).astype(jnp.int32) * codes)
    return jnp.array([0.1, 0.9, 0.4, 0.7, -0.3])[total % 5]


def masked_mean(bend):
    def program(d, p, k, x):
        h, mask = hidden(d, p, k, x), jnp.floor(x[1]) * jnp.ones(3, p["bias"].dtype)
        return jnp.where(jnp.sum(mask) > 0, bend(jnp.sum((h - 0.3) ** 2 * mask) / jnp.sum(mask)), 0.0) + p["bias"] @ h

    return program


def phases(d, p, k, x):
    first, second = jax.random.split(k)
    waves = jnp.exp(1j * jnp.pi * hidden(d, p, first, x) * p["bias"])
    later = d.bernoulli(second, jnp.abs(jnp.sum(waves)) * p["bias"])
    return jnp.abs(jnp.sum(waves)) ** 2 + jnp.real(jnp.sum(waves * p["bias"])) + jnp.sum(later * p["bias"])


def of_two_dtypes(d, p, k, x):
    first, second = jax.random.split(k)
    h = d.bernoulli(first, (x @ p["in"]).astype(jnp.float32)).astype(jnp.bfloat16)
    g = d.bernoulli(second, p["bias"])
    return jnp.sum(jax.nn.relu(h @ jnp.ones((3, 2), jnp.bfloat16) - 1)).astype(g.dtype) * g @ p["bias"]


def spread(offset):
    def program(d, p, k, x):
        y = offset + hidden(d, p, k, x) * jnp.asarray(WORTH, p["bias"].dtype)
        target = offset + 2.5 * jnp.ones(3, p["bias"].dtype)
        return jnp.var(y) + (y[0] - y[1]) * (y[1] - y[2]) + jnp.mean((y - target) ** 2)

    return program


def of_few_units(bend):
    """What is steep, or none, where nothing but an exact 0 is left of what units add up to."""

    def program(d, p, k, x):
        weights = jax.nn.softplus(p["bias"] * 1.371)
        return bend(d.bernoulli(k, p["bias"]) * weights, jnp.asarray(WORTH, x.dtype)) * p["bias"][0]

    return program


def votes(scale):
    """Ties of counts that are learned or data by their scale."""

    def program(d, p, k, x):
        z = d.categorical(k, jnp.outer(jnp.ones(4, x.dtype), p["bias"]))
        return p["bias"][jnp.argmax(jnp.sum(jax.nn.one_hot(z, 3, dtype=x.dtype), axis=0) * scale(p, x))]

    return program


PROGRAMS = {
    "a weighted mean": of_few_units(lambda a, x: jnp.sum(a * x) / (jnp.sum(a) + 1e-8)),
    "shares": of_few_units(lambda a, x: jnp.sum(a / (jnp.sum(a) + 1e-8) * x)),
    "a ratio": of_few_units(lambda a, x: jnp.mean(a * x**2) / (jnp.mean(a * x**2) + 0.37 * jnp.mean(a) + 1e-9)),
    "an inverse": of_few_units(lambda a, x: 1e-7 / (jnp.mean(a) + 1e-7)),
    "normalised": of_few_units(lambda a, x: jnp.sum(a * x) * jax.lax.rsqrt(jnp.mean(a**2) + 1e-12)),
    "votes, learned": votes(lambda p, x: 0.1 + 0 * p["bias"][0]),
    "votes, data": votes(lambda p, x: jnp.abs(x[0]) * 0.1),
    **{f"{use.__name__}, {n:g}": masked(n, use) for n in (-1e9, LOWEST) for use in (worth, attended, later_units)},
    "logsumexp": masked(-1e9, lambda d, k, p, scores: jax.nn.logsumexp(scores)),
    "the largest": masked(-1e9, lambda d, k, p, scores: jnp.max(scores)),
    "added": added(-1e9),
    "two masks, scaled": two_masks(200.0, [0.0, 0.0, 0.0]),
    "two masks, far apart": two_masks(1.0, [-3000.0, -100.0, -99.0]),
    "the shortest, with a penalty": shortest(lambda d: jnp.minimum(d, 10000.0)),
    "the shortest, discounted": shortest(lambda d: jnp.exp(-0.001 * d)),
    "the shortest, inverse": shortest(lambda d: 1e4 / d),
    "a hash": hash_of_words,
    "shifted": shifted_words,
    "codes of an argument": codes_of_an_argument,
    "the mean of none": masked_mean(lambda m: m),
    "the mean of none, bent": masked_mean(jnp.tanh),
    "phases": phases,
    "two dtypes": of_two_dtypes,
    "differences": spread(2000.0),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.sweep
def test_it_is_as_exact_as_32_bits_can_be(name, quick_compilation):
    program = PROGRAMS[name]
    with jax.numpy_dtype_promotion("standard"):
        with jax.enable_x64(True):
            truth = exact_gradient(program, jax.tree.map(jnp.float64, P), jnp.float64(X))
        p, x = jax.tree.map(jnp.float32, P), jnp.float32(X)
        arguments = (p, jax.random.key(0), x)
        found = hnca.check_unbiased(lambda p, k, x: program(hnca, p, k, x), arguments, tolerance=np.inf)
    largest = max(float(np.max(np.abs(leaf))) for leaf in jax.tree.leaves(truth))
    assert largest > 1e-3
    for mean, leaf in zip(jax.tree.leaves(found.expected), jax.tree.leaves(truth), strict=True):
        # Of 16 bits a product of weights has three digits at most.
        np.testing.assert_allclose(mean, leaf, atol=(4e-2 if name == "two dtypes" else 2e-4) * largest)


def test_a_root_of_what_many_units_add_up_to():
    """More than are evaluated at no price; a root, too, of what may not be an ulp below 0."""
    w = jnp.asarray(np.random.default_rng(0).uniform(0.1, 1, 70), jnp.float32)

    def loss(logits, key):
        first, second = jax.random.split(key)
        share = jnp.sum(hnca.bernoulli(second, logits + 7) * w) / jnp.sum(w)
        return jnp.sqrt(jnp.mean(hnca.bernoulli(first, logits) * w) + 1e-12) + jnp.sqrt(1 + 1e-6 - share)

    keys = jax.random.split(jax.random.key(0), 300)
    gradients = jax.jit(jax.vmap(hnca.grad(loss), in_axes=(None, 0)))(jnp.full(70, -3.5), keys)
    assert np.all(np.isfinite(gradients))
