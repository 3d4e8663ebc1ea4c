"""Optimisers that go uphill, since an estimate points to where the objective grows."""

from collections.abc import Callable
from typing import Any

import optax

from hnca.experiments.settings.optimiser import OptimiserSettings

_FORMS: dict[str, Callable[[OptimiserSettings], optax.GradientTransformation]] = {
    "adam": lambda of: optax.scale_by_adam(*of.decays, eps=of.epsilon),
    "adamax": lambda of: optax.scale_by_adamax(*of.decays, eps=of.epsilon),
    "rmsprop": lambda of: optax.scale_by_rms(of.decays[1], eps=of.epsilon),
    "sgd": lambda _: optax.identity(),
}
"""What makes a step's direction, by the name of the setting."""


def ascent(settings: OptimiserSettings, rate: float | None = None, updates: int = 1) -> optax.GradientTransformation:
    """Returns what makes an uphill step of a gradient.

    Args:
        settings: which optimiser, and its rates.
        rate: the learning rate, if not the settings' own.
        updates: of an epoch, in which the settings count.
    """
    full = settings.learning_rate if rate is None else rate
    scale: Any = optax.scale_by_learning_rate(_schedule(settings, full, updates))
    # One chain within the other, as `optax.adam` is: by the places of its arrays an earlier run's state is known.
    return optax.chain(optax.scale(-1.0), optax.chain(_FORMS[settings.optimiser](settings), scale))


def _schedule(settings: OptimiserSettings, rate: float, updates: int) -> float | optax.Schedule:
    warm_up, decay = settings.rate_warm_up * updates, settings.rate_decay * updates
    if decay:
        return optax.warmup_cosine_decay_schedule(0.0 if warm_up else rate, rate, warm_up, decay)
    return optax.linear_schedule(0.0, rate, warm_up) if warm_up else rate
