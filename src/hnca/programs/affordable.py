"""What is too dear to be evaluated anew for other values of the draws it reads, and so is credited by the score."""

import warnings

from hnca.estimators import HNCA, Estimator, LeaveOneOutHNCA
from hnca.programs.plan import MAXIMUM_EVALUATIONS, Plan

CURE = "not so by hnca.HNCA(counterfactuals=4), which takes a few, or hnca.CoupledAlternatives(4), which takes none"


def most_of(estimator: Estimator, plan: Plan) -> int | None:
    """Returns how many counterfactuals of a draw an estimator evaluates, None for all; warns where all are too many.

    Args:
        estimator: of the program's gradient.
        plan: the program.
    """
    most = estimator.most_counterfactuals()
    if not isinstance(estimator, HNCA | LeaveOneOutHNCA):
        return most
    counts = [(low.part.draws, plan.evaluations_of_messages(low, most)) for low in plan.layers.values()]
    counts += [(term.reads, plan.evaluations(term, part, most)) for term, part in plan.others]
    dear = {reads[0]: count for reads, count in counts if count > MAXIMUM_EVALUATIONS}
    for output, count in dear.items():
        draw = plan.program.draws[output]
        cure = "less of it has hnca.UnorderedSet(4)" if draw.categories > MAXIMUM_EVALUATIONS else CURE
        warnings.warn(
            f"hnca: what comes of the draw at {draw.line} would be evaluated anew {count} times, more than "
            f"{MAXIMUM_EVALUATIONS}, and is credited by the score, as REINFORCE does: unbiased, with its variance; "
            f"{cure}. hnca.explain tells more.",
            stacklevel=2,
        )
    return most
