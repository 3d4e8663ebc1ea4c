"""The examples in the docstrings of public names give what they say."""

import doctest

import jax
import jax.numpy as jnp
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

EXAMPLES = {name: getattr(hnca, name) for name in hnca.__all__ if ">>>" in (getattr(hnca, name).__doc__ or "")}


def test_where_they_help_most_there_are_examples():
    wanted = {"value_and_grad", "bernoulli", "categorical", "check_unbiased", "explain", "Network", "HNCA"}
    assert wanted <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.sweep
def test_the_example_gives_what_it_says(name):
    names = {"jax": jax, "jnp": jnp, "hnca": hnca}
    example = doctest.DocTestParser().get_doctest(EXAMPLES[name].__doc__, names, name, None, None)
    said = []
    with jax.numpy_dtype_promotion("standard"):
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)
