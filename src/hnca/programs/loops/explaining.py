"""What a program whose loops stay loops compiles to, as text to read: its draws, and how each reaches each term."""

from collections.abc import Collection, Mapping

from hnca.estimators import REINFORCE, Estimator
from hnca.objectives._base import listed
from hnca.objectives.explanation import Explanation, aligned
from hnca.objectives.mediation import Role
from hnca.objectives.pictures import Graph
from hnca.programs.equations import Draw, Program
from hnca.programs.loop import Loop
from hnca.programs.loops.compiled import Looped
from hnca.programs.loops.crediting import check_observed
from hnca.programs.loops.credits import evaluations
from hnca.programs.loops.reach import FROM_HERE, FROM_NEXT, HERE, NEVER, WHOLE
from hnca.programs.loops.running import Site
from hnca.programs.loops.terms import Leaf
from hnca.programs.plan import MAXIMUM_EVALUATIONS

_Sites = frozenset[Site]
_NOWHERE: _Sites = frozenset()
_CELLS = {
    NEVER: "-",
    WHOLE: "whole",
    HERE: "its own step",
    FROM_HERE: "from its step on",
    FROM_NEXT: "from the next step on",
}


def explain_loops(looped: Looped, estimator: Estimator) -> Explanation:
    """Returns a table of a program's draws, and one of the terms of its result: how each draw reaches each.

    Args:
        looped: the program.
        estimator: which is to credit it, HNCA or REINFORCE.

    Raises:
        ValueError: for what the estimator cannot credit.
    """
    check_observed(estimator, looped.program)
    reads = dict.fromkeys(looped.sites, _NOWHERE)
    made_of = _follow(looped.program, (), [_NOWHERE] * len(looped.program.inputs), reads)
    scored = {
        site
        for site, place in looped.sites.items()
        if isinstance(estimator, REINFORCE) or evaluations(place) > MAXIMUM_EVALUATIONS
    }
    terms = [["", *(place.draw.name for place in looped.sites.values())]]
    for number, leaf in enumerate(looped.terms.leaves):
        ways = {site: looped.reach.ways[site][number] for site in looped.sites}
        terms.append([_title(looped, leaf), *(_cell(way, site in scored) for site, way in ways.items())])
    graph = _graph(looped, [made_of.get(leaf.value, _NOWHERE) for leaf in looped.terms.leaves], reads, scored)
    table = _draw_table(looped, reads, scored, notes=not isinstance(estimator, REINFORCE))
    return Explanation(f"{table}\n\n{aligned(terms)}", graph)


def _follow(program: Program, around: Site, inputs: Collection[_Sites], reads: dict[Site, _Sites]) -> dict[int, _Sites]:
    """Returns which draws every value is made of, not by way of other draws, and notes which each draw's logits read.

    Args:
        program: a program, or a step of a loop.
        around: the loops around it.
        inputs: which draws its inputs are made of.
        reads: what is noted, by the draw's site.
    """
    found = dict(zip(program.inputs, inputs, strict=True))
    for step in program.steps:
        if isinstance(step, Draw):
            site = (*around, step.output)
            reads[site] |= found.get(step.logits, _NOWHERE)
            found[step.output] = frozenset({site})
        elif isinstance(step, Loop):
            found.update(_follow_loop(step, around, [found.get(v, _NOWHERE) for v in step.inputs], reads))
        else:
            made_of = _NOWHERE.union(*(found.get(v, _NOWHERE) for v in step.inputs))
            found.update(dict.fromkeys(step.outputs, made_of))
    return found


def _follow_loop(loop: Loop, around: Site, inputs: list[_Sites], reads: dict[Site, _Sites]) -> dict[int, _Sites]:
    begun, ended = loop.places
    while True:
        inside = _follow(loop.body, (*around, loop.outputs[0]), inputs, reads)
        outputs = [inside.get(v, _NOWHERE) for v in loop.body.outputs]
        carried = [old | new for old, new in zip(inputs[begun:ended], outputs, strict=False)]
        if carried == inputs[begun:ended]:
            return dict(zip(loop.outputs, [*carried, *outputs[len(carried) :]], strict=True))
        inputs = [*inputs[:begun], *carried, *inputs[ended:]]


def _draw_table(looped: Looped, reads: Mapping[Site, _Sites], scored: Collection[Site], *, notes: bool) -> str:
    lines = [["draw", "kind", "shape", "steps", "reads", "runs anew", "line"]]
    dear = []
    for site, place in looped.sites.items():
        draw, count = place.draw, evaluations(place)
        kind, shape = (
            ("categorical", (*draw.shape, draw.categories)) if draw.values is None else ("bernoulli", draw.shape)
        )
        steps = " x ".join(map(str, place.lengths)) or "-"
        read = listed([place.draw.name for other, place in looped.sites.items() if other in reads[site]]) or "-"
        runs = "-" if site in scored else str(count)
        lines.append([draw.name, kind, str(shape), steps, read, runs, draw.line])
        if notes and count > MAXIMUM_EVALUATIONS:
            dear.append(
                f"{draw.name}: {count} runs anew are more than {MAXIMUM_EVALUATIONS}, so it is credited by the score, "
                "as REINFORCE does."
            )
    return "\n".join([aligned(lines), *dear])


def _title(looped: Looped, leaf: Leaf) -> str:
    made_by = looped.program.producers.get(leaf.value)
    draw = looped.program.draws.get(leaf.value)
    line = made_by.line if made_by is not None else draw.line if draw is not None else "a term"
    return line if leaf.loop is None else f"{line}, step by step"


def _cell(way: str, by_score: bool) -> str:
    return f"{_CELLS[way]}, by the score" if by_score and way != NEVER else _CELLS[way]


def _graph(looped: Looped, arguments: list[_Sites], reads: Mapping[Site, _Sites], scored: Collection[Site]) -> Graph:
    """Returns the picture of one step: what comes from the step before is not drawn."""
    sites = list(looped.sites)
    names = {site: place.draw.name for site, place in looped.sites.items()}
    before = {site: sites[:place] for place, site in enumerate(sites)}
    parents = {names[s]: tuple(names[o] for o in before[s] if o in reads[s]) for s in sites}
    roles = {}
    for site in sites:
        found = []
        for number, taken in enumerate(arguments):
            if looped.reach.ways[site][number] == NEVER:
                continue
            children = [other for other in sites if site in reads[other] and other != site]
            mediators = tuple(names[o] for o in children if looped.reach.ways[o][number] != NEVER)
            found.append(Role((number,), (number,) if site in taken else (), mediators, site in scored))
        roles[names[site]] = tuple(found)
    titles = tuple(_title(looped, leaf) for leaf in looped.terms.leaves)
    return Graph(parents, titles, tuple(tuple(names[s] for s in sites if s in taken) for taken in arguments), roles)
