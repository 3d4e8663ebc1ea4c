"""Functions with a derivative of their own, or checkpointed, on one example of a batch.

Their rules for derivatives are JAX's, and of the size that was traced: on one example they are taken from a trace of
the user's function on a batch of one, where they have to be the same but for that size.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from hnca.programs import primitives
from hnca.programs.batch_axis import Apart, Asked, MixedError, apart
from hnca.programs.dependence import depends_on
from hnca.programs.equations import Equation, Program
from hnca.programs.kinds import is_elementwise_call
from hnca.programs.tracing import written_out

CALLS = primitives.INLINED_AROUND_DRAWS
"""Where each has the jaxpr that it applies."""

# Parameters in which the batch's size stands: the shapes of results.
_SHAPES = {
    "broadcast_in_dim": ("shape",),
    "reshape": ("new_sizes",),
    "slice": ("limit_indices",),
    "dynamic_slice": ("slice_sizes",),
    "gather": ("slice_sizes",),
}


def calls_of(program: Program) -> list[Equation]:
    """Returns the calls that read draws, in order."""
    reading = depends_on(program, set(program.draws), through_draws=False)
    return [e for e in program.equations if e.name in CALLS and not reading.isdisjoint(e.inputs)]


def apart_inside(asked: Asked) -> Apart:
    """Returns what a call is on one example, from what is inside.

    Raises:
        MixedError: if that may mix examples, or sums over them.
    """
    if is_elementwise_call(asked.equation):
        return apart(asked)
    inner = asked.params[CALLS[asked.equation.name]]
    jaxpr, constants = (inner.jaxpr, inner.consts) if isinstance(inner, ClosedJaxpr) else (inner, ())
    program = written_out(jaxpr, constants)
    try:
        return Apart(_axis_inside(program, asked.read, asked.size))
    except MixedError:
        # What reads no draw may have a row for each example too; that no example reads another's is found out. One of
        # them may be no more than of the batch's size, as a square weight is.
        others = {place: shape for place, shape in enumerate(asked.shapes) if place not in asked.read}
        rows = {place: shape.index(asked.size) for place, shape in others.items() if asked.size in shape}
    for left_out in [None, *rows]:
        own = {place: axis for place, axis in rows.items() if place != left_out}
        try:
            return Apart(_axis_inside(program, {**asked.read, **own}, asked.size), own)
        except MixedError as reason:
            refusal = reason
    raise refusal


def _axis_inside(program: Program, read: Mapping[int, int], size: int) -> int:
    """Returns the axis of the batch in all results of a program, given that of some inputs, by their places."""
    axes = {program.inputs[place]: axis for place, axis in read.items()}
    shared = depends_on(program, {atom for atom in program.inputs if atom not in axes}, through_draws=False)
    for equation in program.equations:
        here = {place: axes[atom] for place, atom in enumerate(equation.inputs) if atom in axes}
        if not here:
            continue
        found = apart(Asked(program, equation, here, size))
        rows = {equation.inputs[place] for place in found.rows}
        if found.axis is None or found.first_row is not None or not rows.isdisjoint(shared):
            raise MixedError("inside, it is not known to keep them apart")
        axes.update(dict.fromkeys(equation.outputs, found.axis))
    results = {axes.get(output) for output in program.outputs}
    axis = results.pop()
    if results or axis is None:
        raise MixedError("inside, it is not known to keep them apart")
    return axis


def params_of_one(step: Equation, alike: Equation | None, program: Program, inputs: Sequence[int]) -> dict[str, Any]:
    """Returns the parameters of a call on one example.

    Args:
        step: the call on the whole batch.
        alike: the one in its place on a batch of one, if there is any.
        program: of one example, which has the shapes that arguments and results are to have.
        inputs: the arguments there.

    Raises:
        ValueError: if the two are not the same but for the batch's size.
    """
    if alike is None or not _is_same(step, alike, [program.avals[a] for a in (*inputs, *step.outputs)]):
        raise ValueError(
            f"hnca: {step.name!r} at {step.line}, a function with a derivative of its own or a checkpointed one, is "
            "another one for a batch of one, so that it cannot be taken apart; write the function for one example and "
            "give in_axes, without whole_batch."
        )
    return dict(alike.params)


def _is_same(step: Equation, alike: Equation, avals: Sequence[Any]) -> bool:
    variables = (*alike.original.invars, *alike.original.outvars)
    if step.name != alike.name or [v.aval.shape for v in variables] != [aval.shape for aval in avals]:
        return False
    return _alike(step.params[CALLS[step.name]], alike.params[CALLS[step.name]])


def _same_parameters(name: str, params: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    shapes = _SHAPES.get(name, ())
    return params.keys() == others.keys() and all(_alike(params[p], others[p]) for p in params if p not in shapes)


def _alike(a: Any, b: Any) -> bool:
    """Returns whether two parameters say the same; functions (rules for derivatives) are taken to."""
    if isinstance(a, ClosedJaxpr) and isinstance(b, ClosedJaxpr):
        return len(a.consts) == len(b.consts) and all(map(_same, a.consts, b.consts)) and _alike(a.jaxpr, b.jaxpr)
    if isinstance(a, Jaxpr) and isinstance(b, Jaxpr):
        return _same_jaxprs(a, b)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    if callable(a) and callable(b):
        return True
    return a is b or bool(a == b) or repr(a) == repr(b)


def _same(a: Any, b: Any) -> bool:
    """Returns whether two arrays are the same, number by number; of what is traced, whether it is one thing."""
    if a is b:
        return True
    if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer) or a.shape != b.shape or a.dtype != b.dtype:
        return False
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def _same_jaxprs(a: Jaxpr, b: Jaxpr) -> bool:
    """Returns whether two jaxprs are the same, but for shapes."""
    if [len(v) for v in (a.eqns, a.invars, a.constvars, a.outvars)] != [
        len(v) for v in (b.eqns, b.invars, b.constvars, b.outvars)
    ]:
        return False
    alike = dict(zip([*a.invars, *a.constvars], [*b.invars, *b.constvars], strict=True))

    def same(x: Any, y: Any) -> bool:
        if isinstance(x, Literal) or isinstance(y, Literal):
            return isinstance(x, Literal) and isinstance(y, Literal) and _same(np.asarray(x.val), np.asarray(y.val))
        return alike.get(x) is y

    for one, other in zip(a.eqns, b.eqns, strict=True):
        if one.primitive.name != other.primitive.name or len(one.invars) != len(other.invars):
            return False
        if not all(same(x, y) for x, y in zip(one.invars, other.invars, strict=True)):
            return False
        if not _same_parameters(one.primitive.name, one.params, other.params):
            return False
        alike.update(zip(one.outvars, other.outvars, strict=True))
    return all(same(x, y) for x, y in zip(a.outvars, b.outvars, strict=True))
