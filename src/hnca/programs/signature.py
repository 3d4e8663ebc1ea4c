"""What a credited function can be called with: what the user's function takes, and what an estimator wants."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any


def with_estimator_keywords(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns a decorator as `functools.wraps(function)`, of what takes `estimator_key` and `estimator_state` too.

    Equinox binds arguments to the signature that a function says it has. The two are not named in it, since Flax would
    then hand on their defaults, and refuses what it cannot give by position.

    Args:
        function: the user's.
    """

    def decorate(call: Callable[..., Any]) -> Callable[..., Any]:
        wrapped = wraps(function)(call)
        try:
            own = inspect.signature(function)
        except (TypeError, ValueError):  # of something that is not written in Python
            return wrapped
        found = list(own.parameters.values())
        if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in found):
            more = inspect.Parameter("estimator_keywords", inspect.Parameter.VAR_KEYWORD)
            wrapped.__signature__ = own.replace(parameters=[*found, more])  # type: ignore[attr-defined]
        return wrapped

    return decorate
