"""Which cases of a short sweep are always run."""

from collections.abc import Iterable

import pytest


def some_thorough(names: Iterable, thorough: Iterable) -> list:
    """Returns parameters of a test, of which some are run only by whoever has the time."""
    thorough = set(thorough)
    return [pytest.param(name, marks=pytest.mark.thorough) if name in thorough else name for name in names]
