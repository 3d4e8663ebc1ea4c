"""What published experiments on auto-encoders do otherwise than this one by default, so that numbers can be compared.

Sources: Young 2022, Appendices G to K; Dong, Mnih and Tucker, *DisARM*, 2020; Shi, Zhou, Hwang, Titsias and Mackey,
*Gradient estimation with discrete Stein operators* (RODEO), 2022.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

from hnca.experiments.settings._checks import SettingsError
from hnca.experiments.settings.optimiser import OptimiserSettings
from hnca.experiments.settings.recipe import RecipeSettings

Protocol = Literal["young", "disarm", "rodeo"]

_DETERMINED = (
    *("width", "batch_size", "training_images"),
    *(field.name for kind in (OptimiserSettings, RecipeSettings) for field in fields(kind)),
)
"""Every setting that a protocol says, be it that it is as it is by default."""
_DISARM = {
    "training_images": 50_000,
    "centred": True,
    "latent_values": "signs",
    "output_bias": "data",
    "prior_rate": 0.01,
}
_RODEO = {"batch_size": 100, "prior": "fixed"}


def said_by(protocol: Protocol, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that a protocol determines, by name.

    Args:
        protocol: which one.
        settings: what is set, by name.
        defaults: what each is if nothing is said of it.

    Raises:
        SettingsError: if one of them is set to something else.
    """
    said = {name: defaults[name] for name in _DETERMINED} | _OTHERWISE[protocol]
    if protocol == "rodeo":
        said["learning_rate"] = _rodeo_rate(settings)
    for name, value in said.items():
        if settings[name] not in (value, defaults[name]):
            flag = name.replace("_", "-")
            raise SettingsError(f"--{flag} {settings[name]}: --protocol {protocol} has {value}; expected no other")
    return said


_OTHERWISE: dict[Protocol, dict[str, Any]] = {"young": {}, "disarm": _DISARM, "rodeo": _RODEO}


def _rodeo_rate(settings: Mapping[str, Any]) -> float:
    if (settings["encoder"], settings["decoder"]) == ("linear", "linear"):
        return 1e-4
    return 3e-4 if settings["dataset"] == "fashion-mnist" else 1e-3
