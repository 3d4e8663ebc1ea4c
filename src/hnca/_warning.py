"""Warnings that point at the user's line, however deep below it they are raised."""

import sys
import warnings

_NOT_THE_USER = frozenset(
    ["hnca", "jax", "equinox", "flax", "haiku", "jaxtyping", "beartype", "contextlib", "functools"]
)


def warn(message: str) -> None:
    """Warns; the warning stands at the innermost line that is of none of the packages in between.

    Args:
        message: what is said.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_between(frame.f_globals.get("__name__") or ""):
        frame = frame.f_back
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    module = frame.f_globals.get("__name__") or "<unknown>"
    warnings.warn_explicit(message, UserWarning, frame.f_code.co_filename, frame.f_lineno, module, registry)


def _is_between(module: str) -> bool:
    return module.partition(".")[0] in _NOT_THE_USER


def warn_of_no_examples() -> None:
    """Warns of a batch of size 0, of which there is nothing to learn."""
    warn("hnca: the batch has no examples: their mean is NaN, and the gradient 0, by which nothing is learned.")
