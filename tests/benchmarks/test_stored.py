"""Every stored table says what made it, and an old one is known to be old."""

import json
import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import stored
from benchmarks.detectors import real
from benchmarks.detectors.methods import METHODS
from benchmarks.rivals import RIVALS
from crbm_lite import CRBM
from crbm_lite.files import source_code
from crbm_lite.training.search import candidates, choice, run, stage_end, validation_blocks

PATTERNS = ("benchmarks/*.csv", "benchmarks/results/*", "book/**/*.json", "book/**/*.csv")
PLACE = "benchmarks/results/update.json"
ONLY_SEARCHED = tuple(name.replace("/", ".") for name in stored._SEARCH)


def tables_at_hand():
    files = {path for pattern in PATTERNS for path in stored.ROOT.glob(pattern) if path.is_file()}
    names = {path.relative_to(stored.ROOT).as_posix() for path in files}
    return {name for name in names if not name.endswith(".made.json")}


def old_tables():
    return {name for name in stored.TABLES if stored.old_parts(stored.ROOT / name)}


def test_every_table_has_an_origin():
    assert tables_at_hand() == set(stored.TABLES)


@pytest.mark.parametrize("name", stored.TABLES)
def test_every_part_says_when_and_with_which_seeds_it_was_made(name):
    made = stored.made(stored.ROOT / name)
    assert made["command"] == stored.TABLES[name].command and made["parts"]
    for part in made["parts"].values():
        assert set(part) == {"digest", "day", "processor", "seeds"}
        assert len(part["day"]) == 10 and part["seeds"]
        assert (part["digest"] is None) == (part["processor"] is None)


def test_tables_that_are_older_than_the_code_are_known_with_a_reason():
    assert old_tables() == set(stored.known_old()), "run `make stored`, or edit known_old.yml"
    assert all(len(reason) > 20 for reason in stored.known_old().values())


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A copy of the code that makes one table, and the table, made now."""
    source_code.source_digest.cache_clear()
    monkeypatch.setattr(stored, "ROOT", tmp_path)
    origin = stored.Origin("update", (), ("crbm_lite/core",), "0")
    monkeypatch.setattr(stored, "TABLES", {PLACE: origin})
    for name in ("benchmarks/update.py", "crbm_lite/core/drelu.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(stored.Path(__file__).parents[2] / name, tmp_path / name)
    digest = stored.Origin.digest
    monkeypatch.setattr(stored.Origin, "digest", lambda self, part="": digest(self, part, tmp_path))
    stored.write(tmp_path / PLACE, {"ms": 1.0})
    return tmp_path


def test_a_table_made_now_is_current(repository):
    made = stored.made(repository / PLACE)
    assert made["command"] == "python -m benchmarks.update"
    assert made["parts"]["table"]["processor"] == stored.processor()
    assert stored.is_current(repository / PLACE) and old_tables() == set()


def test_a_damaged_digest_makes_a_table_old(repository):
    path = repository / f"{PLACE}.made.json"
    made = json.loads(path.read_text())
    digest = made["parts"]["table"]["digest"]
    made["parts"]["table"]["digest"] = ("0" if digest[0] != "0" else "1") + digest[1:]
    path.write_text(json.dumps(made))
    assert stored.old_parts(repository / PLACE) == ["table"] and old_tables() == {PLACE}


@pytest.mark.parametrize("name", ["benchmarks/update.py", "crbm_lite/core/drelu.py"])
def test_code_that_changes_makes_a_table_old_and_a_comment_does_not(repository, name):
    for more, old in (("\n# a comment\n", set()), ("\nx = 1\n", {PLACE})):
        with (repository / name).open("a") as stream:
            stream.write(more)
        source_code.source_digest.cache_clear()
        assert old_tables() == old


@pytest.mark.parametrize("name", stored.TABLES)
def test_a_table_of_validated_models_depends_on_the_code_that_validates(name):
    origin = stored.TABLES[name]
    code = stored.ROOT / "benchmarks" / origin.module
    files = code.glob("*.py") if code.is_dir() else [code.with_suffix(".py")]
    text = "".join(file.read_text() for file in files)
    if "cl.validate(" in text or "grid_search(" in text:
        assert "crbm_lite/validation/report.py" in origin.folders


def test_what_only_a_search_runs_makes_no_table_of_settings_by_hand_old(monkeypatch):
    """And such a table's training never gets there."""
    searches = {name for name, origin in stored.TABLES.items() if not origin.without}
    assert "benchmarks/results/any_recording.json" in searches
    assert "benchmarks/results/temporal_larva.json" not in searches

    def refuse(*args, **options):
        raise AssertionError("a training of settings by hand has searched")

    for module in (run, stage_end, validation_blocks, choice, candidates):
        for name, value in vars(module).items():
            if getattr(value, "__module__", "").startswith(ONLY_SEARCHED):
                monkeypatch.setattr(module, name, refuse)
    v = np.random.default_rng(0).random((60, 12)) < 0.2
    with pytest.raises(AssertionError, match="has searched"):
        CRBM(batch_size=20, random_state=0, progress=False).fit(v)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        CRBM(n_hidden=2, l1=0.01, n_updates=20, batch_size=20, random_state=0, progress=False).fit(
            v
        )


