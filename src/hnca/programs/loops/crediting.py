"""From a call whose loops stay loops to the estimate of its expectation's gradient."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hnca._precision import at_least_float32
from hnca._warning import warn
from hnca.baselines import Baseline
from hnca.estimators import HNCA, REINFORCE, Estimator
from hnca.estimators._centring import centred, unless_lost
from hnca.estimators._requirements import require_state
from hnca.programs.arguments import InAxes, flatten
from hnca.programs.beforehand import seen
from hnca.programs.crediting import Credited, shape_of, traced, warn_of_slips
from hnca.programs.dependence import require_tied
from hnca.programs.equations import Program, read
from hnca.programs.infinities import finite_logits
from hnca.programs.inside import observes
from hnca.programs.loop import Loop
from hnca.programs.loops.compiled import Looped
from hnca.programs.loops.credits import Example, by_score, evaluations, hindsight
from hnca.programs.loops.keys import require_fresh_keys
from hnca.programs.loops.reach import reach_of, sites_of
from hnca.programs.loops.running import Record, Site, run_loops
from hnca.programs.loops.terms import terms_of
from hnca.programs.model import depends_on_none
from hnca.programs.plan import MAXIMUM_EVALUATIONS
from hnca.programs.possible import number_if
from hnca.programs.soft import with_derivative_of_its_kind
from hnca.programs.surrogates import held


def compile_loops(
    owner: str,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    in_axes: InAxes,
    has_aux: bool,
) -> Looped:
    """Returns a call of a function of one example, traced with its loops as they are.

    Raises:
        ValueError: as for `hnca.value_and_grad`; for a loop whose steps draw with one key.
    """
    flat = flatten(owner, arguments, keywords, in_axes)
    examples = [shape_of(a, 1 if m else 0) for a, m in zip(flat.arrays, flat.mapped, strict=True)]
    program, structure = traced(owner, function, flat, examples, has_aux, unroll=False)
    require_fresh_keys(program, [n for n, mark in zip(program.inputs, flat.mapped, strict=True) if mark])
    warn_of_slips(program, flat)
    terms, sites = terms_of(program), sites_of(program)
    if not terms.leaves:
        raise depends_on_none(place.draw.name for place in sites.values())
    return Looped(program, terms, reach_of(program, terms), sites, flat, structure)


def check_options(owner: str, estimator: Estimator, *, whole_batch: bool = False) -> None:
    """Raises a ValueError for what does not go with unroll=False: estimators, options of HNCA, a whole batch."""
    if whole_batch:
        raise ValueError(f"{owner}: whole_batch=True and unroll=False; expected one of the two.")
    if not isinstance(estimator, HNCA | REINFORCE):
        raise ValueError(
            f"{owner}: unroll=False and estimator {type(estimator).__name__}; expected hnca.HNCA or hnca.REINFORCE, "
            "which know loops, or unroll=True."
        )
    if isinstance(estimator, HNCA):
        plain = HNCA(estimator.baseline)
        for option in ("control", "counterfactuals", "marginalise", "prune_children", "prune_upstream"):
            if (found := getattr(estimator, option)) != getattr(plain, option):
                raise ValueError(
                    f"{owner}: unroll=False and HNCA({option}={found!r}); expected no option but a baseline, or "
                    "unroll=True."
                )


def credited_loops(
    estimator: Estimator, looped: Looped, state: PyTree, given: Mapping[Site, Array] | None = None
) -> tuple[Float[Array, ""], Credited]:
    """As `credited_call`, for a function whose loops stay loops.

    A baseline is of each term and step: what is subtracted is the sum of all that come after a draw.

    Args:
        estimator: HNCA or REINFORCE.
        looped: the call.
        state: of the baselines; None to begin.
        given: values the draws of one example are to take, where there is no batch; None to draw them.
    """
    flat, program = looped.flat, looped.program
    require_tied(program)
    check_observed(estimator, program)

    outputs, record, coefficients, terms = _forward(looped, flat.arrays, given)
    terms = held(terms)
    left, state = _centred(estimator, looped, terms, state)
    batch = max((1, *flat.batch_shape))
    is_hindsight = isinstance(estimator, HNCA)
    if is_hindsight:
        _warn_of_dear_draws(looped)

    def credits_of(example: Example) -> dict:
        return hindsight(looped, example, batch) if is_hindsight else by_score(looped, example)

    example = Example(held(flat.arrays), held(record), held(coefficients), terms, left)
    axes = [0 if mark else None for mark in flat.mapped]
    in_axes = Example(axes, *(0 for _ in range(4)))  # type: ignore[arg-type]
    credits = jax.vmap(credits_of, in_axes=(in_axes,))(example) if flat.batch_shape else credits_of(example)
    total = jnp.mean(outputs[0])
    total = number_if(jnp.all(record.possible), total, record.logits.values())
    for site, credit in credits.items():
        logits = finite_logits(record.logits[site], looped.sites[site].draw.row).astype(credit.dtype)
        product = jnp.sum(held(credit).reshape(logits.shape) * logits) / jnp.asarray(batch, logits.dtype)
        total += (product - jax.lax.stop_gradient(product)).astype(total.dtype)
    aux = looped.structure.unflatten([total, *outputs[1:]])[1]
    return with_derivative_of_its_kind(total), Credited(held(aux), held(state))


def first_states(estimator: Estimator, looped: Looped) -> PyTree:
    """Returns the baselines' states before the first call; nothing is drawn.

    Args:
        estimator: HNCA or REINFORCE.
        looped: the call.
    """
    baseline = getattr(estimator, "baseline", None)
    if not isinstance(baseline, Baseline):
        return {}
    terms = jax.eval_shape(lambda arrays: _forward(looped, arrays, None)[3], looped.flat.arrays)
    return _first_states(baseline, looped, _inputs_of(looped, terms), terms)


def _forward(
    looped: Looped, arrays: list[Array], given: Mapping[Site, Array] | None
) -> tuple[list[Array], Record, dict[int, Array], list[Array]]:
    """Returns of every example the program's results, what was recorded, how the terms are weighted, and the terms."""
    program, flat = looped.program, looped.flat

    def one(arrays: list[Array]) -> tuple[list[Array], Record, dict[int, Array], list[Array]]:
        values, record = run_loops(program, arrays, given)
        coefficients = looped.terms.coefficients(values)
        outputs = [jnp.asarray(read(program, values, atom)) for atom in program.outputs]
        return outputs, record, coefficients, looped.terms.values(held(values), coefficients)

    axes = [0 if mark else None for mark in flat.mapped]
    return (jax.vmap(one, in_axes=(axes,)) if flat.batch_shape else one)(arrays)


