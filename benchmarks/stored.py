"""Tables of results, JSON or CSV: each part is kept once measured, and says what made it.

python -m benchmarks.stored      make all tables again; what the present code made is left alone

Beside every table lies `<table>.made.json`: for each part the digest of the code that made it, the
day, the processor and the seeds. A part is *current* if its digest is that of the present code
(`crbm_lite.files.source_code.source_digest`, without comments and sentences). A test fails where a
part is not current, unless `known_old.yml` names the table and says why it is as it is.

A JSON table is read again before a part is added, since others may be measured at the same time. A
CSV table that is not finished has the part "begun" instead of "table".
"""

from __future__ import annotations

import csv
import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import yaml

from crbm_lite.files.source_code import source_digest

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results")
KNOWN_OLD = Path(__file__).with_name("known_old.yml")
WHOLE, BEGUN = "table", "begun"

_TRAINING = tuple(
    f"crbm_lite/{name}"
    for name in ("core", "training", "model/model.py", "recordings", "simulation", "measures.py")
)
# What only a training runs that chooses for itself: tables of settings by hand do not depend on it.
_SEARCH = ("crbm_lite/training/search",)
_SCORES = tuple(
    f"crbm_lite/validation/{name}.py" for name in ("comparison", "likelihood", "moments", "nrmse")
)
_WHOLE_FRAMES = ("crbm_lite/baselines", "crbm_lite/validation/frame_likelihood.py")
_VALIDATE = "crbm_lite/validation/report.py"
_GRID = (
    _VALIDATE, *(f"crbm_lite/validation/{name}.py" for name in ("selection", "scales")),
    *(f"crbm_lite/assemblies/{name}.py" for name in ("dynamics", "members")),
)  # fmt: skip
_TEMPORAL = tuple(
    f"crbm_lite/temporal/{name}.py"
    for name in (
        "annealing", "ascent", "chains", "controls", "equilibrium", "frozen", "gradients",
        "recurrence", "scores", "temporal_crbm", "windows",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """How a table is made: the module and its words, the code that sets its numbers, the seeds.

    Parts of some methods run less than all of that code. ``folders_of`` has theirs by the method,
    which is the first word behind the slash in the name of a part.
    """

    module: str
    words: tuple[str, ...]
    folders: tuple[str, ...]
    seeds: str
    without: tuple[str, ...] = ()
    folders_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """What a user types."""
        return " ".join(("python -m", f"benchmarks.{self.module}", *self.words))

    def digest(self, part: str = "", root: Path = ROOT) -> str:
        """The digest of the folders that a part depends on, and of the benchmark."""
        benchmark = f"benchmarks/{self.module}"  # a folder, or a module
        benchmark += "" if (root / benchmark).is_dir() else ".py"
        method = re.split("[ ,]", part.rpartition("/")[2])[0]
        folders = self.folders_of.get(method, self.folders)
        without = () if method in self.folders_of else self.without
        return source_digest(*folders, benchmark, package=root, without=without, sentences=False)


# What methods run that train no model; a rotation is taken from the starts of the cRBM.
_RIVALS = (
    *(f"crbm_lite/{name}" for name in ("core", "recordings", "simulation", "measures.py")),
    "crbm_lite/training/linear_units.py", "crbm_lite/baselines", "benchmarks/planted_family.py",
    *_SCORES,
)  # fmt: skip
_DETECTORS = (*_RIVALS, "crbm_lite/assemblies/agreement.py", "crbm_lite/calcium")
_RIVALS_OF_ANY = (*_RIVALS, "crbm_lite/assemblies/matching.py", "benchmarks/rivals.py")


def _origin(
    module: str, seeds: str, *more: str, words: tuple[str, ...] = (), searches: bool = False,
    folders_of: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Origin:  # fmt: skip
    without = () if searches else _SEARCH
    return Origin(module, words, (*_TRAINING, *_SCORES, *more), seeds, without, folders_of)


TABLES = {
    "benchmarks/results/annealing_paths.json": _origin(
        "annealing_paths", "recording 0, training 0, annealing 0",
        "crbm_lite/validation/frame_likelihood.py",
    ),
    "benchmarks/results/any_recording.json": _origin(
        "any_recording", "recordings fixed, splits 0, trainings 0", _VALIDATE,
        "crbm_lite/baselines", "benchmarks/planted_family.py", "benchmarks/rivals.py",
        "crbm_lite/assemblies/matching.py", searches=True,
        folders_of=dict.fromkeys(("NMF", "ICA", "varimax"), _RIVALS_OF_ANY),
    ),
    "benchmarks/advice.csv": _origin(
        "advice", "recordings N + T, trainings 0", "crbm_lite/inspection/advice.py",
        "benchmarks/planted.py", words=("measure",),
    ),
    "benchmarks/results/certificates.json": _origin(
        "certificates", "recordings and trainings by seed", "crbm_lite/baselines/independent.py",
        "benchmarks/any_recording/recordings.py",
    ),
    "benchmarks/connectivity_animals.csv": _origin(
        "connectivity_animals", "animals 0 to 7, five trainings each, 0 to 4",
        "crbm_lite/connectivity", "crbm_lite/baselines", words=("measure",),
    ),
    "benchmarks/selection_grid.csv": _origin(
        "selection_grid", "recording 0, trainings 0 to 2", *_GRID
    ),
    "benchmarks/results/convergence.csv": _origin(
        "convergence", "recording 0, trainings 0 to 39", _VALIDATE, "benchmarks/planted.py"
    ),
    "benchmarks/results/detectors.json": _origin(
        "detectors", "recordings by their names, methods 0", "crbm_lite/baselines/detectors",
        "crbm_lite/assemblies/agreement.py", "crbm_lite/calcium", "benchmarks/planted_family.py",
        searches=True, folders_of=dict.fromkeys(
            ("SGC", "ICA-CS", "ICA-MP", "promax-CS", "promax-MP", "NMF", "varimax", "Louvain",
             "k-means", "CORE", "SVD", "Ising", "FIM-X", "Rastermap", "published"),
            _DETECTORS,
        ),
    ),
    "benchmarks/results/jax_update.json": _origin("jax_update", "trainings 0 to 4"),
    "benchmarks/results/learning_curves.json": _origin(
        "learning_curves", "recording 0, training 0", _VALIDATE, "benchmarks/planted.py"
    ),
    "benchmarks/results/left_out.json": Origin("left_out", (), ("crbm_lite/core",), "0"),
    "benchmarks/results/like_for_like.json": _origin(
        "like_for_like", "recording 0, trainings 0, annealing 0", *_WHOLE_FRAMES,
        folders_of={"CRBM()": (*_TRAINING, *_SCORES, *_WHOLE_FRAMES)},  # with the search
    ),
    "benchmarks/results/page_load.json": Origin(
        "page_load", (), ("crbm_lite/plotting/interactive",), "0"
    ),
    "benchmarks/results/rehearsal.json": _origin(
        "rehearsal", "recordings and trainings by seed", _VALIDATE, "benchmarks/planted.py",
        searches=True,
    ),
    "benchmarks/results/retrace.json": _origin(
        "retrace", "fish and trainings 0, repeats 0 to 4", _VALIDATE, "crbm_lite/datasets",
        "crbm_lite/assemblies", "crbm_lite/connectivity", "crbm_lite/baselines",
        "crbm_lite/temporal/dwell.py", "crbm_lite/calcium/preprocessing.py", "benchmarks/vae.py",
        "benchmarks/any_recording/scores.py", searches=True,
    ),
    "benchmarks/results/scaling.json": _origin("scaling", "0"),
    "benchmarks/results/shared_animals.json": _origin(
        "shared_animals", "larvae 100 and 101, trainings 100", "crbm_lite/animals"
    ),
    "benchmarks/results/slow_chains.json": _origin(
        "slow_chains", "training 0, chains 1", "crbm_lite/validation/frame_likelihood.py",
        searches=True,
    ),
    "benchmarks/results/temporal.json": _origin(
        "temporal", "recordings 1000 and 2000 + seed, trainings by seed", *_TEMPORAL,
    ),
    "benchmarks/results/temporal_larva.json": _origin(
        "temporal_larva", "larva 100, trainings 100", "crbm_lite/temporal",
        "crbm_lite/assemblies/dynamics.py", "crbm_lite/assemblies/matching.py",
        "crbm_lite/validation/frame_likelihood.py",
    ),
    "benchmarks/results/update.json": _origin("update", "0"),
    "benchmarks/results/whole_brain.json": _origin(
        "whole_brain", "0", _VALIDATE, "crbm_lite/inspection", "crbm_lite/connectivity",
        "crbm_lite/calcium", "crbm_lite/baselines", "benchmarks/certificates.py",
    ),
    "book/baselines/vae_long_run.json": _origin(
        "vae", "recordings 0, trainings 0", "crbm_lite/baselines"
    ),
}  # fmt: skip


def read(path: Path) -> dict:
    """What was measured so far."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(path: Path, results: dict, *parts: str) -> None:
    """Write the whole table; the parts that were made now are the whole if none is named."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    stamp(path, *(parts or (WHOLE,)))


def keep(path: Path, name: str, found: dict) -> None:
    """Add what was found to the entry ``name``, beside what is there of it already."""
    results = read(path)
    results[name] = results.get(name, {}) | found
    write(path, results, *(f"{name}/{part}" for part in found))


def read_rows(path: Path, texts: Sequence[str] = ()) -> list[dict]:
    """The rows of a CSV table; all columns but ``texts`` are numbers."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            {k: x if k in texts else float(x) for k, x in row.items()}
            for row in csv.DictReader(stream)
        ]


def write_rows(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping], append: bool = False
) -> None:
    """Write a CSV table, or add rows to it; numbers get five digits, and texts stay as they are."""
    path.parent.mkdir(exist_ok=True)
    begins = not (append and path.exists())
    with path.open("w" if begins else "a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        if begins:
            writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{x:.5g}" if isinstance(x, float) else x for k, x in row.items()})
            stream.flush()
    stamp(path, BEGUN if append else WHOLE)


def rows_begun(path: Path, texts: Sequence[str] = ()) -> list[dict]:
    """The rows with which the present code has begun a table; others are thrown away."""
    if is_current(path, BEGUN):
        return read_rows(path, texts)
    path.unlink(missing_ok=True)
    return []


def made(path: Path) -> dict:
    """What made a table: its command, and the digest, day, processor and seeds of every part."""
    return read(path.with_name(path.name + ".made.json"))


def stamp(path: Path, *parts: str) -> None:
    """Say that the present code has made some parts of a table now."""
    origin = TABLES.get(_name(path))
    if origin is None:
        return
    kept = {} if WHOLE in parts or BEGUN in parts else made(path).get("parts", {})
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    now = {
        part: {
            "digest": origin.digest(part), "day": day, "processor": processor(),
            "seeds": origin.seeds,
        }
        for part in parts
    }  # fmt: skip
    says = {"command": origin.command, "parts": kept | now}
    path.with_name(path.name + ".made.json").write_text(
        json.dumps(says, indent=1) + "\n", encoding="utf-8"
    )


def is_current(path: Path, part: str = WHOLE) -> bool:
    """Whether the present code has made a part of a table."""
    origin = TABLES.get(_name(path))
    found = made(path).get("parts", {}).get(part)
    return bool(origin and path.exists() and found and found["digest"] == origin.digest(part))


def old_parts(path: Path) -> list[str]:
    """The parts of a table that the present code has not made, and the whole if nothing is said."""
    parts = list(made(path).get("parts", ())) or [WHOLE]
    return [part for part in parts if not is_current(path, part) or part == BEGUN]


def known_old() -> dict[str, str]:
    """Why a table is older than the code, by its name."""
    return yaml.safe_load(KNOWN_OLD.read_text(encoding="utf-8")) or {}


def processor() -> str:
    """Name the processor of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _name(path: Path) -> str:
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""


def main() -> None:
    """Run the benchmark of every table with an old part; each goes on where it was stopped.

    One that fails does not stop the others. A part that a table never had is measured by the
    table's own command.
    """
    failed = []
    for name, origin in TABLES.items():
        if (ROOT / name).exists() and not old_parts(ROOT / name):
            print(f"{name}: current", flush=True)
            continue
        print(f"{name}: {origin.command}", flush=True)
        words = [sys.executable, "-m", f"benchmarks.{origin.module}", *origin.words]
        failed += [name] if subprocess.run(words, cwd=ROOT).returncode else []
    if failed:
        raise SystemExit(f"not made: {', '.join(failed)}; see above why")


if __name__ == "__main__":
    main()
