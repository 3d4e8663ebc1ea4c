"""Noise of `jax.random` that the log weight of a bound is made of, and keys for every pass to draw its own by."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from hnca._warning import warn
from hnca.estimators._bound import BoundEstimator
from hnca.programs import primitives
from hnca.programs.arguments import is_key
from hnca.programs.dependence import depends_on, wanted_for
from hnca.programs.equations import Equation, Program
from hnca.programs.inside import makes_noise
from hnca.programs.loop import Loop


class Noise(NamedTuple):
    """What a program's result is made of beside draws and data.

    Attributes:
        can_differ: whether some of it, and every draw, comes of keys among the arguments; passes can have their own.
        shared: the lines of what cannot differ from pass to pass.
    """

    can_differ: bool
    shared: tuple[str, ...]


def noise_of(program: Program) -> Noise:
    """Returns the noise of `jax.random` that a program's result is made of."""
    keys = {number for number in program.inputs if is_key(program.avals[number])}
    wanted = wanted_for(program, program.outputs[:1], observed=True)
    known = depends_on(program, keys, through_draws=False)
    noise = [e for e in program.equations if _is_noise(e) and not wanted.isdisjoint(e.outputs)]
    # A draw by another key would be the same in all passes, too.
    can_draw = all(draw.given is not None or draw.key in known for draw in program.draws.values())
    shared = [e.line for e in noise if not can_draw or known.isdisjoint(e.inputs)]
    return Noise(len(shared) < len(noise), tuple(dict.fromkeys(shared)))


def warn_of_shared_noise(estimator: BoundEstimator, noise: Noise) -> None:
    """Warns of noise that all passes of a bound share, as it is made of no key that can be another in each."""
    if noise.shared:
        warn(
            f"hnca: {type(estimator).__name__}: the noise of jax.random at {', '.join(noise.shared)} is the same in "
            "all passes, as its key, or that of a draw, is not among the function's arguments or no typed one "
            "(jax.random.key): the bound is that given this noise, and lower than that of independent passes. Hand the "
            "keys in as arguments or, if it is meant, the noise itself."
        )


def keys_of_passes(pass_keys: Key[Array, " others"], keys: Key[Array, "..."]) -> Key[Array, " passes ..."]:
    """Returns, for every pass, keys in place of some that a function is given: in the first pass those themselves.

    The others depend on them and on the pass's key, and no key that the caller may make of his own is among them.

    Args:
        pass_keys: of the passes after the first.
        keys: typed ones, of any implementation.
    """
    words = jax.random.key_data(keys)
    count = words.shape[-1]

    def one(pass_key: Key[Array, ""], own: Array) -> Array:
        for place in range(count):
            pass_key = jax.random.fold_in(pass_key, own[place])
        return jax.random.bits(pass_key, (count,), jnp.uint32)

    of_passes = jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None))(pass_keys, words.reshape(-1, count))
    shaped = of_passes.reshape(len(pass_keys), *words.shape)
    return jax.random.wrap_key_data(jnp.concatenate([words[None], shaped]), impl=jax.random.key_impl(keys))


def _is_noise(equation: Equation) -> bool:
    if isinstance(equation, Loop):
        return any(map(_is_noise, equation.body.equations))
    return equation.name in primitives.RANDOM | primitives.NOISE or makes_noise(equation.original)
