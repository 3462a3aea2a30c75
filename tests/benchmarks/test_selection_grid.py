"""The stored grid over (M, lambda) is whole, and is what the benchmark writes."""

import csv
from itertools import product

import pytest

from benchmarks.selection_grid import COLUMNS, FILE, L1, N_HIDDEN, SEEDS
from crbm_lite.validation.comparison import STATISTICS


@pytest.fixture(scope="module")
def rows():
    with FILE.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_cell_is_there_in_order(rows):
    assert tuple(rows[0]) == COLUMNS
    found = [(int(r["n_hidden"]), float(r["l1"]), int(r["seed"])) for r in rows]
    assert found == list(product(N_HIDDEN, L1, SEEDS))


def test_the_score_is_the_worst_of_the_five_that_have_a_scale(rows):
    for row in rows:
        nrmse = [float(row[f"nrmse_{name}"]) for name in STATISTICS]
        found = 1 - float(row["score"])
        assert any(found == pytest.approx(x, abs=1e-4) for x in nrmse)
        assert found <= max(nrmse) + 1e-4
        assert found >= nrmse[STATISTICS.index("vh")] - 1e-4  # which has a scale in every model


def test_sizes_and_numbers_are_possible(rows):
    for row in rows:
        # two signs of a unit are two assemblies
        assert 0 < int(float(row["n_assemblies"])) <= 2 * int(row["n_hidden"])
        assert -0.7 < float(row["left_out_log_likelihood"]) < 0
        assert 0 < float(row["size"]) <= 2000
        assert float(row["size_above_0.01"]) >= 1
        assert float(row["time_scale_s"]) > 0
