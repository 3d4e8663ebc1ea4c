"""The registry of mistakes: what a program cannot have in it, and what is said of it."""

import jax
import jax.numpy as jnp

import hnca

KEY = jax.random.key(0)
MISTAKES = {
    "one key": (lambda w: jnp.sum(hnca.bernoulli(KEY, w) * hnca.bernoulli(KEY, w)), "use one key"),
    "one key for noise before": (
        lambda w: jnp.sum(jax.random.normal(KEY, (3,)) * hnca.bernoulli(KEY, w)),
        r"'bernoulli_0' at .*mistakes.* and what jax.random makes at .*mistakes.* one key",
    ),
    "one key for noise after": (
        lambda w: jnp.sum(hnca.bernoulli(jax.random.key(3), w) * jax.random.uniform(jax.random.key(3), (3,))),
        "what jax.random makes at",
    ),
    "one split key for noise": (
        lambda w: jnp.sum(
            hnca.bernoulli(jax.random.split(KEY)[1], w) * jax.random.gamma(jax.random.split(KEY)[1], 2.0, (3,))
        ),
        "what jax.random makes at",
    ),
    "a repeated key": (
        lambda w: jnp.sum(jax.vmap(hnca.bernoulli)(jnp.broadcast_to(KEY, (3,)), w)),
        "one key for several of its units",
    ),
    "a stacked key": (
        lambda w: jnp.sum(jax.vmap(hnca.bernoulli)(jnp.stack([KEY, jax.random.key(1), KEY]), w)),
        "one key for several of its units",
    ),
    "a scanned key": (
        lambda w: jnp.sum(
            jax.lax.scan(lambda c, k: (c, hnca.bernoulli(k, c)), w, jnp.broadcast_to(KEY, (3,)))[1],
        ),
        "use one key",
    ),
    "a key of an array that is used": (
        lambda w: (lambda keys: jnp.sum(jax.vmap(hnca.bernoulli)(keys, w)) * hnca.bernoulli(keys[1], w[0]))(
            jax.random.split(KEY, 3)
        ),
        "use one key",
    ),
    "an array of which a key is used": (
        lambda w: (lambda keys: hnca.bernoulli(keys[1], w[0]) * jnp.sum(jax.vmap(hnca.bernoulli)(keys, w)))(
            jax.random.split(KEY, 3)
        ),
        "use one key",
    ),
    "an empty name": (lambda w: hnca.categorical(KEY, w, name="") + w[0], "categorical: name=''; expected a text"),
    "cond": (lambda w: jax.lax.cond(w[0] > 0, lambda: hnca.bernoulli(KEY, w)[0], lambda: 0.0), "draw unconditionally"),
    "vector": (lambda w: hnca.bernoulli(KEY, w), r"shape \(3,\) and dtype float32; expected one float"),
    "no draw": (lambda w: jnp.sum(w), r"no draws in it; .*without any, jax\.grad is right"),
    "no draw that matters": (
        lambda w: (hnca.bernoulli(KEY, w, name="code"), jnp.sum(w))[1],
        "depends on none of its draws, code; a reward that was observed",
    ),
    "a reward of nothing": (
        lambda w: hnca.observed(w[0]) + hnca.entropy(w * hnca.bernoulli(KEY, w, name="code"))[0],
        r"hnca\.observed: what is observed at .*mistakes\.py.* reads none of the draws, code, .*reward \+ 0\.0",
    ),
    "no return": (lambda w: None, r"returned None \(is its return missing\?\); expected one float"),
    "a pair": (lambda w: (jnp.sum(hnca.bernoulli(KEY, w)), w), "returned a tuple; .*or, with has_aux=True, a pair"),
    "a key of the estimator": (
        lambda w: hnca.grad(lambda v: jnp.sum(hnca.bernoulli(KEY, v)), estimator=hnca.DisARM())(w),
        r"DisARM: key=None; expected a key, .*estimator_key=",
    ),
    "shared": (lambda w: jnp.sum(jax.vmap(lambda a: hnca.bernoulli(KEY, a))(w)), "uses one key for everything"),
    "too long": (
        lambda w: jnp.sum(
            jax.lax.scan(lambda c, k: (hnca.bernoulli(k, c), None), w, jax.random.split(KEY, 1000))[0],
        ),
        "expected at most 512 draws",
    ),
    "no key": (lambda w: jnp.sum(hnca.bernoulli(None, w)), "expected a key"),
    "feedback": (
        lambda w: jnp.sum(hnca.bernoulli(jax.random.key(1), hnca.observed(hnca.bernoulli(KEY, w)))),
        "only what the function returns may depend on it",
    ),
}
