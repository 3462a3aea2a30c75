"""The retrace: small results, nothing measured twice, the paper's numbers, files of real layout."""

import warnings
from functools import cached_property

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import spearmanr

import crbm_lite as cl
from benchmarks import design_guide
from benchmarks.paper import figures, guide
from benchmarks.paper.numbers import Row, number_at, read_rows, rows_of, table
from benchmarks.paper.results import largest_scale, of_fish
from benchmarks.retrace import animals, run
from benchmarks.retrace.compact import compact, histogram, picture, values_of_picture
from benchmarks.retrace.subject import Subject
from crbm_lite.connectivity import region_pairs
from crbm_lite.datasets import DatasetUnavailable
from crbm_lite.datasets.atlas import Atlas

FIGURES = [getattr(figures, name) for name in figures.__all__]


def test_a_picture_keeps_a_tenth_of_the_range():
    x = np.random.default_rng(0).uniform(-2, 3, size=(7, 5))
    read = values_of_picture(picture(x, -2.0, 3.0))
    assert np.array_equal(read, np.floor(2 * (x + 2)))


def test_a_histogram_counts_what_lies_beyond_in_the_outer_bins():
    x = np.r_[np.random.default_rng(0).normal(size=100), np.nan, 99.0, -99.0]
    counts = histogram(x, -1, 1, 4)["counts"]
    expected = [np.sum(x < -0.5), np.sum((x >= -0.5) & (x < 0)), np.sum((x >= 0) & (x < 0.5))]
    assert counts == [*expected, np.sum(x >= 0.5)]


def test_results_hold_no_nan_and_no_array():
    found = compact({"a": np.array([1.0, np.nan]), "b": (np.int64(3), [np.float32(1 / 3)])})
    assert found == {"a": [1.0, None], "b": [3, [0.3333]]}


