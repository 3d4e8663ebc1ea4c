"""What a credited function can be called with: what the user's function takes, and what an estimator wants."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, runtime_checkable

from jaxtyping import PyTree

_CREDITED = "_credited_by_hnca"


def is_credited(function: object) -> bool:
    """Returns whether a function is what this library made of one, whose draws have been credited."""
    return _CREDITED in getattr(function, "__dict__", {})


@runtime_checkable
class Stateful(Protocol):
    """What `hnca.credited`, `hnca.value_and_grad` and `hnca.grad` return: a function, and how its state begins."""

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Does what the one that made it says."""

    def init(self, *arguments: Any, **keywords: Any) -> PyTree:
        """Returns the estimator's state before the first call, for a call with these arguments.

        Nothing is drawn. It is of the structure that calls return, so that `jax.lax.scan` can carry it, and `jax.jit`
        compiles no second program for it, as for None; of an estimator without state it is empty.

        Args:
            arguments: as for the function itself; of the data only shapes and dtypes matter.
            keywords: likewise.

        Raises:
            ValueError: as when the function is called.
        """


def with_init(call: Callable[..., Any], init: Callable[..., PyTree]) -> Stateful:
    """Returns the function with `init` as its attribute."""
    call.init = init  # type: ignore[attr-defined]
    vars(call)[_CREDITED] = True
    return call  # type: ignore[return-value]


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
