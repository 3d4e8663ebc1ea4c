"""Refuses a function that changes a module it was given, where nobody would ever see the change."""

from collections.abc import Sequence
from typing import Any

import jax
from jaxtyping import PyTree

from hnca.programs.arguments import named

_CHANGING = "flax.nnx"


class Watched:
    """What a function is given, and what stood in it before: a copy is traced, and what is written into it is lost.

    Modules of Flax NNX count their draws and keep running statistics in themselves. A dict is anybody's to change.
    """

    def __init__(self, arguments: tuple[tuple[Any, ...], dict[str, Any]]):
        self._arguments = arguments
        self._before = _leaves_of_modules(arguments)

    def require_nothing_lost(self, owner: str, results: Sequence[Any]) -> None:
        """Raises a ValueError for what the function has changed in a module and did not return.

        Args:
            owner: of the function, for the message.
            results: all leaves that it returned.
        """
        returned = {id(leaf) for leaf in results}
        lost = [
            path
            for path, leaf in _leaves_of_modules(self._arguments).items()
            if leaf is not self._before.get(path) and id(leaf) not in returned
        ]
        if lost:
            raise ValueError(
                f"{owner}: the function changes {lost[0]}{' and more' if len(lost) > 1 else ''}, which would be "
                "lost, as it is a copy that is traced; expected layers that change nothing (use_running_average=True; "
                "Dropout given rngs=nnx.Rngs(key), of a key of the function's own), or the change returned beside the "
                "value (has_aux=True, and nnx.state(model, ...)), for nnx.update afterwards."
            )


def _leaves_of_modules(arguments: PyTree) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, node in jax.tree.leaves_with_path(arguments, is_leaf=_changes):
        if _changes(node):
            found |= {named((*path, *inner)): leaf for inner, leaf in jax.tree.leaves_with_path(node)}
    return found


def _changes(node: Any) -> bool:
    return any(kind.__module__.startswith(_CHANGING) for kind in type(node).__mro__)
