"""Writes a function of one example out as flat equations: calls inlined, scans with draws in them unrolled."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal
from jaxtyping import Array

from hnca.programs import primitives
from hnca.programs.applied import name_of
from hnca.programs.collectives import refuse_collectives
from hnca.programs.dependence import wanted_for
from hnca.programs.distributing import part_of, parts_of, put_together, sliced
from hnca.programs.draws import draw_p
from hnca.programs.entropies import check_entropies
from hnca.programs.equations import Draw, Equation, LogWeight, Program, Unrolled
from hnca.programs.foreign import instead_of_draws
from hnca.programs.inside import count_draws, makes_noise
from hnca.programs.keys import Keys
from hnca.programs.known import called_first, fold, known_first
from hnca.programs.likelihoods import OF_UNITS, check_scored
from hnca.programs.lines import line_of
from hnca.programs.loop import Loop, addition_of, places_of
from hnca.programs.magnitudes import number_in_text
from hnca.programs.names import Names
from hnca.programs.observing import log_weight_p

MAXIMUM_DRAWS = 512
"""How many draws a program may have once its scans are unrolled."""


def trace_program(
    function: Callable[..., Any], examples: Sequence[jax.ShapeDtypeStruct], unroll: bool = True
) -> Program:
    """Returns the program that a function of flat arguments, returning flat results, is.

    Args:
        function: of one example.
        examples: shape and dtype of every argument.
        unroll: whether scans with draws in them are unrolled; else they are `Loop`s.

    Raises:
        ValueError: for a draw inside `cond` or `while` (draw unconditionally and select), a scan that would unroll
            to more than `MAXIMUM_DRAWS` draws, a key that two draws use or a draw and noise of `jax.random`, or a key
            that is shared by all that `jax.vmap` maps over. The message gives the user's line.
    """
    closed = jax.make_jaxpr(function)(*examples)
    program = Program()
    writer = _Writer(program, unroll)
    program.inputs = [program.new_value(v.aval) for v in closed.jaxpr.invars]
    outputs = writer.write(closed.jaxpr, closed.consts, list(program.inputs))
    program.outputs = outputs
    check_entropies(program)
    refuse_collectives(program, wanted_for(program, program.outputs[:1], observed=True))
    writer.keys.chosen.warn()
    if not program.draws and not any(isinstance(step, Loop) for step in program.steps):
        raise ValueError(
            f"hnca: the function has no draws in it{writer.empty}; expected at least one hnca.bernoulli or "
            f"hnca.categorical ({instead_of_draws(program)})."
        )
    return program


def written_out(jaxpr: Any, constants: Sequence[Any]) -> Program:
    """Returns a jaxpr without draws as a program; arrays it closes over are constants."""
    program = Program()
    program.inputs = [program.new_value(variable.aval) for variable in jaxpr.invars]
    program.outputs = _Writer(program).write(jaxpr, constants, list(program.inputs))
    return program


class _Writer:
    """Writes jaxprs into a program."""

    def __init__(self, program: Program, unroll: bool = True):
        self.program, self.unroll = program, unroll
        self.names = Names()
        self.random: set[int] = set()
        self.keys = Keys(program, self.random)
        self.line = "an unknown line"
        self.empty = ""

    def write(self, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[int]) -> list[int]:
        """Writes a jaxpr applied to arguments, and returns what its results are."""
        environment: dict[Any, int] = dict(zip(jaxpr.invars, arguments, strict=True))
        for variable, constant in zip(jaxpr.constvars, constants, strict=True):
            number = self.program.new_value(variable.aval)
            # A number of the program's text stays one, whatever is traced around it.
            if not isinstance(constant, jax.Array):
                with jax.ensure_compile_time_eval():
                    constant = jnp.asarray(constant)
            self.program.constants[number] = constant
            environment[variable] = number

        def look_up(atom: Any) -> int:
            if not isinstance(atom, Literal):
                return environment[atom]
            dtype: Any = atom.aval.dtype  # type: ignore[attr-defined]
            return self.program.new_known(np.asarray(atom.val, dtype))

        around = self.line
        for equation in jaxpr.eqns:
            inputs = [look_up(atom) for atom in equation.invars]
            # What a library has compiled before tells no line: then it is that of the call.
            self.line = line_of(equation.source_info) or around
            results = self._write_equation(equation, inputs)
            self.line = around
            environment.update(zip(equation.outvars, results, strict=True))
        return [look_up(atom) for atom in jaxpr.outvars]

    def _write_equation(self, equation: Any, inputs: list[int]) -> Sequence[int]:
        name = equation.primitive.name
        if equation.primitive is draw_p:
            return [self._write_draw(equation, inputs)]
        if equation.primitive is log_weight_p:
            log_p, log_q = inputs if len(inputs) == 2 else (inputs[0], None)
            weight = log_p if log_q is None else self._computed(jnp.subtract, *inputs)
            self.program.log_weight = LogWeight(weight, log_p, log_q)
            return [weight]
        if name == "stack":
            axis = equation.params["axis"]
            return [self._computed(lambda *arrays: put_together(arrays, axis), *inputs)]
        if name == "split":
            axis, ends = equation.params["axis"], np.cumsum(equation.params["sizes"])
            starts = ends - np.asarray(equation.params["sizes"])
            return [
                self._computed(lambda array, s=int(start), e=int(end): sliced(array, axis, s, e), inputs[0])
                for start, end in zip(starts, ends, strict=True)
            ]
        if name in primitives.ALWAYS_INLINED:
            called = equation.params.get("name")
            check_scored(self.program, called, inputs, self.line)
            if called in OF_UNITS:
                self.program.entropies.append((inputs[0], OF_UNITS[called], self.line))
            inner = equation.params[primitives.ALWAYS_INLINED[name]]
            return self.write(inner.jaxpr, inner.consts, inputs)
        draws = count_draws(equation)
        if not draws:
            return self._write_plain(equation, inputs)
        line = self.line
        if name in primitives.INLINED_AROUND_DRAWS:
            inner = equation.params[primitives.INLINED_AROUND_DRAWS[name]]
            jaxpr, constants = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
            return self.write(jaxpr, constants, inputs)
        if name == "scan":
            return self._unroll(equation, inputs, draws, line) if self.unroll else self._keep(equation, inputs)
        if name in primitives.CONDITIONAL:
            raise ValueError(
                f"hnca: a draw stands inside jax.lax.{name} at {line}; draw unconditionally and select with jnp.where "
                "(a `while` loop: use jax.lax.scan with a fixed number of steps)."
            )
        raise ValueError(f"hnca: a draw stands inside {name!r} at {line}, which hnca cannot look into.")

    def _write_plain(self, equation: Any, inputs: list[int]) -> list[int]:
        program = self.program
        together = parts_of(program, name_of(equation), inputs, self.random) if self.unroll else None
        if together is not None:
            return [self._distributed(equation, inputs, *together)]
        outputs = [program.new_value(variable.aval) for variable in equation.outvars]
        written = Equation(name_of(equation), tuple(inputs), tuple(outputs), equation, self.line)
        self._add(written)
        for inner, arguments in called_first(program, equation, inputs) if makes_noise(equation) else ():
            self._written_inside(inner, arguments, equation)  # so that its keys are known
        return outputs

    def _add(self, written: Equation) -> None:
        self.program.add(written)
        if not self.random.isdisjoint(written.inputs):
            self.random.update(written.outputs)
        self.keys.of_equation(written)
        fold(self.program, written)

    def _distributed(self, equation: Any, inputs: list[int], axis: int, sizes: list[int]) -> int:
        """Writes an elementwise equation part by part."""
        whole, parts = equation.outvars[0].aval, []
        for place, size in enumerate(sizes):
            arguments = []
            for atom in inputs:
                part = part_of(self.program, atom, axis, sizes, place)
                if isinstance(part, tuple):
                    start, end = part
                    part = self._computed(lambda array, s=start, e=end: sliced(array, axis, s, e), atom)
                arguments.append(part)
            shape = tuple(size if a == axis else length for a, length in enumerate(whole.shape))
            output = self.program.new_value(jax.core.ShapedArray(shape, whole.dtype))
            self._add(Equation(name_of(equation), tuple(arguments), (output,), equation, self.line))
            parts.append(output)
        return self._computed(lambda *arrays: jax.lax.concatenate(arrays, axis), *parts)

    def _write_draw(self, equation: Any, inputs: list[int]) -> int:
        program, params = self.program, equation.params
        if not math.prod(equation.outvars[0].aval.shape):
            self.empty = f" but one of 0 units at {self.line}"
            return self._nothing(equation.outvars[0].aval)  # No unit draws, so that none is credited.
        kind = "categorical" if params["values"] is None else "bernoulli"
        name = self.names.new(kind, params["name"])
        if params["shared"]:
            raise ValueError(
                f"hnca.{kind}: draw {name!r} at {self.line} uses one key for everything that jax.vmap maps over, so "
                "that its units would not be independent; map over keys too (jax.random.split(key, n)), or draw the "
                "whole array at once."
            )
        key, logits, *given = inputs
        output = program.new_value(equation.outvars[0].aval)
        aval = program.avals[logits]
        categories = aval.shape[-1] if params["values"] is None else 2
        draw = Draw(name, key, logits, output, params["values"], program.avals[output].shape, categories, self.line)
        if given:
            draw = replace(draw, given=given[0])
        else:
            self.keys.of_draw(draw)
        program.add_draw(draw)
        self.random.add(output)
        return output

    def _unroll(self, equation: Any, inputs: list[int], draws: int, line: str) -> list[int]:
        params = equation.params
        length, inner = params["length"], params["jaxpr"]
        if length * draws > MAXIMUM_DRAWS:
            raise ValueError(
                f"hnca: the scan at {line} has {draws} draw(s) in each of {length} steps, and is unrolled; expected at "
                f"most {MAXIMUM_DRAWS} draws in all. With unroll=False it stays a loop; or draw a vector at once "
                "instead of a number in each step, or use fewer steps."
            )
        before = len(self.program.draws)
        begun, ended = places_of(equation)
        carried = ended - begun
        fixed, carry, stacked = inputs[:begun], inputs[begun:ended], inputs[ended:]
        order = range(length)[::-1] if params["reverse"] else range(length)
        rows: dict[int, list[int]] = {}
        for step in order:
            here = [self._computed(lambda a, i=step: a[i], array) for array in stacked]
            results = self.write(inner.jaxpr, inner.consts, [*fixed, *carry, *here])
            carry, rows[step] = results[:carried], results[carried:]
        self.program.unrolled.append(Unrolled(line, length, (before, len(self.program.draws))))
        if not length:
            return [*carry, *(self._nothing(variable.aval) for variable in equation.outvars[carried:])]
        columns = zip(*(rows[step] for step in range(length)), strict=True)
        return [*carry, *(self._computed(lambda *parts: put_together(parts, 0), *column) for column in columns)]

    def _written_inside(self, inner: Any, inputs: Sequence[int], called_by: Any = None) -> "_Writer":
        """Returns what has written a jaxpr that stands inside of an equation as a program of its own.

        Args:
            inner: the jaxpr.
            inputs: what it is given.
            called_by: the equation, if what is wanted is its first call; None for any step of it.
        """
        jaxpr, constants = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
        body = Program()
        body.inputs = [body.new_value(variable.aval) for variable in jaxpr.invars]
        if called_by is not None:
            body.known = known_first(self.program, called_by, inputs, body)
        writer = _Writer(body, unroll=False)
        writer.names, writer.line = self.names, self.line
        writer.keys = self.keys.of_steps(body, inputs, writer.random)
        body.outputs = list(writer.write(jaxpr, constants, list(body.inputs)))
        return writer

    def _keep(self, equation: Any, inputs: list[int]) -> list[int]:
        if not equation.outvars:
            return []  # What it draws changes nothing.
        places, writer = places_of(equation), self._written_inside(equation.params["jaxpr"], inputs)
        body = writer.program
        check_entropies(body)
        program = self.program
        outputs = [program.new_value(variable.aval) for variable in equation.outvars]
        added: dict[int, int] = {}
        for place, start in enumerate(body.inputs[places.begun : places.ended]):
            begun = number_in_text(program, inputs[places.begun + place])
            addition = addition_of(body, body.outputs[place], start, begun, equation.params["length"])
            if addition is not None:
                step = writer._computed(*addition)
                aval = body.avals[step]
                body.outputs.append(step)
                added[place] = program.new_value(aval.update(shape=(equation.params["length"], *aval.shape)))
        outputs += added.values()
        program.add(Loop("scan", tuple(inputs), tuple(outputs), equation, self.line, body, places, added))
        self.random.update(outputs)
        self.keys.of_equation(program.equations[-1])
        return outputs[: len(equation.outvars)]

    def _nothing(self, aval: Any) -> int:
        """Writes an array that has no elements."""
        return self.program.new_known(np.zeros(aval.shape, aval.dtype))

    def _computed(self, function: Callable[..., Array], *values: int) -> int:
        """Writes a small function of ours applied to values."""
        avals = [self.program.avals[value] for value in values]
        closed = jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals))
        return self.write(closed.jaxpr, closed.consts, list(values))[0]
