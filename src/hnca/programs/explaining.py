"""What a program compiles to, as text to read: its draws and how each is credited, then its components."""

from collections.abc import Callable, Collection
from typing import Any

import jax

from hnca.estimators import HNCA, Estimator
from hnca.objectives import roles
from hnca.objectives._base import listed
from hnca.objectives.explanation import Explanation, aligned
from hnca.programs.affordable import cure_of
from hnca.programs.arguments import InAxes, require_flags, require_function
from hnca.programs.beforehand import seen
from hnca.programs.crediting import compile_call, credited_call
from hnca.programs.first_state import with_an_example
from hnca.programs.loops.crediting import check_options, compile_loops
from hnca.programs.loops.explaining import explain_loops
from hnca.programs.model import Model, model_of
from hnca.programs.passes import execute, run_pass
from hnca.programs.plan import MAXIMUM_EVALUATIONS, Plan
from hnca.programs.splitting import Term, is_linear_in
from hnca.programs.whole_batch import compile_whole, credited_whole, model_of_examples


def explain(
    function: Callable[..., Any],
    *,
    in_axes: InAxes = None,
    has_aux: bool = False,
    estimator: Estimator | None = None,
    whole_batch: bool = False,
    unroll: bool = True,
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
        whole_batch: likewise; what is told is of one example.
        unroll: likewise. Of loops that stay loops it is told how many steps a draw has, how often the function is run
            anew for it, and which terms of the result it is credited for, from which step on.

    Raises:
        ValueError: (when called) as for `hnca.value_and_grad`; for an estimator that cannot credit this program.
    """
    require_function("explain", function)
    require_flags("explain", has_aux=has_aux, whole_batch=whole_batch, unroll=unroll)
    if not unroll:
        check_options("explain", estimator or HNCA(), whole_batch=whole_batch)

    def call(*arguments: Any, **keywords: Any) -> Explanation:
        given = "explain", function, arguments, keywords, in_axes, has_aux
        if not unroll:
            return explain_loops(compile_loops(*given), estimator or HNCA())
        return _of_batch(estimator, *given) if whole_batch else _of_example(estimator, *given)

    return call


def _of_example(estimator: Estimator | None, *given: Any) -> Explanation:
    compiled = compile_call(*given)
    if 0 in compiled.flat.batch_shape:
        compiled = with_an_example(compiled)
    plan, flat, most = compiled.plan, compiled.flat, _most(estimator)

    def told() -> Explanation:
        run, marks = run_pass(plan, flat.arrays, flat.mapped)
        model = model_of(plan, run, marks, seen(plan.program, flat, plan.dtype), flat.batch_shape, most)
        return _tables(plan, model, most)

    if estimator is not None:
        # What it would refuse is refused here, and in the same words.
        jax.eval_shape(lambda: credited_call(estimator, compiled, jax.random.key(0), None)[0])
    return _of_shapes(told)


def _of_batch(estimator: Estimator | None, *given: Any) -> Explanation:
    whole, most = compile_whole(*given), _most(estimator)

    def told() -> Explanation:
        return _tables(whole.plan, model_of_examples(whole, execute(whole.program, whole.flat.arrays), most), most)

    if estimator is not None:
        jax.eval_shape(lambda: credited_whole(estimator, whole, jax.random.key(0), None)[0])
    return _of_shapes(told)


def _of_shapes(told: Callable[[], Explanation]) -> Explanation:
    """Returns what a function tells of a program of whose arrays it sees the shapes: nothing is compiled."""
    explanations = []
    jax.eval_shape(lambda: explanations.append(told()))
    return explanations[0]


def _most(estimator: Estimator | None) -> int | None:
    return None if estimator is None else estimator.most_counterfactuals()


def _tables(plan: Plan, model: Model, most: int | None) -> Explanation:
    by_role = [role for each in roles(model.network, model.objective.components).values() for role in each]
    mediating = {child for role in by_role if not role.opaque for child in role.mediators}
    components = _component_table(plan, model, most)
    told = f"{_draw_table(plan, most, mediating)}\n\n{components}"
    if all(role.opaque for role in by_role):
        told += "\nEvery draw has the score alone: hnca.HNCA comes to hnca.REINFORCE here."
    return Explanation(told, components.graph)


def _draw_table(plan: Plan, most: int | None, mediating: Collection[str]) -> str:
    lines = [["draw", "kind", "shape", "reads", "becomes", "evaluations", "line"]]
    notes: dict[str, list[str]] = {}
    for output, draw in plan.program.draws.items():
        lowering = plan.layers[output]
        reads = listed([plan.program.draws[d].name for d in lowering.part.draws]) or "-"
        kind = "categorical" if draw.values is None else "bernoulli"
        shape = (*draw.shape, draw.categories) if draw.values is None else draw.shape
        # Of a draw through which nothing is credited no message is asked for.
        count = plan.evaluations_of_messages(lowering, most)
        count = count if draw.name in mediating or count > MAXIMUM_EVALUATIONS else 0
        lines.append([draw.name, kind, str(shape), reads, lowering.way, str(count) if count else "-", draw.line])
        if count > MAXIMUM_EVALUATIONS:
            cure = cure_of((plan.program.draws[d] for d in lowering.part.draws), most)
            told = (
                f"{lowering.reason}; {count} evaluations are more than {MAXIMUM_EVALUATIONS}, so what comes of {reads} "
                f"through it is credited by the score, as REINFORCE does; {cure}."
            )
            notes.setdefault(told, []).append(draw.name)
        elif lowering.reason and draw.name in mediating:
            notes.setdefault(f"{lowering.reason}.", []).append(draw.name)
    return "\n".join([aligned(lines), *(f"{listed(names)}: {told}" for told, names in notes.items())])


def _component_table(plan: Plan, model: Model, most: int | None) -> Explanation:
    notes = []
    for term, part in plan.others:
        count = plan.evaluations(term, part, most)
        dear = listed([plan.program.draws[d].name for d in part.draws if not is_linear_in(term, part.kinds, d)])
        if count > MAXIMUM_EVALUATIONS:
            cure = cure_of((plan.program.draws[d] for d in part.draws), most)
            notes.append(
                f"{_where(plan, term)}: not linear in {dear}; {count} evaluations are more than "
                f"{MAXIMUM_EVALUATIONS}, so it is credited by the score, as REINFORCE does; {cure}."
            )
        elif count:
            notes.append(f"{_where(plan, term)}: not linear in {dear}; evaluated anew {count} times.")
    table = model.objective.explain(model.network)
    return Explanation("\n".join([table, *dict.fromkeys(notes)]), table.graph)


def _where(plan: Plan, term: Term) -> str:
    equation = plan.program.producers.get(term.atoms[0][1])
    return equation.line if equation is not None else "a term"
