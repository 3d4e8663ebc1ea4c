"""The refusal shared by all estimators that differentiate the objective by the values of the units."""

from hnca.network import Network
from hnca.objectives import Objective, roles


def require_differentiable(estimator: object, network: Network, objective: Objective) -> None:
    """Raises a ValueError that says why and what to use instead, if a component can be observed only once.

    Likewise if a component takes a layer as an argument that the network has not.
    """
    roles(network, objective.components)
    if not all(component.repeatable for component in objective.components):
        raise ValueError(
            f"{type(estimator).__name__}: differentiates the objective by the values of the units, which a reward that "
            "is observed once does not allow; use HNCA or REINFORCE."
        )
