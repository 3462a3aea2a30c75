"""What the commands say of a model, and in which words."""

import numpy as np
from click.testing import CliRunner

from crbm_lite.cli.commands import command_line
from crbm_lite.cli.words import as_typed, similar_lines, verdict_line
from crbm_lite.model.model import CRBM
from crbm_lite.training.certificate import ADVICE
from crbm_lite.training.search.report import SearchReport


def run(*words):
    return CliRunner().invoke(command_line, [str(word) for word in words])


def test_no_advice_names_an_argument_of_python():
    for verdict, text in ADVICE.items():
        typed = as_typed(text)
        for python in ("n_", "(l1)", "()", "learning_rate", "=True"):
            assert python not in typed, verdict
    options = {option for p in command_line.commands["train"].params for option in p.opts}
    for text in ADVICE.values():
        named = {word.strip("(),:;") for word in as_typed(text).split() if "--" in word}
        assert named <= options


def test_findings_are_told_in_options():
    text = "most of the 50 units will end without weights: leave n_hidden out"
    assert as_typed(text).endswith("leave --n-hidden out")
    text = "fine if you sorted the neurons (activity outlasts a frame); else transpose the array"
    assert as_typed(text).endswith("else give crbm-lite import ... --time-axis 1")


def test_a_search_ends_with_what_it_chose(folder):
    words = ("--n-hidden", 4, "--l1", 0.005, "--n-updates", 50, "--quiet")
    set_by_hand = run("train", "larva.h5", "m.h5", *words)
    model = CRBM.load("m.h5")
    used = np.flatnonzero((model.weights_ != 0).any(axis=0))
    assert f"\n  set: lambda 0.005, {len(used)} hidden units in use\n" in set_by_hand.output
    model.weights_[:, used[2:]] = 0
    one = np.ones(1)
    reasons = ("components above the noise: 6 (check() counts those of all frames)",)
    model.report_ = SearchReport(
        ("pca",), one, one > 0, one, one, one, one, "pca", 0.018, True, 4, reasons
    )
    for refit, is_refitted in ((0.5, ", refitted without penalty"), (0.0, "")):
        model.refit_ = refit
        model.save("m.h5")
        line = f"lambda 0.018, 2 hidden units in use{is_refitted}\n"
        trained = run("train", "larva.h5", "m.h5", *words, "--resume")
        assert f"\n  chosen: {line}" in trained.output
        assert "(crbm-lite inspect counts those of all frames)" in trained.output
        validated = run("validate", "m.h5", "larva.h5", "--n-saved", 3, "--burn-in", 2)
        assert validated.output.endswith(f"\nthe model: {line}")


def test_a_lambda_that_was_set_by_hand_is_named(folder):
    result = run("train", "larva.h5", "m.h5", "--l1", 0.5, "--quiet")
    assert result.exit_code == 4 and "'no structure'" in result.output, result.output
    assert "take a smaller lambda than --l1 0.5, or leave it out; if that" in result.output
    assert "crbm-lite inspect says what may hide structure" in result.output
    model = CRBM.load("m.h5")
    model.l1 = "auto"
    assert verdict_line(model).endswith("What to do: look at the recording: crbm-lite inspect says "
                                        "what may hide structure")  # fmt: skip


def members(*assemblies, n=40):
    return np.stack([np.isin(np.arange(n), x) * 1.0 for x in assemblies], axis=1)


def test_assemblies_that_share_most_of_their_members_are_named():
    weights = members(range(28), range(2, 30), range(30, 40))
    line = "HU 0 and HU 1 share 26 of 30 members: perhaps one assembly, see stability_selection"
    assert similar_lines(weights) == [line]


def test_small_weights_do_not_count_above_a_threshold():
    weights = members(range(28), range(2, 30))
    weights[10:, 1] *= 0.05
    assert similar_lines(weights, 0.1) == []


def test_there_are_five_lines_at_most():
    lines = similar_lines(members(*[range(k, 20 + k) for k in range(5)]))
    assert len(lines) == 6 and lines[-1] == "and 5 pairs more like these"


def test_export_and_train_name_them(folder, monkeypatch):
    weights = members(range(28), range(2, 30), n=60)
    CRBM.from_parameters(weights, np.zeros(60), [1, 1], [1, 1], [0, 0], [0, 0]).save("m.h5")
    line = "HU 0 and HU 1 share 26 of 30 members: perhaps one assembly"
    assert line in run("export", "m.h5", "larva.h5", "a.csv").output
    few = run("export", "m.h5", "larva.h5", "b.csv", "--threshold", 2)
    assert "share" not in few.output and "60 neurons, 0 assemblies" in few.output
    monkeypatch.setattr("crbm_lite.cli.train_command.similar_lines", lambda w: [f"{w.shape} told"])
    words = ("--n-hidden", 3, "--l1", 0.005, "--n-updates", 5, "--quiet")
    assert "  (60, 3) told\n" in run("train", "larva.h5", "t.h5", *words).output


def test_one_assembly_is_told_in_the_singular(folder):
    CRBM.from_parameters(np.ones((60, 1)), np.zeros(60), [1], [1], [0], [0]).save("m.h5")
    assert run("export", "m.h5", "larva.h5", "a.csv").output == "a.csv: 60 neurons, 1 assembly\n"
