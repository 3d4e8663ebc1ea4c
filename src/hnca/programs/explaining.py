"""What a program compiles to, as text to read: its draws and how each is credited, then its components."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from hnca.estimators import Estimator
from hnca.objectives.explanation import Explanation
from hnca.programs.affordable import cure_of
from hnca.programs.arguments import InAxes
from hnca.programs.beforehand import seen
from hnca.programs.crediting import Compiled, compile_call, credited_call
from hnca.programs.model import model_of
from hnca.programs.no_examples import with_an_example
from hnca.programs.passes import run_pass
from hnca.programs.plan import MAXIMUM_EVALUATIONS, Plan
from hnca.programs.splitting import Term, is_linear_in


def explain(
    function: Callable[..., Any],
    *,
    in_axes: InAxes = None,
    has_aux: bool = False,
    estimator: Estimator | None = None,
) -> Callable[..., Explanation]:
    """Returns a function of `function`'s arguments that tells how `hnca.value_and_grad` would credit its draws.

    Print what it returns: a table of the draws (kind, shape, the line they stand in, which draws their logits read, how
    they are made into a layer, why no cheaper way, and how often the program's rest is evaluated anew for it in an
    update), and a table of the components: how each reaches each draw. Its `svg(draw)` and `mermaid(draw)`
    are a picture of the same, in the colours of one draw's credit: its Markov blanket, its messages, what is left out.

    Examples:
        >>> def loss(weights, key, x):
        ...     first, second = jax.random.split(key)
        ...     code = hnca.bernoulli(first, weights["in"] @ x, name="code")
        ...     action = hnca.categorical(second, weights["out"] @ code, name="action")
        ...     return -hnca.observed((action == 0).astype(float))
        >>> weights = {"in": jnp.ones((4, 2)), "out": jnp.ones((3, 4))}
        >>> print(hnca.explain(loss)(weights, jax.random.key(0), jnp.ones(2)))
        draw    kind         shape  reads  becomes  evaluations  line
        code    bernoulli    (4,)   -      Free     -            ...:3:... (loss)
        action  categorical  (3,)   code   Dense    -            ...:4:... (loss)
        <BLANKLINE>
                          code        action
        observed(action)  via action  score

    Args:
        function: as for `hnca.value_and_grad`.
        in_axes: likewise.
        has_aux: likewise.
        estimator: likewise; one that evaluates some counterfactuals takes fewer evaluations.

    Raises:
        ValueError: (when called) as for `hnca.value_and_grad`; for an estimator that cannot credit this program.
    """
    most = None if estimator is None else estimator.most_counterfactuals()

    def call(*arguments: Any, **keywords: Any) -> Explanation:
        compiled = compile_call("explain", function, arguments, keywords, in_axes, has_aux)
        if 0 in compiled.flat.batch_shape:
            compiled = with_an_example(compiled)
        components = _component_table(compiled, most)
        if estimator is not None:
            # What it would refuse is refused here, and in the same words.
            jax.eval_shape(lambda: credited_call(estimator, compiled, jax.random.key(0), None)[0])
        return Explanation(f"{_draw_table(compiled.plan, most)}\n\n{components}", components.graph)

    return call


def _draw_table(plan: Plan, most: int | None) -> str:
    lines = [["draw", "kind", "shape", "reads", "becomes", "evaluations", "line"]]
    notes = []
    for output, draw in plan.program.draws.items():
        lowering = plan.layers[output]
        reads = ", ".join(plan.program.draws[d].name for d in lowering.part.draws) or "-"
        kind = "categorical" if draw.values is None else "bernoulli"
        shape = (*draw.shape, draw.categories) if draw.values is None else draw.shape
        count = plan.evaluations_of_messages(lowering, most)
        lines.append([draw.name, kind, str(shape), reads, lowering.way, str(count) if count else "-", draw.line])
        if count > MAXIMUM_EVALUATIONS:
            cure = cure_of((plan.program.draws[d] for d in lowering.part.draws), most)
            notes.append(
                f"{draw.name}: {lowering.reason}; {count} evaluations are more than {MAXIMUM_EVALUATIONS}, so "
                f"what comes of {reads} through it is credited by the score, as REINFORCE does; {cure}."
            )
        elif lowering.reason:
            notes.append(f"{draw.name}: {lowering.reason}.")
    return "\n".join([_table(lines), *notes])


def _component_table(compiled: Compiled, most: int | None) -> Explanation:
    plan, flat = compiled.plan, compiled.flat
    run, marks = run_pass(plan, flat.arrays, flat.mapped)
    example = seen(plan.program, flat, plan.dtype)
    model = model_of(plan, run, marks, example, flat.batch_shape, most)
    notes = []
    for term, part in plan.others:
        count = plan.evaluations(term, part, most)
        dear = ", ".join(plan.program.draws[d].name for d in part.draws if not is_linear_in(term, part.kinds, d))
        if count > MAXIMUM_EVALUATIONS:
            cure = cure_of((plan.program.draws[d] for d in part.draws), most)
            notes.append(
                f"{_where(plan, term)}: not linear in {dear}; {count} evaluations are more than "
                f"{MAXIMUM_EVALUATIONS}, so it is credited by the score, as REINFORCE does; {cure}."
            )
        elif count:
            notes.append(f"{_where(plan, term)}: not linear in {dear}; evaluated anew {count} times.")
    table = model.objective.explain(model.network)
    return Explanation("\n".join([table, *notes]), table.graph)


def _where(plan: Plan, term: Term) -> str:
    equation = plan.program.producers.get(term.atoms[0][1])
    return equation.line if equation is not None else "a term"


def _table(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(line).rstrip() for line in padded)
