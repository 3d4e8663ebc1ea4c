"""What published experiments on auto-encoders do otherwise than this one by default, so that numbers can be compared.

Sources: Young 2022, Appendices G to K; Dong, Mnih and Tucker, *DisARM*, 2020; Shi, Zhou, Hwang, Titsias and Mackey,
*Gradient estimation with discrete Stein operators* (RODEO), 2022.
"""

from collections.abc import Mapping, Sequence
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


def determined_by(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of the settings that a protocol determines."""
    return {name: settings[name] for name in _DETERMINED}


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


def refuse_overridden(arguments: Sequence[str], said: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuses an option that is given, and has the value that it has by default where a protocol has another.

    Args:
        arguments: of the command line, since settings do not tell what was given of what was not.
        said: the settings that the protocol determines, by name.
        defaults: what each is if nothing is said of it.

    Raises:
        SettingsError: if there is one.
    """
    given = [argument.replace("_", "-").partition("=") for argument in arguments]
    for name in (name for name, value in said.items() if value != defaults[name]):
        flag = "--" + name.replace("_", "-")
        for place, (option, equals, value) in enumerate(given):
            if option == "--no-" + flag.removeprefix("--") and said[name] is True:
                raise SettingsError(f"{option}: the protocol has {flag}; expected no other")
            text = value if equals else "".join(given[place + 1]) if place + 1 < len(given) else ""
            simple = isinstance(said[name], int | float | str) and said[name] is not True
            if option == flag and simple and _as_number(text) != _as_number(str(said[name])):
                raise SettingsError(f"{flag} {text}: the protocol has {said[name]}; expected no other")


def _as_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
