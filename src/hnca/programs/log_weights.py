"""Warns of log weights that are right as numbers, and not for the gradient of a bound of several samples."""

from collections.abc import Iterator

from hnca._warning import warn
from hnca.estimators import ReweightedWakeSleep
from hnca.estimators._bound import BoundEstimator
from hnca.programs.dependence import depends_on
from hnca.programs.equations import LogWeight, Program
from hnca.programs.stopped import equal_numbers, is_stopped_by_user, terms_of


def warn_of_log_weight(estimator: BoundEstimator, program: Program) -> None:
    """Warns of a `log_q` whose derivative is stopped, and, of wake-sleep, of one that `log_p` has as a term, too.

    The first is 0 on average for one sample. In a bound each of several counts by its weight, and it is not. Of the
    second the draws are from the prior, which both phases then move.

    Args:
        estimator: of the bound.
        program: that it is asked of.
    """
    marked, name = program.log_weight, type(estimator).__name__
    if marked is None or marked.log_q is None:
        return
    for line in dict.fromkeys(_stopped(program, marked.log_q)):
        warn(
            f"hnca: {name}: jax.lax.stop_gradient at {line} stops the derivative of log_q, which is 0 on average for "
            "one sample, and not in a bound of several, where each counts by its weight; leave it out."
        )
    if isinstance(estimator, ReweightedWakeSleep) and _is_of_prior(program, marked):
        warn(
            f"hnca: {name}: log_q is a term of log_p as well, as of draws from the prior: both phases move it, and it "
            "counts twice. hnca.log_weight(log_likelihood, None), without it in either, is expectation maximisation."
        )


def _stopped(program: Program, log_q: int) -> Iterator[str]:
    """Yields the lines where what is made of a draw's logits is stopped on its way to `log_q`."""
    numbers = equal_numbers(program)
    logits = {numbers[draw.logits] for draw in program.draws.values()}
    scored = depends_on(program, {v for v, number in numbers.items() if number in logits}, through_draws=False)
    for equation in program.equations:
        if not is_stopped_by_user(program, equation, scored) or equation.inputs[0] not in scored:
            continue
        if log_q in depends_on(program, set(equation.outputs), through_draws=False):
            yield equation.line


def _is_of_prior(program: Program, marked: LogWeight) -> bool:
    """Returns whether a term of `log_q` that reads draws is one of `log_p`, computed anew or not."""
    assert marked.log_q is not None
    numbers, drawn = equal_numbers(program), depends_on(program, set(program.draws), through_draws=False)
    of_q = {(numbers[value], sign) for value, sign in terms_of(program, marked.log_q) if value in drawn}
    return not of_q.isdisjoint((numbers[value], sign) for value, sign in terms_of(program, marked.log_p))
