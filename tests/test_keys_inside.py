"""Keys by which noise is made inside of loops, choices and calls, and keys that an array has several times."""

import jax
import jax.numpy as jnp
import pytest

import hnca

split, fold_in, LOGITS = jax.random.split, jax.random.fold_in, jnp.ones(1)
KEYS = {"typed": jax.random.key(0), "raw": jax.random.PRNGKey(0)}


def noise(key):
    return jnp.sum(jax.random.uniform(key, (1,)))


def draw(key):
    return jnp.sum(hnca.bernoulli(key, LOGITS))


def every(keys):
    return jnp.prod(jax.vmap(draw)(keys))


def in_steps(keys):
    return jax.lax.scan(lambda total, key: (total + noise(key), None), 0.0, keys)[0]


def by_number(key, first=0):
    return jax.lax.fori_loop(first, first + 2, lambda i, total: total + noise(fold_in(key, i)), 0.0)


def split_in_steps(key):
    def step(carried, _):
        key, total = carried
        key, part = split(key)
        return (key, total + noise(part)), None

    return jax.lax.scan(step, (key, 0.0), None, length=2)[0][1]


def until(key):
    def step(carried):
        key, total = carried
        key, part = split(key)
        return key, total + noise(part)

    return jax.lax.while_loop(lambda carried: carried[1] < 1, step, (key, 0.0))[1]


def with_rule(key):
    @jax.custom_jvp
    def scaled(a):
        return a * noise(key)

    scaled.defjvp(lambda primals, tangents: (scaled(*primals), tangents[0]))
    return scaled(1.0)


def in_branch(key, other):
    return jax.lax.cond(LOGITS[0] > 0, lambda: jax.checkpoint(noise)(key), lambda: noise(other))


def in_draws(keys):
    return jax.lax.scan(lambda total, key: (total + draw(key), None), 0.0, keys)[0]


def later(key):
    def step(i, total):
        return total + jax.lax.cond(i > 0, lambda: noise(fold_in(key, i)), lambda: 0.0)

    return jax.lax.fori_loop(0, 3, step, 0.0)


def from_the_end(key):
    """Makes noise by numbers from 12 down, of which the last in the row, 2, comes first."""

    def step(carried, row):
        return carried - 1, noise(fold_in(key, carried * 10 + row))

    return jnp.sum(jax.lax.scan(step, 1, jnp.arange(3), reverse=True)[1][:2])


ONE_KEY = {
    "a checkpoint": lambda k: draw(k) * jax.checkpoint(noise)(k),
    "a checkpoint before": lambda k: jax.checkpoint(noise)(k) * draw(k),
    "a branch": lambda k: draw(fold_in(k, 3)) * in_branch(fold_in(k, 4), fold_in(k, 3)),
    "a loop": lambda k: draw(split(k, 3)[1]) * in_steps(split(k, 3)),
    "a key carried": lambda k: draw(split(k)[1]) * split_in_steps(k),
    "a loop without end": lambda k: until(k) * draw(split(k)[1]),
    "a number in a loop": lambda k: draw(fold_in(k, 0)) * by_number(k),
    "a rule of its own": lambda k: draw(k) * with_rule(k),
    "a map": lambda k: draw(split(k)[0]) * jnp.sum(jax.lax.map(noise, split(k))),
    "noise of one key": lambda k: draw(k) * jnp.sum(jax.vmap(noise)(jnp.broadcast_to(k, (2, *k.shape)))),
    "one place twice": lambda k: every(split(k)[jnp.asarray([0, 0])]),
    "one number twice": lambda k: every(jax.vmap(lambda i: fold_in(k, i // 2))(jnp.arange(4))),
    "a stack and one": lambda k: every(jnp.stack([k, fold_in(k, 7)])) * draw(k),
    "some twice": lambda k: every(jnp.repeat(split(k), 2)[:2]) if k.ndim == 0 else every(split(k)[jnp.array([1, 1])]),
    "a pattern twice": lambda k: in_draws(jnp.concatenate([split(k), split(k)])),
    "a stack in steps": lambda k: draw(k) * in_steps(jnp.stack([fold_in(k, 7), k])),
    "a stack of parts": lambda k: every(jnp.concatenate([split(k, 3)[1:], split(k, 3)[:2]])),
    "a stack's last": lambda k: draw(jnp.stack([fold_in(k, 7), k])[1]) * draw(k),
    "one after another": lambda k: jnp.sum(jax.lax.map(draw, jnp.stack([k, k]))),
}
OTHER_KEYS = {
    "a checkpoint": lambda k: draw(split(k)[0]) * jax.checkpoint(noise)(split(k)[1]),
    "a branch": lambda k: draw(fold_in(k, 3)) * in_branch(fold_in(k, 4), fold_in(k, 5)),
    "a loop": lambda k: draw(split(k, 3)[0]) * in_steps(split(k, 3)[1:]),
    "a key carried": lambda k: draw(split(k)[0]) * split_in_steps(split(k)[1]),
    "a number in a loop": lambda k: draw(fold_in(k, 0)) * by_number(k, 1),
    "noise and noise": lambda k: draw(split(k)[0]) * jax.checkpoint(noise)(split(k)[1]) * noise(split(k)[1]),
    "places": lambda k: every(split(k, 3)[jnp.asarray([0, 2])]) * draw(split(k, 3)[1]),
    "some of each": lambda k: every(jnp.repeat(split(k), 2, axis=0)[::2]),
    "of a table": lambda k: draw((t := jnp.broadcast_to(split(k)[None], (2, 2, *k.shape)))[0, 0]) * draw(t[1, 1]),
    "numbers of each": lambda k: every(jax.vmap(fold_in)(jnp.repeat(split(k), 2, axis=0), jnp.asarray([0, 1, 0, 1]))),
    "no steps": lambda k: draw(k) * jnp.sum(jax.lax.scan(lambda c, _: (c + noise(k), None), 0.0, None, length=0)[0]),
    "a branch never taken": lambda k: draw(k) * jax.lax.cond(False, lambda: noise(k), lambda: 1.0),
    "not in the first step": lambda k: draw(fold_in(k, 0)) * later(k),
    "from the end": lambda k: draw(fold_in(k, 0)) * from_the_end(k),
    "numbers": lambda k: every(jax.vmap(lambda i: fold_in(k, 2 * i))(jnp.arange(3))) * draw(fold_in(k, 1)),
    "a stack": lambda k: every(jnp.stack([fold_in(k, 7), fold_in(k, 8)])) * draw(fold_in(k, 9)),
    "a stack of parts": lambda k: every(jnp.concatenate([split(k, 3)[1:], split(k, 3)[:1]])),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("way", ONE_KEY)
def test_one_key_is_refused(way, kind):
    with pytest.raises(ValueError, match=r"use one key|one key for several of its units"):
        jax.eval_shape(hnca.grad(lambda w, key: w * ONE_KEY[way](key)), 1.0, KEYS[kind])


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("way", OTHER_KEYS)
def test_other_keys_are_not(way, kind):
    jax.eval_shape(hnca.grad(lambda w, key: w * OTHER_KEYS[way](key)), 1.0, KEYS[kind])


def test_a_key_of_an_argument_s_array_is_one_of_them():
    def loss(w, keys):
        return w * every(keys) * noise(keys[1])

    with pytest.raises(ValueError, match="use one key"):
        jax.eval_shape(hnca.grad(loss), 1.0, split(KEYS["typed"], 3))
