"""A trained network and, of an auto-encoder, its decoder."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from hnca.experiments.data import Facts
from hnca.experiments.registry import experiment_class
from hnca.network import Network
from hnca.objectives import Objective


class TrainedModel(eqx.Module):
    """What one seed of a run has trained.

    Example:
        ```python
        model = hnca.load("runs/vae/2-hnca")
        codes = model.network.sample(key, {"image": binary_images})["latent1"]
        pictures = model.decoder.sample(key, {}, (16,))["image"]
        ```

    Attributes:
        network: the agent, or the encoder of an auto-encoder.
        objective: the bound that an auto-encoder was trained on, with the decoder's parameters in it; None for an
            agent, whose rewards are observed.
        epoch: after which the parameters were written.
        seed: whose parameters they are.
    """

    network: Network
    objective: Objective | None
    epoch: int = eqx.field(static=True)
    seed: int = eqx.field(static=True)

    @property
    def decoder(self) -> Network | None:
        """The decoder of an auto-encoder, from its prior to the image; None for an agent."""
        return getattr(self.objective, "decoder", None)


def untrained(configuration: Mapping[str, Any]) -> PyTree:
    """Returns what a run trains, with shapes in place of the arrays.

    Args:
        configuration: of the run: `experiment`, `layers`, `data`, `settings`.

    Raises:
        KeyError: if it tells of an experiment that is not known.
        AttributeError, TypeError, ValueError: if it lacks something.
    """
    data = configuration["data"]
    known = {"name": "", "content": "", "train_images": 0, **data, "image_shape": tuple(data["image_shape"])}
    kind = experiment_class(configuration["experiment"])
    experiment = kind.of(SimpleNamespace(**configuration["settings"]), Facts(**known))
    return eqx.filter_eval_shape(lambda key: experiment.build(configuration["layers"], key), jax.random.key(0))


def with_parameters(modules: PyTree, arrays: Mapping[str, np.ndarray]) -> PyTree:
    """Returns the modules with these arrays in place of their parameters.

    Args:
        modules: as `untrained` returns them.
        arrays: by the path of the parameter, as `jax.tree_util.keystr` writes it.

    Raises:
        ValueError: if a parameter is missing, has another shape, or is not of real numbers.
    """

    def filled(path: tuple[Any, ...], leaf: PyTree) -> PyTree:
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        name = jax.tree_util.keystr(path)
        found = arrays.get(name)
        if found is None or found.shape != leaf.shape:
            shown = "none" if found is None else f"one of shape {found.shape}"
            raise ValueError(f"the parameter {name} of shape {leaf.shape} is missing; found {shown}")
        if not jax.numpy.issubdtype(found.dtype, jax.numpy.floating):
            raise ValueError(f"the parameter {name} is of {found.dtype}; expected {leaf.dtype}")
        return jax.numpy.asarray(found, leaf.dtype)

    return jax.tree_util.tree_map_with_path(filled, modules)
