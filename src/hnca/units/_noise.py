"""Random draws whose probabilities are right to the tails, whatever the dtype of the logits.

JAX makes a float32 between 0 and 1 of 23 random bits, so that nothing happens less often than once in 8 million draws,
and one of sixteen bits of 7 to 10. Here all 32 bits of the same stream are used, and more are drawn where these are at
the edge of a decision, which is so seldom that it costs nothing.

Compiled each by itself, once: a loop outside any compiled function is compiled anew at every call.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Key, UInt32

from hnca._precision import at_least_float32

_ONE = 2.0**32
_TAIL = 1 << 13

_Turn = Callable[[tuple[Array, Array]], tuple[Array, Array]]


@partial(jax.jit, inline=True)
def bernoulli(key: Key[Array, "*keys"], logits: Float[Array, "*shape"]) -> Bool[Array, "*shape"]:
    """Returns true with probability `sigmoid(logit)`, right down to 1e-37, and down to 1e-37 for false too.

    A key may have axes, a key for every index of the first axes of the shape: the draws are those of one key after the
    other, without a loop for every one where more bits are needed.
    """
    logits = jax.lax.stop_gradient(logits.astype(at_least_float32(logits.dtype)))
    if logits.dtype != jnp.float32:
        uniform = _of_each(key, lambda one: jax.random.uniform(one, logits.shape[key.ndim :], logits.dtype))
        return uniform < jax.nn.sigmoid(logits)
    bits, likely = _bits(key, logits.shape), logits > 0
    # The unlikelier value is taken if a number below 1, whose first 32 bits these are, is below its probability.
    bits = jnp.where(likely, ~bits, bits)
    limit = jax.nn.sigmoid(-jnp.abs(logits)) * _ONE
    whole = limit.astype(jnp.uint32)
    part = limit - jnp.floor(limit)
    at_edge = (bits == whole) & (part > 0)

    def turn(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        return jnp.zeros_like(carry[0]), carry[1] | (at_edge & (_again(key, logits.shape) < part))

    return _one_turn_if(jnp.any(at_edge), turn, bits < whole) != likely


@partial(jax.jit, static_argnames=("shape", "dtype"), inline=True)
def gumbel(key: Key[Array, "*keys"], shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, "*shape"]:
    """Returns Gumbel noise, in float32 at least, with an upper tail that is right for probabilities of 1e-14.

    It is `jax.random.gumbel` but for that tail, which in float32 ends at 16. Of keys with axes as for `bernoulli`.
    """
    dtype = at_least_float32(dtype)
    if dtype != jnp.float32:
        return _of_each(key, lambda one: jax.random.gumbel(one, shape[key.ndim :], dtype))
    bits = _bits(key, shape)
    uniform = jax.lax.bitcast_convert_type((bits >> 9) | jnp.uint32(0x3F800000), jnp.float32) - 1
    exponential = -jnp.log(jnp.maximum(uniform, jnp.finfo(jnp.float32).tiny))
    # As few 2^-32ths from 1, the uniform number's 23 bits say too little of it.
    in_tail = ~bits < _TAIL

    def turn(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        distance = ((~bits).astype(jnp.float32) + _again(key, shape)) / _ONE
        return jnp.zeros_like(carry[0]), jnp.where(in_tail & carry[0], distance, carry[1])

    return -jnp.log(_one_turn_if(jnp.any(in_tail), turn, exponential))


def _one_turn_if(needed: Bool[Array, ""], turn: _Turn, value: Array) -> Array:
    """Returns the value, changed by a turn if needed: no `jax.lax.cond`, which under `vmap` would always take it."""
    return jax.lax.while_loop(lambda carry: carry[0], turn, (needed, value))[1]


def _again(key: Key[Array, "*keys"], shape: tuple[int, ...]) -> Float[Array, "*shape"]:
    """Returns numbers uniform on (0, 1), independent of the first bits of the key."""
    others = _of_each(key, lambda one: jax.random.fold_in(one, 1))
    return (_bits(others, shape).astype(jnp.float32) + 0.5) / _ONE


def _bits(key: Key[Array, "*keys"], shape: tuple[int, ...]) -> UInt32[Array, "*shape"]:
    return _of_each(key, lambda one: jax.random.bits(one, shape[key.ndim :], jnp.uint32))


def _of_each(key: Key[Array, "*keys"], function: Callable[[Array], Array]) -> Array:
    """Returns the function of every key, its axes behind those of the keys."""
    for _ in range(key.ndim):
        function = jax.vmap(function)
    return function(key)