def _centred(estimator: Estimator, looped: Looped, terms: list[Array], state: PyTree) -> tuple[list[Array], PyTree]:
    """Returns the terms less their baselines, one for each step, and the baselines' state."""
    baseline = getattr(estimator, "baseline", None)
    if not isinstance(baseline, Baseline):
        return terms, {}
    inputs = _inputs_of(looped, terms)
    first = _first_states(baseline, looped, inputs, terms)
    if state is not None:
        require_state(estimator, first, state)
    found, after = [], []
    for place, term in enumerate(terms):
        steps = term.shape[len(looped.flat.batch_shape) :]
        before = first[place] if state is None else state[place]
        one = partial(centred, baseline)
        if steps:
            one = jax.vmap(one, in_axes=(0, None, -1), out_axes=(-1, 0))
        left, new = one(before, inputs, term)
        found.append(left)
        after.append(new)
    return found, unless_lost(tuple(after), first if state is None else tuple(state), terms)


def _inputs_of(looped: Looped, terms: list[Any]) -> Array:
    """Returns what baselines see of every example, in the dtype of what they predict."""
    flat, dtype = looped.flat, at_least_float32(terms[0].dtype)
    inputs = seen(looped.program, flat, dtype)
    return jnp.zeros((*flat.batch_shape, 0), dtype) if inputs is None else inputs


def _first_states(baseline: Baseline, looped: Looped, inputs: Array, terms: list[Any]) -> tuple[PyTree, ...]:
    first = baseline.init(inputs.shape[-1], inputs.dtype)
    steps = [term.shape[len(looped.flat.batch_shape) :] for term in terms]
    return tuple(jax.tree.map(lambda a, size=size: jnp.broadcast_to(a, (*size, *a.shape)), first) for size in steps)


def check_observed(estimator: Estimator, program: Program) -> None:
    """Raises a ValueError where HNCA would ask again what is observed once."""
    if not isinstance(estimator, HNCA):
        return
    for equation in program.equations:
        if isinstance(equation, Loop):
            check_observed(estimator, equation.body)
        elif observes(equation.original):
            raise ValueError(
                f"hnca: what is observed at {equation.line} cannot be asked again, and with unroll=False HNCA runs the "
                "whole program anew for other values of its draws; expected hnca.REINFORCE(hnca.RunningMean()), or "
                "unroll=True."
            )


def _warn_of_dear_draws(looped: Looped) -> None:
    for place in looped.sites.values():
        count = evaluations(place)
        if count > MAXIMUM_EVALUATIONS:
            warn(
                f"hnca: with unroll=False the program would be run anew {count} times for the draw at "
                f"{place.draw.line}, more than {MAXIMUM_EVALUATIONS}, and it is credited by the score, as REINFORCE "
                "does: unbiased, with its variance."
            )
