"""Trained networks are exported and loaded as they were trained."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file
from small import images

import hnca
from hnca.experiments.commands.main import main

TINY = ["--width", "6", "--batch-size", "10", "--epochs", "1", "--seeds", "2", "--learning-rate", "0.01"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, quick_compilation_of_module):
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hnca.experiments.runs.trainer.on_device", images)
        main(["bandit", *TINY, "--layers", "1", "--estimators", "hnca", "--out", str(out / "bandit")])
        vae = ["vae", *TINY, "--layers", "2", "--estimators", "reinforce", "--bound-samples", "1"]
        main([*vae, "--out", str(out / "vae")])
    return out


def arrays(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]


def test_an_agent_acts_as_it_learned_to(runs):
    model = hnca.load(runs / "bandit" / "1-hnca", seed=1)
    assert (model.epoch, model.seed, model.decoder, model.objective) == (1, 1, None, None)
    trace = model.network.sample(jax.random.key(0), {"image": jnp.ones((5, 784))})
    assert trace["action"].shape == (5, 1)
    assert np.any(np.asarray(model.network.layers["hidden1"].conditional.bias) != 0)  # where it began


def test_an_auto_encoder_encodes_and_samples(runs):
    model = hnca.load(str(runs / "vae" / "2-reinforce"))
    codes = model.network.sample(jax.random.key(0), {"image": jnp.ones((5, 784))})["latent1"]
    assert codes.shape == (5, 6)
    assert model.decoder.sample(jax.random.key(1), {}, (16,))["image"].shape == (16, 784)
    bound = model.objective.value(model.network, model.network.sample(jax.random.key(0), {"image": jnp.ones((5, 784))}))
    assert np.all(np.isfinite(bound))


@pytest.mark.parametrize(("run", "seed"), [("bandit/1-hnca", 0), ("vae/2-reinforce", 1)])
def test_what_is_exported_is_what_the_run_holds(runs, run, seed, tmp_path, capsys):
    path = tmp_path / "deep" / "model.safetensors"
    main(["export", str(runs / run), "--seed", str(seed), "--out", str(path)])
    assert f"seed {seed} after epoch 1" in capsys.readouterr().out
    exported, held = hnca.load(path), hnca.load(runs / run, seed)
    assert jax.tree.structure(exported) == jax.tree.structure(held)
    for one, other in zip(arrays(exported), arrays(held), strict=True):
        np.testing.assert_array_equal(one, other)
    other_seed = hnca.load(runs / run, 1 - seed)
    assert any(np.any(np.asarray(a) != np.asarray(b)) for a, b in zip(arrays(other_seed), arrays(held), strict=True))
    assert sum(array.size for array in load_file(path).values()) == sum(a.size for a in arrays(held))


def test_by_default_the_file_lies_with_the_run(runs):
    main(["export", str(runs / "bandit" / "1-hnca")])
    assert (runs / "bandit" / "1-hnca" / "model-0.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: is no run"),
        (["{runs}/bandit"], "bandit: is no run"),
        (["{runs}/bandit/1-hnca", "--seed", "2"], "seed 2; expected 0 to 1"),
        (["{runs}/bandit/1-hnca", "--seed", "-1"], "--seed -1: expected 0, 1"),
        (["{runs}/bandit/1-hnca", "--out", "/dev/null/model"], "/dev/null"),
        (["{runs}/bandit/1-hnca", "--out", "{runs}"], "is a directory; expected a file"),
    ],
)
def test_mistakes_are_told_in_one_line(runs, arguments, message, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["export", *(argument.format(runs=runs) for argument in arguments)])
    assert exit.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nope: no such file or directory; expected a run's directory such as"):
        hnca.load(tmp_path / "nope")
    with pytest.raises(ValueError, match=r"is no run, as it has no config\.json; expected a directory such as"):
        hnca.load(tmp_path)


def test_damage_is_told(runs, tmp_path):
    path = tmp_path / "model.safetensors"
    main(["export", str(runs / "bandit" / "1-hnca"), "--out", str(path)])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is damaged, or no file of `hnca export`"):
        hnca.load(path)
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    described = json.loads(header["__metadata__"]["hnca"])
    former = {("method" if name == "estimator" else name): value for name, value in described.items()}
    header["__metadata__"]["hnca"] = json.dumps({**former, "format": "hnca-model-2"})  # as before
    changed = json.dumps(header).encode()
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + whole[8 + length :])
    assert hnca.load(path).epoch == 1
    no_epoch = {name: value for name, value in described.items() if name != "epoch"}
    for description, problem in [
        ({**described, "layers": 3}, r"another version of hnca .the parameter .*hidden2"),
        ({**described, "data": None}, "another version of hnca"),
        (no_epoch, "epoch: not as .hnca export. writes it"),
        ([], r"format \[\]; expected hnca-model"),
    ]:
        header["__metadata__"]["hnca"] = json.dumps(description)
        changed = json.dumps(header).encode()
        path.write_bytes(len(changed).to_bytes(8, "little") + changed + whole[8 + length :])
        with pytest.raises(ValueError, match=problem):
            hnca.load(path)
