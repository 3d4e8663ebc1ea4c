"""What is checked of a network, a layer's name and a pass where a class or a function is given them."""

from hnca.network import Network, Trace
from hnca.units import Layer


def require_network(owner: str, network: object, argument: str = "network") -> None:
    """Raises a ValueError for what is no network."""
    if not isinstance(network, Network):
        raise ValueError(f"{owner}: {argument} is a {type(network).__name__}; expected an hnca.Network.")


def require_pass(owner: str, network: object, trace: object) -> None:
    """Raises a ValueError for what is no network, or no pass of one."""
    require_network(owner, network)
    if not isinstance(trace, Trace):
        raise ValueError(
            f"{owner}: trace is a {type(trace).__name__}; expected what Network.sample or Network.evaluate returns."
        )


def layer_of(owner: str, network: Network, layer: object, argument: str = "layer") -> Layer:
    """Returns a network's layer of a name; what is no network, or no name of a layer of it, is a ValueError."""
    require_network(owner, network)
    if not isinstance(layer, str) or layer not in network.layers:
        raise ValueError(f"{owner}: {argument}={layer!r}; expected one of {sorted(network.layers)!r}.")
    return network.layers[layer]
