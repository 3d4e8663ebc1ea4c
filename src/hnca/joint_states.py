"""Every joint state of a small network."""

import numpy as np
from jaxtyping import Array

from hnca.network import Network

MAXIMUM_STATES = 2**16


def joint_states(network: Network) -> dict[str, Array]:
    """Returns the values of every layer in every joint state, `[states, units]` each.

    Raises:
        ValueError: if there are more than `MAXIMUM_STATES`.
    """
    sizes = {name: (network.layers[name].units, network.layers[name].alternatives) for name in network.order}
    count = 1
    for units, alternatives in sizes.values():
        count *= alternatives**units
    if count > MAXIMUM_STATES:
        raise ValueError(
            f"exact: the network has {count} joint states; expected at most {MAXIMUM_STATES}. Use fewer units."
        )
    radices = [alternatives for units, alternatives in sizes.values() for _ in range(units)]
    digits = np.stack(np.unravel_index(np.arange(count), radices), axis=-1)
    values, start = {}, 0
    for name, (units, _) in sizes.items():
        chosen = network.layers[name].alternative_values(network.dtype)
        values[name] = chosen[digits[:, start : start + units]]
        start += units
    return values
