"""What is too dear to be evaluated anew for other values of the draws it reads, and so is credited by the score."""

from collections.abc import Iterable

from hnca._warning import warn
from hnca.estimators import HNCA, Estimator, LeaveOneOutHNCA
from hnca.programs.equations import Draw
from hnca.programs.jumping import warn_of_jumps
from hnca.programs.plan import MAXIMUM_EVALUATIONS, Plan
from hnca.programs.times_zero import warn_of_times_zero

MANY_READ = 100
"""How many draws the draws of a loop that is written out may read, each counted anew, before that is warned of."""


def warn_of_long_loops(plan: Plan) -> None:
    """Warns, before the time is spent, where a loop is written out of which each step reads all before it.

    Args:
        plan: the program.
    """
    counts = [len(plan.kinds.get(draw.logits, {})) for draw in plan.program.draws.values()]
    reads = [(sum(counts[slice(*scan.draws)]), scan) for scan in plan.program.unrolled]
    read, scan = max(reads, key=lambda each: each[0], default=(0, None))
    if scan is None or read <= MANY_READ:
        return
    warn(
        f"hnca: the scan at {scan.line} is written out, and what its {scan.steps} steps draw reads {read} draws of "
        "others, so that tracing and compiling take long: of 24 steps, of which each reads all before it, half a "
        "minute, of 48 two. With unroll=False it stays a loop, which is ready in seconds; and where a step draws the "
        "new state, not its change, it reads the step before alone."
    )


def cure_of(draws: Iterable[Draw], most: int | None) -> str:
    """Returns what helps against crediting by the score.

    Args:
        draws: whose values are too many.
        most: how many of them the estimator evaluates already; None for all.
    """
    if any(draw.categories > MAXIMUM_EVALUATIONS for draw in draws):
        return "less of it has hnca.UnorderedSet(4)"
    some = "" if most is not None else "hnca.HNCA(counterfactuals=4), which takes a few, or "
    return f"not so by {some}hnca.CoupledAlternatives(4), which takes none"


def most_of(estimator: Estimator, plan: Plan) -> int | None:
    """Returns how many counterfactuals of a draw an estimator evaluates, None for all; warns where all are too many.

    Args:
        estimator: of the program's gradient.
        plan: the program.
    """
    most = estimator.most_counterfactuals()
    _warn_of_shared_observations(plan)
    warn_of_times_zero(plan.program)
    warn_of_jumps(estimator, plan)
    if not isinstance(estimator, HNCA | LeaveOneOutHNCA):
        return most
    counts = [(low.part.draws, plan.evaluations_of_messages(low, most)) for low in plan.layers.values()]
    counts += [(term.reads, plan.evaluations(term, part, most)) for term, part in plan.others]
    dear = {reads[0]: count for reads, count in counts if count > MAXIMUM_EVALUATIONS}
    for output, count in dear.items():
        draw = plan.program.draws[output]
        warn(
            f"hnca: what comes of the draw at {draw.line} would be evaluated anew {count} times, more than "
            f"{MAXIMUM_EVALUATIONS}, and is credited by the score, as REINFORCE does: unbiased, with its variance; "
            f"{cure_of([draw], most)}. hnca.explain tells more."
        )
    return most


def _warn_of_shared_observations(plan: Plan) -> None:
    """Warns where units of one draw have an observation each, all of which every one of them is credited with."""
    for line, draw in plan.observed_by_unit():
        warn(
            f"hnca: what is observed at {line} has an element for each of several units of the draw at {draw.line}, "
            "and each of these units is credited with all of them: an observation says of which draw it comes, and not "
            "of which unit. If each is its own unit's alone, make examples of the units (in_axes), or draws; if not, "
            "observe their sum."
        )
