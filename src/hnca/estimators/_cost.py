"""What an estimate takes, whatever the machine: forward passes and evaluations of the objective."""

from typing import NamedTuple

from hnca.network import Network


class Cost(NamedTuple):
    """What one estimate takes of the network and the objective. Backpropagation and messages are not counted.

    Attributes:
        forward_passes: layers that are drawn, relaxed or set to their means, over the layers of the network: a layer
            that is drawn again alone counts as its share of a pass.
        evaluations: points at which the objective, or a part of it, is evaluated; counterfactuals that have no closed
            form depend on the objective, and are counted by `Estimator.reevaluations`.
    """

    forward_passes: float
    evaluations: int


def whole_passes(count: int) -> Cost:
    """Returns the cost of so many passes from the inputs on, each evaluated."""
    return Cost(float(count), count)


def passes_from_each_layer(network: Network, count: int) -> Cost:
    """Returns the cost of the trace and, for every layer, of `count` passes from that layer on."""
    drawn = count * sum(1 + len(network.after(name)) for name in network.order)
    return Cost(1 + drawn / len(network.order), 1 + count * len(network.order))


def passes_from_parents(network: Network) -> Cost:
    """Returns the cost of the trace and, for every layer that has children, of one pass from that layer on."""
    above = [name for name in network.order if network.children(name)]
    drawn = sum(1 + len(network.after(name)) for name in above)
    return Cost(1 + drawn / len(network.order), 1 + len(above))