def small_atlas(n_regions=8):
    """Every region has neurons; structure links some pairs."""
    rng = np.random.default_rng(1)
    names = tuple(f"{k}_{side}" for k in range(n_regions // 2) for side in ("left", "right"))
    structure = np.exp(rng.normal(size=(n_regions, n_regions)))
    structure = np.triu(structure * (rng.random(structure.shape) < 0.7), 1)
    labels = (np.repeat(np.arange(n_regions), 10),) * 8
    return Atlas(names, names, labels, structure + structure.T)


def part_of(matrix, regions):
    some = matrix[np.ix_(regions, regions)]
    return {
        "regions": regions.tolist(),
        "n_of_region": np.full(len(regions), 10),
        "matrices": {"crbm": some[region_pairs(len(regions))].tolist()},
    }


def test_a_stored_matrix_comes_back_with_gaps_where_a_fish_lacks_regions():
    rng = np.random.default_rng(0)
    matrix = rng.random((6, 6))
    matrix += matrix.T
    there = np.array([0, 2, 3, 5])
    back = animals.matrix_of(part_of(matrix, there), "crbm", 6)
    assert np.array_equal(back[np.ix_(there, there)], matrix[np.ix_(there, there)])
    assert np.isnan(back[[1, 4]]).all() and np.isnan(back[:, [1, 4]]).all()


def test_fish_with_the_same_couplings_are_conserved_and_follow_structure_as_planted():
    atlas, rng = small_atlas(), np.random.default_rng(0)
    noise = np.exp(rng.normal(0, 0.5, size=atlas.structure.shape))
    matrix = (atlas.structure + 0.1) * (noise + noise.T)
    everywhere, few = np.arange(8), np.array([0, 1, 2, 4, 5, 7])
    parts = [part_of(matrix, everywhere), part_of(5 * matrix, everywhere), part_of(matrix, few)]
    found = animals.measure(parts, [100, 100, 100], atlas)["of"]["crbm"]
    assert found["conserved"] == pytest.approx(1.0)
    pairs = region_pairs(8, within=False)
    two = animals.measure(parts[:2], [100, 100], atlas)["of"]["crbm"]
    linked = atlas.structure[pairs] > 0
    expected = spearmanr(matrix[pairs][linked], atlas.structure[pairs][linked]).statistic
    assert two["structure_r_s_between"] == pytest.approx(expected)
    assert two["n_connected"] == linked.sum()


def test_every_number_of_the_paper_lies_in_its_own_interval():
    judged = 0
    for row in read_rows():
        try:
            number = float(row["paper"])
        except ValueError:
            continue
        if "accept" in row:
            judged += 1
            low, high = row["accept"]
            assert low <= number <= high, row
    assert judged > 15


def test_every_row_says_what_both_outcomes_mean_and_reads_a_step():
    steps = {*run.STEPS, "animals"}
    for row in read_rows():
        assert {place.split(".")[0] for place in row["ours"].split(" - ")} <= steps, row
        assert ("accept" in row) == ("differs" in row), row
        for key in ("agrees", "differs", "made"):
            assert row.get(key, ".").endswith("."), row


def test_a_row_says_when_agreement_was_planted():
    row = Row("4D", "x", "0.5", (0.4, 0.6), 0.5, "Good.", "Bad.", "It was planted.")
    assert row.holds and row.sentence == "Good. It was planted."
    row = Row("4D", "x", "0.5", (0.4, 0.6), 0.7, "Good.", "Bad.", "It was planted.")
    assert row.holds is False and row.sentence == "Bad."
    row = Row("4D", "x", "0.5", None, None, "Good.", "", "")
    assert row.holds is None and "not measured" in row.sentence


def test_the_table_has_the_rows_of_its_figures_only():
    found = {"generation": {"v": {"pearson_r": 0.9, "nrmse": 0.5}}}
    text = table(rows_of(found), "2C")
    assert text.count("\n") == 3 and "| 0.9 | ✓ |" in text and "| 0.5 | ✗ |" in text
    assert number_at(found, "generation.v.pearson_r - generation.v.nrmse") == pytest.approx(0.4)


def test_the_largest_scale_is_shown_with_the_animals_of_that_scale():
    results = {
        "fish 3, scale 0.02": {"data": 1}, "fish 3, scale 0.5": {"data": 2},
        "fish, scale 0.02": {"animals": 3}, "fish, scale 0.5": {"animals": 4},
    }  # fmt: skip
    assert largest_scale(results) == 0.5
    assert of_fish(results, "fish 3, scale 0.5") == {"data": 2, "animals": 4}


def test_a_step_is_measured_once_and_again_only_with_another_effort(tmp_path, monkeypatch):
    made = []

    def connectivity(subject, n_repeats):
        made.append(n_repeats)
        return {"n_repeats": n_repeats}

    def data(subject):
        made.append("data")
        return {"n": 1}

    def fails(subject):
        raise KeyboardInterrupt

    measures = {"data": data, "connectivity": connectivity, "ablations": fails}
    monkeypatch.setattr(run, "MEASURES", measures)
    path, subject = tmp_path / "retrace.json", Subject("file.h5")
    for n_repeats in (2, 2, 3):
        with pytest.raises(KeyboardInterrupt):
            run.retrace(subject, path, tuple(measures), run.Effort(n_repeats))
    assert made == ["data", 2, 3]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_says_what_was_not_measured(figure):
    drawn = figure({})
    assert all("not measured" in ax.texts[0].get_text() for ax in drawn.axes if ax.texts)
    assert any(ax.texts for ax in drawn.axes)
    plt.close(drawn)


@pytest.mark.parametrize("figure", FIGURES)
def test_the_stored_results_are_drawn_with_the_papers_letters(figure):
    from benchmarks.paper.results import results_of

    _, found = results_of()
    drawn = figure(found)
    titles = [ax.get_title(loc="left") for ax in drawn.axes]
    assert sum(title.strip() != "" for title in titles) >= 3
    plt.close(drawn)


@pytest.fixture
def quick(monkeypatch):
    """A model that is trained in a second."""
    settings = {"n_hidden": 8, "l1": 0.01, "n_updates": 60, "n_gibbs": 3, "progress": False}
    estimator = cached_property(lambda self: cl.CRBM(**settings, random_state=self.seed))
    estimator.__set_name__(Subject, "estimator")
    monkeypatch.setattr(Subject, "estimator", estimator)
    warnings.simplefilter("ignore")


def test_a_file_in_the_published_layout_goes_through_the_steps(tmp_path, monkeypatch, quick):
    monkeypatch.setenv("CRBM_LITE_CACHE", str(tmp_path / "cache"))
    try:
        fish = cl.simulate_fish(8, scale=0.01, random_state=0).select_frames(slice(0, 1200))
    except DatasetUnavailable as reason:
        pytest.skip(str(reason))
    file = cl.save_recording(tmp_path / "fish8.h5", fish, layout="published")
    subject, path = Subject(str(file)), tmp_path / "retrace.json"
    steps = ("data", "pca", "assemblies", "dynamics", "connectivity")
    run.retrace(subject, path, steps, run.Effort(n_repeats=1))
    found = of_fish(run.stored.read(path), "fish8")
    labelled = fish.labels.any(axis=1) & (fish.activity > 0)
    assert found["data"]["n_neurons"] == labelled.sum()
    assert found["data"]["n_unlabelled"] == 0  # such a file is loaded without them
    assert "planted" not in found["connectivity"]["matrices"]
    assert set(found) == set(steps) and all(x["cpu_s"] >= 0 for x in found.values())
    assert subject.atlas is not None
    rows = rows_of(found)
    assert {row.ours is not None for row in rows if row.figure == "4F"} == {True}


def test_the_guide_changes_one_thing_at_a_time_around_a_shared_base():
    points = design_guide.points(tuple(design_guide.VARIED))
    assert points.pop("base") == {}
    assert all(len(changed) == 1 for changed in points.values())
    shared = sum(design_guide.BASE.get(k) in v for k, v in design_guide.VARIED.items())
    n_values = sum(map(len, design_guide.VARIED.values()))
    assert len(points) == n_values - shared == n_values - 3


def test_a_fish_of_the_guide_has_the_time_and_activity_that_were_asked_for():
    try:
        fish = design_guide.recording(neurons=300, minutes=4.0, activity=0.06, seed=0)
    except DatasetUnavailable as reason:
        pytest.skip(str(reason))
    assert fish.duration_s == pytest.approx(240, abs=1)
    assert fish.activity.mean() == pytest.approx(0.06, rel=0.2)
    on = fish.truth.states.mean(axis=1)
    assert fish.truth.states.shape == (fish.n_frames, design_guide.N_ASSEMBLIES)
    assert 0.1 < np.median(on) < 0.45


def test_the_guide_tells_from_where_nine_tenths_of_the_best_are_reached():
    def runs(found):
        return {
            "seed 0": {"n_found": found, "n_planted": 100, "planted_r_crbm": 0.5,
                       "structure_r_s_crbm": None, "structure_r_s_correlation": 0.1,
                       "structure_r_s_planted": 0.4}
        }  # fmt: skip

    minutes = dict(zip(design_guide.VARIED["minutes"], (10, 46, 50), strict=True))
    results = {f"minutes {x:g}": runs(n) for x, n in minutes.items()}
    results |= {"base": results.pop("minutes 25")}
    curve = guide.curves(results)["minutes"]["assemblies found, share"]
    assert curve == {"x": [5.0, 25.0, 100.0], "y": [0.1, 0.46, 0.5]}
    assert "| minutes | 25 (0.46; best 0.50) | 5 (0.50; best 0.50) | – |" in guide.table(results)