def test_making_all_again_skips_what_is_current_and_goes_on_after_a_failure(
    repository, monkeypatch, capsys
):
    run = []

    def fail(words, **options):
        run.append(words[-1])
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(stored.subprocess, "run", fail)
    origin = stored.TABLES[PLACE]
    for name in ("a", "b"):
        monkeypatch.setitem(stored.TABLES, f"benchmarks/results/{name}.json", origin)
    stored.write(repository / "benchmarks/results/a.json", {})
    (repository / "benchmarks/results/a.json.made.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"not made: benchmarks/results/a.json, .*b.json"):
        stored.main()
    assert run == ["benchmarks.update"] * 2  # not PLACE, which was made now
    assert f"{PLACE}: current" in capsys.readouterr().out


def test_parts_are_current_one_by_one(repository):
    path = repository / PLACE
    path.unlink()
    (repository / f"{PLACE}.made.json").unlink()
    stored.keep(path, "larva", {"glm": {}})
    with (repository / "benchmarks/update.py").open("a") as stream:
        stream.write("\nx = 1\n")
    source_code.source_digest.cache_clear()
    stored.keep(path, "larva", {"vae": {}})
    assert stored.old_parts(path) == ["larva/glm"]
    assert stored.is_current(path, "larva/vae") and not stored.is_current(path)


def test_a_part_is_as_old_as_the_code_that_its_method_runs(repository, monkeypatch):
    """A rival does not run the code of the model, and the benchmark is run by all."""
    of_all = ("crbm_lite/core",)
    origin = stored.Origin("update", (), of_all, "0", folders_of={"NMF": ()})
    monkeypatch.setitem(stored.TABLES, PLACE, origin)
    path = repository / PLACE
    (repository / f"{PLACE}.made.json").unlink()
    stored.write(path, {}, "larva/NMF, seed 0", "larva/cRBM, seed 0")
    for name, old in (
        ("crbm_lite/core/drelu.py", ["larva/cRBM, seed 0"]),
        ("benchmarks/update.py", ["larva/NMF, seed 0", "larva/cRBM, seed 0"]),
    ):
        with (repository / name).open("a") as stream:
            stream.write("\nx = 1\n")
        source_code.source_digest.cache_clear()
        assert stored.old_parts(path) == old


def test_every_method_of_a_benchmark_but_ours_is_a_rival():
    of = stored.TABLES["benchmarks/results/detectors.json"].folders_of
    assert set(of) == {*METHODS, real.PUBLISHED, "FIM-X", "Rastermap"} - {"cRBM"}
    of = stored.TABLES["benchmarks/results/any_recording.json"].folders_of
    assert set(of) == set(RIVALS)


def test_a_csv_table_goes_on_with_the_rows_of_the_same_code(repository, monkeypatch):
    path = repository / "benchmarks" / "grid.csv"
    monkeypatch.setitem(stored.TABLES, "benchmarks/grid.csv", stored.TABLES[PLACE])
    stored.write_rows(path, ["a"], [{"a": 1}], append=True)
    assert stored.rows_begun(path) == [{"a": 1.0}] and stored.old_parts(path) == ["begun"]
    stored.write_rows(path, ["a"], stored.rows_begun(path))
    assert stored.is_current(path) and stored.old_parts(path) == []
    stored.write_rows(path, ["a"], [{"a": 2}], append=True)
    with (repository / "crbm_lite/core/drelu.py").open("a") as stream:
        stream.write("\nx = 1\n")
    source_code.source_digest.cache_clear()
    assert stored.rows_begun(path) == [] and not path.exists()
