"""What a credited function can be called with: what the user's function takes, and what an estimator wants."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

_OF_THE_ESTIMATOR = ("estimator_key", "estimator_state")


def with_estimator_keywords(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns a decorator as `functools.wraps(function)`, of what takes `estimator_key` and `estimator_state` too.

    Equinox, for one, binds arguments to the signature that a function says it has.

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
        named = [each for each in _OF_THE_ESTIMATOR if each not in own.parameters]
        new = [inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=None) for each in named]
        place = len(found) - (bool(found) and found[-1].kind is inspect.Parameter.VAR_KEYWORD)
        wrapped.__signature__ = own.replace(parameters=[*found[:place], *new, *found[place:]])  # type: ignore[attr-defined]
        return wrapped

    return decorate
