"""Two draws with one key are refused by whatever way the key was reached; different keys of one array are not."""

import jax
import jax.numpy as jnp
import pytest
from sweeps import some_thorough

import hnca

split = jax.random.split
LOGITS = jnp.ones(1)
KEYS = {"typed": jax.random.key(0), "raw": jax.random.PRNGKey(0), "of another kind": jax.random.key(0, impl="rbg")}


def both(first, second):
    return jnp.sum(hnca.bernoulli(first, LOGITS) * hnca.bernoulli(second, LOGITS))


def every(keys):
    return jnp.sum(jax.vmap(lambda key: hnca.bernoulli(key, LOGITS))(keys))


def stepwise(w):
    """Words of which each is made of the one before in two places."""
    for step in range(60):
        w = w ^ (w << 1) + jnp.uint32(step)
    return w


ONE_KEY = {
    "split twice": lambda k: both(split(k)[0], split(k)[0]),
    "folded twice": lambda k: both(jax.random.fold_in(k, 1), jax.random.fold_in(k, 1)),
    "reversed": lambda k: both(split(k, 3)[::-1][2], split(k, 3)[0]),
    "a slice of a slice": lambda k: both(split(k, 4)[1:][:2][1], split(k, 4)[2]),
    "unpacked": lambda k: both(list(split(k, 3))[1], split(k, 3)[1]),
    "from the end": lambda k: both(split(k, 3)[-1], split(k, 3)[2]),
    "all and one": lambda k: every(split(k, 3)) * jnp.sum(hnca.bernoulli(split(k, 3)[0], LOGITS)),
    "some and one": lambda k: every(split(k, 3)[1:]) * jnp.sum(hnca.bernoulli(split(k, 3)[1], LOGITS)),
    "stacked": lambda k: every(jnp.stack([k, k])),
    "broadcast": lambda k: every(jnp.broadcast_to(k, (3, *k.shape))),
    "its own words": lambda k: both(k, _of_words(k)),
}
OTHER_KEYS = {
    "unpacked": lambda k: both(*split(k)),
    "reversed": lambda k: both(split(k, 3)[::-1][0], split(k, 3)[0]),
    "of a slice": lambda k: both(split(k, 3)[:2][1], split(k, 3)[0]),
    "the rest": lambda k: every(split(k, 3)[1:]) * jnp.sum(hnca.bernoulli(split(k, 3)[0], LOGITS)),
    "halves": lambda k: every(split(k, 4)[:2]) * every(split(k, 4)[2:]),
    "folded": lambda k: both(jax.random.fold_in(k, 0), jax.random.fold_in(k, 1)),
    "stacked": lambda k: every(jnp.stack([jax.random.fold_in(k, 0), jax.random.fold_in(k, 1)])),
    "in another shape": lambda k: every(split(k, (2, 3)).reshape(6, *k.shape)),
    "one after another": lambda k: jax.lax.scan(lambda c, k: (c + both(*split(k)), None), 0.0, split(k, 3))[0],
    "chosen by noise": lambda k: both(*_neighbours(split(k, 4), jax.random.fold_in(k, 1))),
    "of words": lambda k: every(split(_typed(stepwise(jax.random.bits(k, (2,)))))),
    "words in another shape": lambda k: every(_typed(jax.random.bits(k, (4,)).reshape(2, 2))),
    "numbers beside them": lambda k: both(*split(k)) * jnp.sum(jax.lax.iota(jnp.uint32, 3)).astype(jnp.float32),
}


def _of_words(key):
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(jax.random.wrap_key_data(key))
    return jax.random.wrap_key_data(jax.random.key_data(key), impl=jax.random.key_impl(key))


def _typed(words):
    return jax.random.wrap_key_data(words, impl="threefry2x32")


def _neighbours(keys, key):
    place = jax.random.randint(key, (), 0, 2)
    return keys[place], keys[place + 1]


@pytest.mark.parametrize("kind", some_thorough(KEYS, ["of another kind"]))
@pytest.mark.parametrize("way", ONE_KEY)
def test_one_key_is_refused(way, kind):
    with pytest.raises(ValueError, match=r"use one key|has one key for several of its units"):
        jax.eval_shape(hnca.grad(lambda w, key: w * ONE_KEY[way](key)), 1.0, KEYS[kind])


@pytest.mark.parametrize("kind", some_thorough(KEYS, ["of another kind"]))
@pytest.mark.parametrize("way", OTHER_KEYS)
def test_other_keys_are_not(way, kind):
    jax.eval_shape(hnca.grad(lambda w, key: w * OTHER_KEYS[way](key)), 1.0, KEYS[kind])
