"""Log-probabilities and entropies of draws, for objectives written out by hand."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from hnca._options import as_array, known_numbers, require_flag
from hnca.conditionals import Free
from hnca.programs.equations import Program
from hnca.units import Bernoulli


def log_prob(
    logits: Float[Array, "*logits"],
    value: Num[Array, "*shape"],
    *,
    values: Sequence[int | float] = (0, 1),
    categorical: bool | None = None,
) -> Float[Array, "*shape"]:
    """Returns the log-probability of every unit's value, in nats, `[*shape]`; sum it for the layer's.

    Of what `hnca.bernoulli` draws if `logits` has the shape of `value`, of what `hnca.categorical` draws if it has one
    more axis. Contrasts of it have a closed form, so a program that uses it is as fast as a network that is described;
    so are the usual formulas written out (`x log_sigmoid(a) + (1 - x) log_sigmoid(-a)`, optax's cross-entropies).

    Args:
        logits: `[*shape]`, or `[*shape, categories]`.
        value: what is scored. Grey values between 0 and 1 are scored too, as `hnca.bernoulli`'s states.
        values: the lower and the upper value of Bernoulli units, whose logits are finite: of others the result is NaN.
        categorical: whether the last axis of the logits is that of categories; by default, and it is no more than
            checked, what the shapes say.

    Raises:
        ValueError: for logits that are no floats, values that do not ascend, other shapes, or (where values are known)
            categories that there are not, which are NaN otherwise, or states below 0 or above 1; in a program also for
            a draw of other `values` than are said.
    """
    logits, value = as_array("log_prob", "logits", logits), as_array("log_prob", "value", value)
    _require_floats("log_prob", logits)
    if categorical is not None:
        require_flag("log_prob", "categorical", categorical)
    if categorical is not None and bool(categorical) == (logits.shape == value.shape):
        raise ValueError(
            f"log_prob: categorical={categorical} for logits of shape {logits.shape} and value of shape {value.shape}; "
            "expected the same shape of Bernoulli units, and of categorical ones logits with one more axis."
        )
    if logits.shape == value.shape:
        with jax.ensure_compile_time_eval():
            low, high = Bernoulli(Free(1), values).values
        known = known_numbers(value)
        if known is not None and np.any((known < low) | (known > high)):
            raise ValueError(
                f"log_prob: value has numbers outside of {low} to {high}; expected `values` to say others."
            )
        state = value.astype(logits.dtype)
        if (low, high) != (0, 1):
            state = (state - jnp.asarray(low, logits.dtype)) / jnp.asarray(high - low, logits.dtype)
        return _bernoulli_log_prob(logits, state)
    if logits.shape[:-1] != value.shape or not jnp.issubdtype(value.dtype, jnp.integer):
        raise ValueError(
            f"log_prob: value of shape {value.shape} and dtype {value.dtype} for logits of shape {logits.shape}; "
            "expected the same shape (Bernoulli), or integers without the last axis (categorical)."
        )
    count = logits.shape[-1]
    known = known_numbers(value)
    if known is not None and np.any((known < 0) | (known >= count)):
        raise ValueError(f"log_prob: value has categories outside of 0 to {count - 1}.")
    inside = jnp.where((value >= 0) & (value < count), value, count)
    taken = jnp.take_along_axis(logits, inside[..., None], axis=-1, mode="fill", fill_value=jnp.nan)[..., 0]
    return taken - jax.nn.logsumexp(logits, axis=-1)


OF_STATES = "_bernoulli_log_prob"
"""The name under which a program calls what comes next."""


@jax.jit
def _bernoulli_log_prob(logits: Array, state: Array) -> Array:
    return state * logits - jax.nn.softplus(logits)


def check_scored(program: Program, name: str | None, inputs: Sequence[int], line: str) -> None:
    """Raises a ValueError where `log_prob` takes for states, 0 or 1, what are other values of a draw.

    Args:
        program: which it stands in.
        name: of the function that is called there.
        inputs: its arguments.
        line: the user's.
    """
    draw = program.draws.get(inputs[-1]) if name == OF_STATES else None
    if draw is not None and draw.values not in (None, (0.0, 1.0)):
        raise ValueError(
            f"hnca.log_prob: scores draw {draw.name!r}, whose values are {draw.values}, at {line}; expected "
            f"values={draw.values}."
        )


def entropy(logits: Float[Array, "*logits"], *, categorical: bool = False) -> Float[Array, "*shape"]:
    """Returns the entropy of every unit, in nats, `[*shape]`; sum it for the layer's.

    Args:
        logits: `[*shape]`, finite; or, of categorical units, `[*shape, categories]`, which may be `-inf`.
        categorical: whether the last axis is that of the categories.

    Raises:
        ValueError: for logits that are no floats, or a scalar of categorical units; in a program also for the logits of
            a draw of the other kind.
    """
    require_flag("entropy", "categorical", categorical)
    logits = as_array("entropy", "logits", logits)
    _require_floats("entropy", logits)
    if not categorical:
        return _bernoulli_entropy(logits)
    if not logits.ndim:
        raise ValueError("entropy: categorical=True, and logits is a scalar; expected an axis of the categories.")
    return _categorical_entropy(logits)


OF_UNITS = {"_bernoulli_entropy": False, "_categorical_entropy": True}
"""The names under which a program calls what comes next, and whether it is of categorical units."""


@jax.jit
def _bernoulli_entropy(logits: Array) -> Array:
    return jax.nn.softplus(logits) - logits * jax.nn.sigmoid(logits)


@jax.jit
def _categorical_entropy(logits: Array) -> Array:
    # A category that cannot be has no part in it: 0 log 0 is 0.
    finite = jnp.where(jnp.isfinite(logits), logits, jnp.zeros((), logits.dtype))
    return jax.nn.logsumexp(logits, axis=-1) - jnp.sum(jax.nn.softmax(logits) * finite, axis=-1)


def _require_floats(owner: str, logits: Array) -> None:
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"{owner}: logits of dtype {logits.dtype}; expected floats.")
