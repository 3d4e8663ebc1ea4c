"""The refusal shared by all estimators that evaluate the objective more than once."""

from hnca.objectives import Objective


def require_repeatable(estimator: object, objective: Objective) -> None:
    """Raises a ValueError that says why and what to use instead, if a component can be observed only once."""
    if not all(component.repeatable for component in objective.components):
        raise ValueError(
            f"{type(estimator).__name__}: evaluates the objective on a second sample, which a reward that is observed "
            "once does not allow; use HNCA or REINFORCE."
        )
