"""Options that would have no effect, or count something twice: refused, and not passed over in silence."""

import pytest

from hnca.experiments.commands.main import main

BENCH = ["bench", "--experiments"]
COMPARE = ["compare", "--estimators"]
REFUSED = {
    "--epsilon: expected none with --optimiser sgd": ["vae", "--optimiser", "sgd", "--epsilon", "3"],
    "--decays: expected none with --optimiser sgd": ["bandit", "--optimiser", "sgd", "--decays", "0.1", "0.2"],
    "--baseline: nvil hnca+learned take none": ["bandit", "--baseline", "--estimators", "nvil", "hnca+learned"],
    "--layers: expected none with --run": ["compare", "--run", "r", "--layers", "1", "2", "3"],
    "--width: expected none with --run": ["compare", "--run", "r", "--width=200"],
    "--epochs: expected none with --run": ["compare", "--run", "r", "--epochs", "0"],
    "--estimators hnca loo hnca: expected hnca once": [*COMPARE, "hnca", "loo", "hnca"],
    "--layers 1 1: expected 1 once": [*COMPARE, "hnca", "--layers", "1", "1"],
    "--estimators hnca hnca: expected hnca once": ["bench", "--estimators", "hnca", "hnca"],
    "--width 5 5: expected 5 once": ["bench", "--width", "5", "5"],
    "--estimators unordered-set: --width 30; expected at most": [*COMPARE, "unordered-set", "--width", "30"],
    "--estimators unordered-set: --width 40; expected at": ["bench", "--estimators", "unordered-set", "--width", "40"],
    "--width 1048577: expected a whole number of at most 1048576": ["bandit", "--width", "1048577"],
    "--layers 1001: expected a whole number of at most 1000": ["vae", "--layers", "1", "1001"],
    "--experiments bandit: can be updated by none of": ["bench", "--experiments", "bandit", "--estimators", "loo"],
    "--encoder: expected none with --experiments bandit": [*BENCH, "bandit", "--encoder", "nonlinear"],
    "--layers: expected none with --messages": ["bench", "--messages", "--layers", "1"],
    "--plot a.png: is the file of --json": ["bench", "--plot", "a.png", "--json", "a.png"],
    "--mirror https://nowhere: expected none with data list": ["data", "list", "--mirror", "https://nowhere"],
    "--epochs ten: expected a whole number\n": ["figure", "1", "--epochs", "ten"],
    "--estimators nobody: expected some of hnca": [*COMPARE, "nobody", "--categories", "3"],
    "--categories x: expected a whole number\n": ["compare", "--categories", "x"],
    "--layers 1 2 4.5: expected whole numbers\n": ["bandit", "--layers", "1", "2", "4.5"],
    "--decoder-rate none: expected a number\n": ["vae", "--decoder-rate", "none"],
    "hnca: --encoder deep: expected one of linear, nonlinear\n": ["vae", "--encoder", "deep"],
    "hnca: --width: expected a value\n": ["vae", "--width"],
    "hnca: --decays: expected 2 values\n": ["vae", "--decays", "0.9"],
    "hnca: --epochs: no command, after which options stand; expected bandit,": ["--epochs", "1", "figure", "1"],
    "hnca: Unrecognized options: --epoch, --sedes; like --": ["vae", "--epoch", "1", "--sedes", "2"],
    "hnca: x: expected one of 1, 3, 4, 5, 6\n": ["figure", "x"],
    "hnca: figure: expected one of 1, 3, 4, 5, 6\n": ["figure"],
    "--layers (nothing): expected whole numbers, and the figure's number before": [
        "figure",
        "--seeds",
        "1",
        "--layers",
        "1",
    ],
    "hnca: figure: expected one of 1, 3, 4, 5, 6 before --layers 2 1\n": ["figure", "--dry-run", "--layers", "2", "1"],
    "hnca: report: expected DIR; --help tells what it is\n": ["report"],
    "hnca: data: expected one of list, get, check\n": ["data"],
}


@pytest.mark.parametrize("says", REFUSED)
def test_it_is_told_in_one_line(says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        main(REFUSED[says])
    told = capsys.readouterr()
    assert exit_.value.code == 2
    assert says in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert not list(tmp_path.iterdir())
