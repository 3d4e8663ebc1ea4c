"""What is told of loops that stay loops, and of functions of a whole batch."""

import jax
import jax.numpy as jnp
import pytest
from loops import (
    X,
    backwards,
    draws_around,
    nested,
    of_loops,
    one_loop_after_another,
    parameters,
    policy,
    rewards_before_and_after,
)

import hnca


def told(function, **options):
    return hnca.explain(of_loops(function), unroll=False, **options)(parameters(), jax.random.key(0), jnp.asarray(X))


def rows(explained):
    """The cells of both tables, without the lines in the source and the headings."""
    draws, terms = str(explained).split("\n\n")
    of_draws = [[cell for cell in line.split("  ") if cell] for line in draws.splitlines()[1:]]
    of_terms = [[cell.strip() for cell in line.split("  ") if cell.strip()][1:] for line in terms.splitlines()[1:]]
    return [[cell.strip() for cell in row[:-1]] for row in of_draws], of_terms


ONE, TWO = "bernoulli_0", "bernoulli_1"
EXPECTED = {
    policy: ([[ONE, "bernoulli", "()", "4", ONE, "4"]], [["from its step on"], ["whole"]]),
    backwards: ([[ONE, "bernoulli", "()", "4", ONE, "4"]], [["from its step on"]]),
    nested: ([[ONE, "bernoulli", "()", "2 x 2", ONE, "4"]], [["from its step on"], ["whole"]]),
    one_loop_after_another: (
        [[ONE, "bernoulli", "()", "2", ONE, "2"], [TWO, "bernoulli", "()", "2", f"{ONE}, {TWO}", "2"]],
        [["whole", "-"], ["whole", "from its step on"]],
    ),
    draws_around: (
        [
            [ONE, "bernoulli", "()", "-", "-", "1"],
            [TWO, "bernoulli", "(2,)", "2", f"{ONE}, {TWO}", "4"],
            ["categorical_0", "categorical", "(3,)", "-", TWO, "2"],
        ],
        [["whole", "-", "-"], ["whole", "whole", "whole"], ["whole", "from its step on", "-"]],
    ),
    rewards_before_and_after: (
        [
            ["categorical_0", "categorical", "(3,)", "2", f"categorical_0, {ONE}", "4"],
            [ONE, "bernoulli", "(2,)", "2", "categorical_0", "4"],
        ],
        [["from its step on", "from the next step on"]],
    ),
}


@pytest.mark.parametrize("function", EXPECTED, ids=lambda function: function.__name__)
def test_it_tells_what_each_draw_reads_and_from_which_step_on_it_is_credited(function):
    draws, terms = rows(told(function))
    expected_draws, expected_terms = EXPECTED[function]
    assert draws == expected_draws
    assert sorted(terms) == sorted(expected_terms)


def test_it_names_lines_and_draws_itself():
    explained = told(rewards_before_and_after)
    assert "loops.py:" in explained
    assert "step by step" in explained
    assert list(explained.graph.parents) == ["categorical_0", ONE]
    assert explained.svg(ONE).startswith("<svg")
    assert "message" in explained.mermaid("categorical_0")


def test_what_is_credited_by_the_score_is_told():
    draws, terms = rows(told(policy, estimator=hnca.REINFORCE()))
    assert draws[0][-1] == "-"
    assert sorted(terms) == [["from its step on, by the score"], ["whole, by the score"]]


def test_a_draw_that_is_too_dear_is_told():
    def long(p, key):
        step = lambda s, k: (s + jnp.sum(hnca.bernoulli(k, p * s * jnp.ones(50))), None)  # noqa: E731
        return jax.lax.scan(step, 0.0, jax.random.split(key, 100))[0]

    explained = hnca.explain(long, unroll=False)(1.0, jax.random.key(0))
    assert "5000 runs anew are more than 4096, so it is credited by the score" in explained
    assert "4096" not in hnca.explain(long, unroll=False, estimator=hnca.REINFORCE())(1.0, jax.random.key(0))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"estimator": hnca.DisARM()}, "unroll=False and estimator DisARM"),
        ({"estimator": hnca.HNCA(counterfactuals=2)}, "counterfactuals=2"),
        ({"whole_batch": True}, "whole_batch=True and unroll=False"),
    ],
)
def test_what_does_not_go_with_loops_is_refused_in_the_words_of_the_gradient(options, says):
    arguments = parameters(), jax.random.key(0), jnp.asarray(X)
    with pytest.raises(ValueError, match=says):
        hnca.explain(of_loops(policy), unroll=False, **options)(*arguments)
    with pytest.raises(ValueError, match=says):
        hnca.grad(of_loops(policy), unroll=False, **options)(*arguments)


def test_what_is_observed_is_refused_in_the_words_of_the_gradient():
    def observed(p, key):
        return hnca.observed(jax.lax.scan(lambda s, k: (hnca.bernoulli(k, p * s), None), 1.0, jax.random.split(key))[0])

    with pytest.raises(ValueError, match="cannot be asked again"):
        hnca.explain(observed, unroll=False)(1.0, jax.random.key(0))
    assert "by the score" in hnca.explain(observed, unroll=False, estimator=hnca.REINFORCE())(1.0, jax.random.key(0))


def of_batch(weights, key, xs):
    code = hnca.bernoulli(key, xs @ weights)
    return jnp.mean(jnp.sum((code @ weights.T - xs) ** 2, axis=1))


def test_a_function_of_a_whole_batch_is_told_of_example_by_example():
    explained = hnca.explain(of_batch, in_axes=(None, None, 0), whole_batch=True)
    text = explained(jnp.ones((3, 2)), jax.random.key(0), jnp.ones((4, 3)))
    assert "bernoulli_0  bernoulli  (1, 2)" in text
    assert "direct" in text


def test_passes_of_a_whole_batch_are_refused_where_they_are_told_of():
    options = {"in_axes": (None, None, 0), "whole_batch": True, "estimator": hnca.IndependentLeaveOneOut()}
    arguments = jnp.ones((3, 2)), jax.random.key(0), jnp.ones((4, 3))
    with pytest.raises(ValueError, match="makes several passes of each example"):
        hnca.explain(of_batch, **options)(*arguments)
