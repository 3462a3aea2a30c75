"""The page "Any recording" shows what is stored, and stars what the present code has not made."""

from pathlib import Path

import pytest

from benchmarks import any_recording_tables as page_tables
from benchmarks import stored

PAGE = Path(__file__).parents[2] / "book" / "reference" / "any_recording.md"


@pytest.mark.parametrize("k", [0, 1], ids=["gain", "assemblies"])
def test_the_page_has_the_tables_as_they_are_stored(k):
    table = page_tables.tables().split("\n\n")[k].strip()
    assert table in PAGE.read_text(encoding="utf-8"), (
        f"{PAGE.name} is behind: put in what python -m benchmarks.any_recording_tables prints"
    )


def runs(*gains, **more):
    usual = {"verdict": "converged", "units_alive": 3} | more
    return {f"automatic, seed {k}": usual | {"gain_nats": x} for k, x in enumerate(gains)}


def test_rows_of_gain(monkeypatch):
    monkeypatch.setattr(page_tables, "SHOWN", ("tectum", "dev small"))
    monkeypatch.setattr(stored, "is_current", lambda path, part: part.startswith("tectum"))
    tectum = runs(2.0, 1.0, 4.0) | {
        "hand a, seed 0": {"gain_nats": 3.0},
        "hand b, seed 0": {"gain_nats": 5.0},
        "hand b, seed 1": {"gain_nats": 9.0},  # only the first seed has all settings
        "published, seed 0": {"gain_nats": 0.5},
    }
    small = runs(1.0, verdict="not converged", units_alive=7)
    found = list(page_tables.rows_of_gain({"tectum": tectum, "dev small": small}))
    assert found[0] == (
        "tectum, 114 cells", "3", "2.00 (1.00 to 4.00)", "5.00", "0.50", "3 to 3", "3 of 3"
    )  # fmt: skip
    assert found[1][0] == r"dev small \*"
    assert found[1][2:] == ("1.00 (1.00 to 1.00)", "", "", "7 to 7", "0 of 1")


def test_rows_of_assemblies_show_the_worst_seed_and_the_best_rival(monkeypatch):
    monkeypatch.setattr(page_tables, "SHOWN", ("tectum", "dev small"))
    monkeypatch.setattr(stored, "is_current", lambda path, part: True)
    small = {
        "automatic, seed 0": {"n_found": 5, "n_planted": 5, "mean_r": 0.9},
        "automatic, seed 1": {"n_found": 4, "n_planted": 5, "mean_r": 0.99},
        "NMF, seed 0": {"n_found": 3, "mean_r": 0.99},
        "ICA, seed 0": {"n_found": 4, "mean_r": 0.5},
    }
    found = list(page_tables.rows_of_assemblies({"tectum": runs(1.0), "dev small": small}))
    assert found == [("dev small", "4 of 5", "0.99", "4", "0.50")]
