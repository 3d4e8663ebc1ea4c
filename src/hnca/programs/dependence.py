"""What depends on what, in a jaxpr: for the program's values, and for arrays made of them."""

from collections.abc import Callable, Container, Iterable, Sequence

import jax
from jax.extend.core import Literal
from jaxtyping import PyTree

from hnca.programs.equations import Draw, Program
from hnca.programs.inside import observes
from hnca.programs.loop import Loop


def depends_on(
    program: Program, sources: set[int], *, through_draws: bool, not_through: Container[str] = ()
) -> set[int]:
    """Returns the values that change with some others, those included.

    Args:
        program: the program.
        sources: the others.
        through_draws: whether a draw's value counts as dependent on its logits and key.
        not_through: the primitives whose results do not.
    """
    found = set(sources)
    for step in program.steps:
        if isinstance(step, Draw):
            if through_draws and not found.isdisjoint((step.key, step.logits, step.given)):
                found.add(step.output)
        elif step.name in not_through or found.isdisjoint(step.inputs):
            continue
        elif isinstance(step, Loop) and step.length:
            inside = inputs_that_depend(step, found, through_draws=through_draws, not_through=not_through)
            after = depends_on(step.body, inside, through_draws=through_draws, not_through=not_through)
            found.update(o for o, value in zip(step.outputs, step.body.outputs, strict=True) if value in after)
        else:
            found.update(step.outputs)
    return found


def inputs_that_depend(
    loop: Loop, outside: Container[int], *, through_draws: bool, not_through: Container[str] = ()
) -> set[int]:
    """Returns the inputs of a loop's steps that change with some values around it, by what is carried too.

    Args:
        loop: the loop.
        outside: values of the program around it.
        through_draws: as for `depends_on`.
        not_through: likewise.
    """
    changing = {inner for inner, given in zip(loop.body.inputs, loop.inputs, strict=True) if given in outside}
    return inputs_that_change(loop, changing, through_draws=through_draws, not_through=not_through)


def inputs_that_change(
    loop: Loop, first: set[int], *, through_draws: bool, not_through: Container[str] = ()
) -> set[int]:
    """Returns the inputs of a loop's steps that change with some of them, in this step or a later one.

    Args:
        loop: the loop.
        first: those.
        through_draws: as for `depends_on`.
        not_through: likewise.
    """
    body, (begun, ended) = loop.body, loop.places
    changing = set(first)
    while True:
        found = depends_on(body, changing, through_draws=through_draws, not_through=not_through)
        carried = zip(body.inputs[begun:ended], body.outputs, strict=False)
        more = {start for start, end in carried if end in found} - changing
        if not more:
            return changing
        changing |= more


def drawn_in(program: Program, given: Iterable[int] = ()) -> set[int]:
    """Returns the values that draws of a program or its loops, and some inputs, have a part in, with no draw between.

    Args:
        program: the program.
        given: inputs that draws around it have a part in.
    """
    found = {*program.draws, *given}
    for equation in program.equations:
        if isinstance(equation, Loop) and equation.length:
            within = drawn_in(equation.body, drawn_inside(equation, depends_on(program, found, through_draws=False)))
            found |= {o for o, value in zip(equation.outputs, equation.body.outputs, strict=True) if value in within}
    return depends_on(program, found, through_draws=False)


def drawn_inside(loop: Loop, drawn: Container[int]) -> set[int]:
    """Returns the inputs of a loop's steps that draws have a part in: around it, or in steps before.

    Args:
        loop: the loop.
        drawn: what draws have a part in around it.
    """
    inside = {inner for inner, outer in zip(loop.body.inputs, loop.inputs, strict=True) if outer in drawn}
    begun, ended = loop.places
    while True:
        within = drawn_in(loop.body, inside)
        carried = zip(loop.body.inputs[begun:ended], loop.body.outputs, strict=False)
        more = {start for start, end in carried if end in within} - inside
        if not more:
            return inside
        inside |= more


def wanted_for(program: Program, results: Iterable[int], *, observed: bool) -> set[int]:
    """Returns the values that some results are made of, by way of draws too.

    Args:
        program: the program.
        results: the values.
        observed: whether also those that what is observed is made of.
    """
    wanted = set(results)
    for step in reversed(program.steps):
        if isinstance(step, Draw):
            wanted.add(step.logits)
        elif not wanted.isdisjoint(step.outputs) and (observed or not observes(step.original)):
            wanted.update(step.inputs)
    return wanted


def require_tied(program: Program) -> None:
    """Raises a ValueError if rewards are observed of which none reads a draw: nothing would be learned from them."""
    loops = [equation for equation in program.equations if isinstance(equation, Loop)]
    observed = [equation for equation in program.equations if equation.name == "hnca_observed"]
    drawn = set(program.draws) | {output for loop in loops for output in loop.outputs}
    reads = depends_on(program, drawn, through_draws=False)
    if _observe(loops) or not observed or any(not reads.isdisjoint(equation.inputs) for equation in observed):
        return
    names = ", ".join(draw.name for draw in program.draws.values()) or "those of loops"
    raise ValueError(
        f"hnca.observed: what is observed at {observed[0].line} reads none of the draws, {names}, so that "
        "nothing would be learned from it; expected a reward that says on which it depends: "
        "hnca.observed(reward + 0.0 * action)."
    )


def _observe(loops: Sequence[Loop]) -> bool:
    """Returns whether something is observed in a step of loops, or of loops in them."""
    inside = [equation for loop in loops for equation in loop.body.equations]
    return any(e.name == "hnca_observed" for e in inside) or any(_observe([e]) for e in inside if isinstance(e, Loop))


def outputs_that_depend(
    function: Callable[..., PyTree], arguments: Sequence[PyTree], changed: Sequence[bool]
) -> PyTree:
    """Returns, for every array that a function returns, whether it depends on the arguments that are marked.

    Args:
        function: of arrays, returning a pytree of arrays.
        arguments: shapes and dtypes.
        changed: a mark an argument (all of its leaves are meant).
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
    flags = [mark for argument, mark in zip(arguments, changed, strict=True) for _ in jax.tree.leaves(argument)]
    found = {variable for variable, mark in zip(closed.jaxpr.invars, flags, strict=True) if mark}
    for equation in closed.jaxpr.eqns:
        if any(not isinstance(v, Literal) and v in found for v in equation.invars):
            found.update(equation.outvars)
    results = [not isinstance(v, Literal) and v in found for v in closed.jaxpr.outvars]
    return jax.tree.unflatten(jax.tree.structure(shapes), results)
