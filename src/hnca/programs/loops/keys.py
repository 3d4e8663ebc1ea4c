"""Notices a loop whose steps all draw with one key."""

from hnca.programs.dependence import depends_on
from hnca.programs.equations import Program
from hnca.programs.loop import Loop, loops_of


def require_moving_keys(program: Program) -> None:
    """Raises a ValueError for a draw in a loop whose key is the same in every step."""
    for loop in loops_of(program):
        _require_moving(loop, _moving(loop, None))
        require_moving_keys(loop.body)


def _moving(loop: Loop, outer: set[int] | None) -> set[int]:
    """Returns what in a step is another from step to step; with `outer`, from step to step of the loop around it.

    Args:
        loop: the loop.
        outer: the values of the program around it that move there.
    """
    body, (begun, ended) = loop.body, loop.places
    if outer is None:
        moving = {*body.inputs[begun:]}
        # A key that is carried on as it is stays the same.
        moving -= {start for start, end in zip(body.inputs[begun:ended], body.outputs, strict=False) if start == end}
        return depends_on(body, moving, through_draws=True)
    moving = {inner for inner, given in zip(body.inputs, loop.inputs, strict=True) if given in outer}
    while True:
        found = depends_on(body, moving, through_draws=True)
        carried = zip(body.inputs[begun:ended], body.outputs, strict=False)
        more = {start for start, end in carried if end in found} - moving
        if not more:
            return found
        moving |= more


def _require_moving(loop: Loop, moving: set[int]) -> None:
    for draw in loop.body.draws.values():
        if draw.given is None and draw.key not in moving:
            raise ValueError(
                f"hnca: draw {draw.name!r} at {draw.line} has one key for all steps of a loop, so that they would not "
                "be independent; scan over keys, jax.random.split(key, steps), or carry one and split it."
            )
    for inner in loops_of(loop.body):
        _require_moving(inner, _moving(inner, moving))
