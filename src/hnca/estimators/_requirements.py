"""What an estimator requires of its caller, and the refusals where it is not met: each says what to do instead."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from hnca._options import is_count
from hnca.network import Network
from hnca.objectives import Objective, roles
from hnca.units import Bernoulli, Layer

Temperature = float | Float[Array, ""]
"""A number, or an array `[]`: one that is annealed then need not be compiled anew for each of its values."""


class MissingKeyError(ValueError):
    """An estimator that draws samples of its own was given no key."""


def require_key(estimator: object, key: Key[Array, ""] | None, drawn: str) -> Key[Array, ""]:
    """Returns the key; none is a ValueError that names the estimator and what is drawn ("further passes are")."""
    if key is None:
        raise MissingKeyError(
            f"{type(estimator).__name__}: key=None; expected a key, from which {drawn} drawn (of a program "
            "it is estimator_key=)."
        )
    return key


def require_repeatable(estimator: object, objective: Objective) -> None:
    """Raises a ValueError if a component can be observed only once: for those that evaluate it more than once."""
    if not _is_repeatable(objective):
        raise ValueError(
            f"{type(estimator).__name__}: evaluates the objective on a second sample, which a reward that is observed "
            "once does not allow; use HNCA or REINFORCE."
        )


def require_differentiable(estimator: object, network: Network, objective: Objective) -> None:
    """Raises a ValueError if a component can be observed only once: for those that differentiate it by units' values.

    Likewise if a component takes a layer as an argument that the network has not.
    """
    roles(network, objective.components)
    if not _is_repeatable(objective):
        raise ValueError(
            f"{type(estimator).__name__}: differentiates the objective by the values of the units, which a reward that "
            "is observed once does not allow; use HNCA or REINFORCE."
        )


def require_bernoulli(estimator: object, layer: Layer, families: str = "Bernoulli") -> Bernoulli:
    """Returns the layer; one of another family is a ValueError that names the estimator and the families it takes."""
    if not isinstance(layer, Bernoulli):
        name = type(estimator).__name__
        raise ValueError(f"{name}: is for {families} layers, and not for {type(layer).__name__}; use HNCA.")
    return layer


def require_instance(owner: str, argument: str, value: object, kind: type, such_as: str) -> None:
    """Raises a ValueError unless an option is None or of its kind: a class, or another's option, is a mistake."""
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{owner}: {argument}={value!r}; expected None or {such_as}.")


def require_samples(estimator: object, samples: int) -> None:
    """Raises a ValueError unless there are at least two samples, a whole number."""
    if not is_count(samples, 2):
        name = type(estimator).__name__
        raise ValueError(f"{name}: samples={samples!r}; expected at least 2, an int, as each is another's baseline.")


def require_state(estimator: object, expected: PyTree, state: PyTree) -> None:
    """Raises a ValueError for a state that is not of the structure and shapes with which the estimator begins.

    Args:
        estimator: whose.
        expected: arrays, or their shapes.
        state: what it was given.
    """
    structures: list[Any] = [jax.tree.structure(tree) for tree in (expected, state)]
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (expected, state)]
    if structures[0] != structures[1] or shapes[0] != shapes[1]:
        raise ValueError(
            f"{type(estimator).__name__}: state={_summary(state)}; expected None to begin, or what the last call for "
            f"the same function or network returned: {_summary(expected)} (of a program it is estimator_state=)."
        )


def _summary(state: PyTree) -> str:
    """Returns a state with its arrays as dtypes and shapes, as `f32[3]`."""
    text = " ".join(eqx.tree_pformat(state, struct_as_array=True).split())
    return text if len(text) < 300 else f"{text[:300]}..."


def require_temperature(estimator: object, temperature: Temperature) -> None:
    """Raises a ValueError unless the temperature is positive and finite.

    Of one whose value is not known yet, as it is being traced, the shape alone is looked at: see `usable_temperature`.
    """
    try:
        allowed = jnp.shape(temperature) == () and not isinstance(temperature, bool | np.bool_)
        allowed = allowed and bool(temperature > 0) and bool(temperature < math.inf)
    except jax.errors.TracerBoolConversionError:
        return
    except (TypeError, ValueError):
        allowed = False
    if not allowed:
        raise ValueError(
            f"{type(estimator).__name__}: temperature={temperature!r}; expected a finite number above 0, such as 0.5."
        )


def usable_temperature(temperature: Temperature, dtype: jnp.dtype) -> Float[Array, ""]:
    """Returns the temperature as an array, NaN for one that `require_temperature` refuses where it is known."""
    known = jnp.asarray(temperature, dtype)
    return jnp.where((known > 0) & (known < jnp.inf), known, jnp.nan)


def _is_repeatable(objective: Objective) -> bool:
    return all(component.repeatable for component in objective.components)
