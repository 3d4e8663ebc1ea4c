"""The check of a temperature, shared by the estimators that have one."""

import math

import jax
from jaxtyping import Array, Float

Temperature = float | Float[Array, ""]
"""A number, or an array `[]`: one that is annealed then need not be compiled anew for each of its values."""


def require_temperature(estimator: object, temperature: Temperature) -> None:
    """Raises a ValueError that names the estimator unless the temperature is positive and finite.

    One whose value is not known yet, as it is being traced, is not looked at.
    """
    try:
        allowed = bool(temperature > 0) and bool(temperature < math.inf)
    except jax.errors.TracerBoolConversionError:
        return
    if not allowed:
        raise ValueError(
            f"{type(estimator).__name__}: temperature={temperature!r}; expected a finite number above 0, such as 0.5."
        )
