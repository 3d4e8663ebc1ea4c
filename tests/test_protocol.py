"""Published protocols: what each determines, that none is mixed with anything else, and what they are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logit
from test_own_data import own

import hnca
from hnca.experiments.auto_encoder.networks import Centred
from hnca.experiments.commands.main import main
from hnca.experiments.settings import SettingsError, VAESettings
from hnca.experiments.settings.data import DataSettings
from hnca.experiments.vae import VAE

pytestmark = pytest.mark.usefixtures("quick_compilation")

NONLINEAR = {"encoder": "nonlinear", "decoder": "nonlinear"}
FASHION = {"data": DataSettings("fashion-mnist")}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"protocol": "young"}, {"learning_rate": 1e-4, "batch_size": 50, "prior": "trained", "centred": False}),
        (
            {"protocol": "disarm"},
            {"learning_rate": 1e-4, "batch_size": 50, "prior_rate": 0.01, "centred": True, "output_bias": "data"}
            | {"latent_values": "signs"},
        ),
        ({"protocol": "rodeo"}, {"learning_rate": 1e-4, "batch_size": 100, "prior": "fixed", "centred": False}),
        ({"protocol": "rodeo", **NONLINEAR}, {"learning_rate": 1e-3, "batch_size": 100, "prior": "fixed"}),
        ({"protocol": "rodeo", **NONLINEAR, **FASHION}, {"learning_rate": 3e-4, "output_bias": "zero"}),
        ({"protocol": "rodeo", "batch_size": 100, "epochs": 3, "layers": (2,)}, {"epochs": 3, "layers": (2,)}),
    ],
)
def test_it_is_as_if_each_had_been_given(given, expected):
    settings = VAESettings(**given)
    assert {name: getattr(settings, name) for name in expected} == expected
    assert settings.data.training_images == (50_000 if given["protocol"] == "disarm" else None)
    assert "protocol" not in settings.determining()
    if given["protocol"] == "young":
        assert settings.determining() == VAESettings().determining()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rate": 3e-3}, "--learning-rate 0.003: --protocol disarm has 0.0001; expected no other"),
        ({"prior": "fixed"}, "--prior fixed: --protocol disarm has trained"),
        ({"rate_decay": 1000}, "--rate-decay 1000: --protocol disarm has 0"),
        ({"data": DataSettings(training_images=10)}, "--training-images 10: --protocol disarm has 50000"),
    ],
)
def test_it_is_mixed_with_nothing(given, message):
    with pytest.raises(SettingsError) as error:
        VAESettings(protocol="disarm", **given)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "given",
    [
        ["--protocol", "rodeo", "--batch-size", "50"],
        ["--batch-size=50", "--protocol", "rodeo"],
        ["--protocol", "rodeo", "--prior", "trained"],
        ["--protocol", "disarm", "--no-centred"],
        ["--protocol", "rodeo", "--encoder", "nonlinear", "--learning_rate", "0.0001"],
    ],
)
def test_an_option_that_is_given_is_not_overridden_though_it_be_the_usual_one(given, capsys):
    with pytest.raises(SystemExit) as end:
        main(["vae", *given])
    assert end.value.code == 2
    assert "the protocol has" in capsys.readouterr().err


def test_an_option_that_the_protocol_has_too_may_be_given():
    settings = VAESettings(protocol="rodeo")
    settings.refuse_overridden(
        ["--protocol", "rodeo", "--batch-size", "100", "--prior=fixed", "--learning-rate", "1e-4"]
    )


def test_what_is_centred_reads_differences_and_learns_no_means():
    dense = hnca.Dense("image", 3, 2, key=jax.random.key(0))
    means, image = jnp.asarray([0.2, 0.5, 0.0]), jnp.asarray([[1.0, 0.0, 1.0]])
    made = Centred(dense, means)
    np.testing.assert_allclose(made((image,), (1,)), dense((image - means[None],), (1,)), rtol=1e-6)
    gradient = jax.grad(lambda c: jnp.sum(c((image,), (1,))))(made)
    np.testing.assert_allclose(gradient.of_centred.weights[0], jnp.tile((image - means[None]).T, (1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(gradient.means, 0)


def test_its_parts_are_trained_continued_and_loaded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("hnca.experiments.runs.running.draw_figure", lambda *_: [])
    numbers = np.random.default_rng(1).integers(0, 256, (40, 6, 7), dtype=np.uint8)
    name = own(tmp_path / "own.npz", train_images=numbers)
    parts = ["--centred", "--latent-values", "signs", "--prior-rate", "0.5", "--output-bias", "data"]
    sizes = ["--layers", "1", "--width", "3", "--batch-size", "5", "--seeds", "1", "--bound-samples", "1"]
    some = ["--training-images", "30", "--estimators", "hnca", "--learning-rate", "1e-9"]
    command = ["vae", *sizes, *parts, *some, "--dataset", name, "--out", str(tmp_path / "runs")]
    for epochs in ("1", "2"):
        main([*command, "--epochs", epochs])
    assert "goes on after epoch 1" in capsys.readouterr().out
    model = hnca.load(tmp_path / "runs" / "1-hnca")
    layer = model.network.layers["latent1"]
    means = numbers[:30].reshape(30, -1).mean(axis=0) / 255
    assert layer.values == (-1, 1)
    np.testing.assert_allclose(layer.conditional.means, means, rtol=1e-5)
    np.testing.assert_allclose(model.decoder.layers["image"].conditional.bias, logit(means), atol=1e-4)
    assert np.max(np.abs(model.decoder.layers["latent1"].conditional.bias)) > 0.01  # at its own rate
    with pytest.raises(SystemExit):
        main([*command[:-2], "--training-images", "31", "--epochs", "2", *command[-2:]])
    assert "started with other settings" in capsys.readouterr().err


def test_more_images_than_there_are_is_a_mistake(tmp_path, capsys):
    name = own(tmp_path / "own.npz")
    with pytest.raises(SystemExit):
        main(["vae", "--dataset", name, "--training-images", "41", "--batch-size", "5"])
    assert "--training-images 41: expected at most 40, the number of images in own.npz" in capsys.readouterr().err


def test_signs_are_measured_as_bits_are():
    bits, signs = (VAE(3, 1, image_shape=(1, 2), recipe=VAESettings(latent_values=v)) for v in ("bits", "signs"))
    for experiment, values in ((bits, (0, 1)), (signs, (-1, 1))):
        encoder, bound = experiment.build(1, jax.random.key(0))
        assert encoder.layers["latent1"].values == bound.decoder.layers["latent1"].values == values
