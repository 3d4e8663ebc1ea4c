"""What a function makes of a loop's results: rows moved, mixed or bent; unbiased, whichever is split by steps."""

import jax
import jax.numpy as jnp
import pytest

import hnca

P = {"a": 0.7, "b": [0.3, -0.8]}


def loop(p, key, use, reverse):
    def step(state, key):
        new = hnca.bernoulli(key, p["a"] * state + p["b"][0])
        return 0.7 * new + state, (new * p["b"][1] + state, state)

    last, (r, s) = jax.lax.scan(step, jnp.asarray(0.4), jax.random.split(key, 3), reverse=reverse)
    return use(p["a"], last, r, s, jnp.asarray([1.0, -2.0, 3.0]))


USES = {
    "flip": lambda a, last, r, s, w: jnp.sum(jnp.flip(r) * w),
    "slice": lambda a, last, r, s, w: jnp.sum(r[1:] * w[:2]),
    "diff": lambda a, last, r, s, w: jnp.sum((r[1:] - r[:-1]) ** 2),
    "cumsum": lambda a, last, r, s, w: jnp.sum(jnp.cumsum(r) * w),
    "cumprod": lambda a, last, r, s, w: jnp.sum(jnp.cumprod(r) * w),
    "perm": lambda a, last, r, s, w: jnp.sum(r[jnp.asarray([2, 0, 1])] * w),
    "matvec": lambda a, last, r, s, w: jnp.sum((jnp.arange(9.0).reshape(3, 3) @ r) ** 2),
    "outer": lambda a, last, r, s, w: jnp.sum(jnp.outer(r, s) * jnp.arange(9.0).reshape(3, 3)),
    "max": lambda a, last, r, s, w: jnp.max(r) + jnp.sum(jnp.tanh(r) * s * w),
    "lastmul": lambda a, last, r, s, w: jnp.sum(r * last * w),
    "softmax": lambda a, last, r, s, w: jnp.sum(jax.nn.softmax(r) * s),
    "discount": lambda a, last, r, s, w: jnp.sum(r * a ** jnp.arange(3.0)),
    "stop": lambda a, last, r, s, w: jnp.sum(jax.lax.stop_gradient(r) * w) * a,
    "sort": lambda a, last, r, s, w: jnp.sort(r)[0] * 2 + r[1],
    "stack": lambda a, last, r, s, w: jnp.sum(jnp.stack([r, s * w], 1) @ jnp.asarray([1.0, 2.0])),
    "concat": lambda a, last, r, s, w: jnp.sum(jnp.concatenate([r, s]) * jnp.arange(6.0)),
    "where": lambda a, last, r, s, w: jnp.sum(jnp.where(jnp.arange(3) < 2, r, s * s)),
    "roll": lambda a, last, r, s, w: jnp.sum(jnp.roll(r, 1) * s),
    "mean var": lambda a, last, r, s, w: jnp.var(r) + jnp.mean(s) * 3,
    "scan2": lambda a, last, r, s, w: jax.lax.scan(lambda c, x: (c * 0.5 + x, None), 0.0, r)[0],
    "scan2 ys": lambda a, last, r, s, w: jnp.sum(jax.lax.scan(lambda c, x: (c * 0.5 + x, c * x), 0.0, r)[1] * w),
    "logsumexp": lambda a, last, r, s, w: jax.nn.logsumexp(r) + jnp.dot(r, s),
    "einsum": lambda a, last, r, s, w: jnp.einsum("i,j,ij->", r, w, jnp.eye(3)),
    "idx": lambda a, last, r, s, w: r[0] * r[2] + r[-1],
    "vmap": lambda a, last, r, s, w: jnp.sum(jax.vmap(lambda a, b, c: jnp.sin(a * c) + b)(r, s, w)),
    "neg div": lambda a, last, r, s, w: -jnp.sum(r / w) / a + jnp.sum(r) / (1 + last),
    "dslice": lambda a, last, r, s, w: jnp.sum(jax.lax.dynamic_slice(r, (1,), (2,)) * w[:2]),
    "at": lambda a, last, r, s, w: jnp.sum(r.at[1].set(0.0) * w) + jnp.sum(r.at[0].add(s[2])),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", USES)
@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore:hnca. jax.lax.stop_gradient")
def test_it_is_unbiased(name, reverse, float64):
    p = jax.tree.map(jnp.asarray, P, is_leaf=lambda leaf: isinstance(leaf, list))
    for estimator in (hnca.HNCA(), hnca.REINFORCE()):
        found = hnca.check_unbiased(
            lambda p, key: loop(p, key, USES[name], reverse),
            (p, jax.random.key(0)),
            estimator=estimator,
            unroll=False,
        )
        assert found.error < 1e-10
