"""The check of a temperature, shared by the estimators that have one."""

import math


def require_temperature(estimator: object, temperature: float) -> None:
    """Raises a ValueError that names the estimator unless the temperature is positive and finite."""
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"{type(estimator).__name__}: temperature={temperature!r}; expected a finite number above 0, such as 0.5."
        )
