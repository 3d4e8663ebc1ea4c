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
    "split and folded": lambda k: both(split(k)[0], jax.random.fold_in(k, 0)),
    "split into two and three": lambda k: both(split(k)[1], split(k, 3)[1]),
    "all and folded": lambda k: every(split(k, 3)) * jnp.sum(hnca.bernoulli(jax.random.fold_in(k, 2), LOGITS)),
    "folded and some": lambda k: jnp.sum(hnca.bernoulli(jax.random.fold_in(k, 2), LOGITS)) * every(split(k, 4)[1:]),
}
OTHER_KEYS = {
    "unpacked": lambda k: both(*split(k)),
    "reversed": lambda k: both(split(k, 3)[::-1][0], split(k, 3)[0]),
    "split and folded": lambda k: both(split(k)[1], jax.random.fold_in(k, 2)),
    "all and folded": lambda k: every(split(k, 3)) * jnp.sum(hnca.bernoulli(jax.random.fold_in(k, 3), LOGITS)),
    "split into two and three": lambda k: both(split(k)[1], split(k, 3)[2]),
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


def of_two(first, second=None):
    """Two draws, each with a key that is picked from keys of one draw by another draw."""

    def function(w, key):
        one, other, base, more = split(key, 4)
        keys = split(more, 4)
        a, b = (hnca.bernoulli(k, w).astype(int) for k in (one, other))
        return hnca.bernoulli(first(base, keys, a), w) * hnca.bernoulli((second or first)(base, keys, b), w)

    return function


def mapped(pick):
    """Three units, each with a key that is picked by a unit of another draw."""

    def function(w, key):
        one, base, more = split(key, 3)
        chosen = hnca.bernoulli(one, jnp.full(3, w)).astype(int)
        return jnp.sum(jax.vmap(lambda k: hnca.bernoulli(k, w))(pick(base, split(more, 4), chosen)))

    return function


def beside_noise(w, key):
    one, base = split(key)
    chosen = hnca.bernoulli(one, w).astype(int)
    return hnca.bernoulli(fold(base, chosen), w) * jax.random.normal(fold(base, 0))


def in_steps(pick):
    """As many steps, each with a key that is picked by what has been drawn so far."""

    def function(w, key):
        base, more = split(key)
        keys, stacked = split(more, 4), split(base, 3)

        def step(count, own):
            return count + hnca.bernoulli(pick(base, keys, own, count.astype(int)), w), None

        return jax.lax.scan(step, 0.0, stacked)[0]

    return function


def carried(w, key):
    def step(carry, _):
        key, total = carry
        drawn = hnca.bernoulli(fold(key, 1), w)
        return (fold(key, drawn.astype(int) + 2), total + drawn), None

    return jax.lax.scan(step, (key, 0.0), None, 3)[0][1]


def two_in_a_step(w, key):
    def step(total, own):
        first, second, base = split(own, 3)
        a, b = (hnca.bernoulli(k, w).astype(int) for k in (first, second))
        return total + hnca.bernoulli(fold(base, a), w) * hnca.bernoulli(fold(base, b), w), None

    return jax.lax.scan(step, 0.0, split(key, 2))[0]


def inner_steps(w, key):
    """Each outer step folds one key with what has been drawn, and hands it to the steps inside."""

    def outer(count, _):
        def inner(total, own):
            return total + hnca.bernoulli(own, w), None

        return jax.lax.scan(inner, count, split(fold(key, count.astype(int)), 2))[0], None

    return jax.lax.scan(outer, 0.0, None, 2)[0]


def of_row(pick):
    """Two draws with two keys of a block that a draw chooses."""

    def function(w, key):
        first, second = split(key)
        chosen = pick(split(second, (2, 2)), hnca.bernoulli(first, w).astype(int))
        return hnca.bernoulli(chosen[0], w) * hnca.bernoulli(chosen[1], w)

    return function


def handed_down(w, key):
    """The next key is one of two halves, which a draw chooses."""

    def step(carry, _):
        key, total = carry
        own, rest = split(key)
        drawn = hnca.bernoulli(own, w)
        return (split(rest)[drawn.astype(int)], total + drawn), None

    return jax.lax.scan(step, (key, 0.0), None, 3)[0][1]


def chosen_in_every_step(w, key):
    def step(carry, _):
        key, total = carry
        own, first, second = split(key, 3)
        drawn = hnca.bernoulli(own, w)
        return (jnp.where(drawn > 0, first, second), total + drawn), None

    return jax.lax.scan(step, (key, 0.0), None, 30)[0][1]  # 2^30 ways to the first


def two_loops(w, key):
    def step(carry, _):
        key, total = carry
        key, own = split(key)
        return (key, total + w * hnca.bernoulli(own, w + total)), None

    once = jax.lax.scan(step, (key, 0.0), None, 2)[0]
    return jax.lax.scan(step, once, None, 2)[0][1]


def two_carried(w, key):
    def noisy(carry, _):
        key, x = carry
        key, own = split(key)
        return (key, x + jax.random.normal(own)), None

    def step(carry, _):
        first, second, total = carry
        (first, own), (second, other) = split(first), split(second)
        return (first, second, total + hnca.bernoulli(own, w) * hnca.bernoulli(other, w + total)), None

    total = jax.lax.scan(step, (*split(key), 0.0), None, 2)[0][2]
    first, second = split(fold(key, 7))
    total = jax.lax.scan(noisy, (first, total), None, 2)[0][1]
    return hnca.bernoulli(second, w) * jax.lax.scan(noisy, (fold(key, 8), total), None, 2)[0][1]


def _by_branch(base, keys, z):
    first, second = keys[0], keys[1]
    return jax.lax.cond(z > 0, lambda: first, lambda: second)


def one_predicate(w, key):
    first, second, other = split(key, 3)
    z = hnca.bernoulli(first, w).astype(int)
    known = w > 0
    keys = [jnp.where(known, k, fold(other, z + i)) for i, k in enumerate(split(second))]
    return hnca.bernoulli(keys[0], w) * hnca.bernoulli(split(keys[1])[0], w)


fold = jax.random.fold_in
MAY_BE_ONE = {
    "folded": of_two(lambda base, keys, z: fold(base, z)),
    "taken": of_two(lambda base, keys, z: keys[z]),
    "taken and known": of_two(lambda base, keys, z: keys[z], lambda base, keys, z: keys[1]),
    "folded and known": of_two(lambda base, keys, z: fold(base, z), lambda base, keys, z: fold(base, 1)),
    "split afterwards": of_two(lambda base, keys, z: split(fold(base, z))[0]),
    "units, taken": mapped(lambda base, keys, z: keys[z]),
    "units, folded": mapped(lambda base, keys, z: jax.vmap(fold, (None, 0))(base, z)),
    "selected": of_two(lambda base, keys, z: jnp.where(z > 0, keys[0], keys[1])),
    "selected and known": of_two(lambda base, keys, z: jnp.where(z > 0, keys[0], base), lambda base, keys, z: keys[0]),
    "by a branch": of_two(lambda base, keys, z: jax.lax.cond(z > 0, lambda: keys[0], lambda: keys[1])),
    "by a branch, known": of_two(_by_branch, lambda base, keys, z: keys[0]),
    "split, then selected": of_two(lambda base, keys, z: split(jnp.where(z > 0, keys[0], keys[1]))[0]),
    "seeds": of_two(lambda base, keys, z: jax.random.key(z)),
    "noise": beside_noise,
    "steps, folded": in_steps(lambda base, keys, own, z: fold(base, z)),
    "steps, taken": in_steps(lambda base, keys, own, z: keys[z]),
    "steps, two in each": two_in_a_step,
    "steps, of an inner loop": inner_steps,
}
ALWAYS_TWO = {
    "halves": of_two(lambda base, keys, z: split(fold(base, z))[0], lambda base, keys, z: split(fold(base, z))[1]),
    "of two keys": of_two(lambda base, keys, z: fold(keys[0], z), lambda base, keys, z: fold(keys[1], z)),
    "of two arrays": of_two(lambda base, keys, z: keys[:2][z], lambda base, keys, z: keys[2:][z]),
    "one of them": of_two(lambda base, keys, z: keys[z], lambda base, keys, z: base),
    "units, each of its own": mapped(lambda base, keys, z: jax.vmap(fold)(keys[:3], z)),
    "units, of a pair of its own": mapped(lambda base, keys, z: jax.vmap(lambda k, i: split(k)[i])(keys[:3], z)),
    "one of two, each with another": of_two(
        lambda base, keys, z: jnp.where(z > 0, keys[0], keys[1]),
        lambda base, keys, z: jnp.where(z > 0, keys[2], keys[3]),
    ),
    "folded after a choice": of_two(lambda base, keys, z: fold(keys[z], 0), lambda base, keys, z: fold(keys[z], 1)),
    "a row of a table": of_row(lambda keys, z: keys[z]),
    "a slice of keys": of_row(lambda keys, z: jax.lax.dynamic_slice_in_dim(keys.reshape(4, *keys.shape[2:]), z, 2)),
    "a key of each row": mapped(lambda base, keys, z: split(base, (3, 2))[jnp.arange(3), z]),
    "steps, each of its own": in_steps(lambda base, keys, own, z: fold(own, z)),
    "carried": carried,
    "handed down": handed_down,
    "chosen in every step": chosen_in_every_step,
    "two loops": two_loops,
    "two keys carried": two_carried,
    "one predicate": one_predicate,
}


@pytest.mark.parametrize("kind", some_thorough(KEYS, ["raw", "of another kind"]))
@pytest.mark.parametrize("way", MAY_BE_ONE)
def test_keys_that_are_chosen_by_draws_are_warned_of(way, kind):
    for unroll in (True, False) if "steps" in way else (True,):
        with pytest.warns(UserWarning, match="may come to have one key, as it is chosen by what is drawn"):
            jax.eval_shape(hnca.grad(MAY_BE_ONE[way], unroll=unroll), 1.0, KEYS[kind])


@pytest.mark.parametrize("way", ALWAYS_TWO)
def test_nothing_is_said_of_chosen_keys_that_cannot_be_one(way):
    for unroll in (True, False):
        jax.eval_shape(hnca.grad(ALWAYS_TWO[way], unroll=unroll), 1.0, KEYS["typed"])
