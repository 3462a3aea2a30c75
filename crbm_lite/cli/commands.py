"""The command line: import, inspect, train, validate, export and fetch without a notebook.

Every command is a few calls of the library. What goes wrong becomes one line on stderr and an exit
code (`crbm_lite.cli.exit`). `crbm_lite.cli.import_command` brings foreign files in,
`crbm_lite.cli.inspect_command` looks recordings over, and `crbm_lite.cli.train_command` trains.
All of these need the package click.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

import crbm_lite
from crbm_lite.cli.exit import (
    EXIT_CODES,
    FILE,
    Commands,
    Failed,
    check_writable,
    examples,
    report_option,
    say,
    write_report,
)
from crbm_lite.cli.import_command import import_file, load
from crbm_lite.cli.inspect_command import inspect
from crbm_lite.cli.train_command import train
from crbm_lite.cli.words import as_typed, settings_line, similar_lines
from crbm_lite.inspection.findings import counted

__all__ = ["command_line", "export", "fetch", "validate", "warm_up"]

_recording = click.argument("recording", type=FILE)


@click.group(
    "crbm-lite",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "crbm-lite import   mine.npz larva.h5 --rate-hz 2.5",
        "crbm-lite inspect  larva.h5",
        "crbm-lite train    larva.h5 model.h5 --n-hidden 100 --l1 0.01 --n-updates 5000",
        "crbm-lite validate model.h5 larva.h5 --report scores.json",
        "crbm-lite export   model.h5 larva.h5 assemblies.csv",
    )
    + "\n\n\b\nExit codes:\n"
    + "\n".join(f"{n:>5}  {text}" for n, text in EXIT_CODES.items()),
)
@click.version_option(crbm_lite.__version__, message="crbm-lite %(version)s")
def command_line() -> None:
    """Train compositional restricted Boltzmann machines on neural recordings.

    A RECORDING is a file of `crbm-lite import` or crbm_lite.save_recording, one in the layout of
    the published zebrafish recordings, or any other file that can be read without options.

    crbm-lite COMMAND --help shows the examples of a command.
    """


command_line.add_command(import_file)
command_line.add_command(inspect)
command_line.add_command(train)


@command_line.command(
    epilog=examples(
        "crbm-lite validate model.h5 larva.h5",
        "crbm-lite validate model.h5 larva.h5 --require 0.8 --report scores.json",
    )
)
@click.argument("model", type=FILE)
@_recording
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--n-chains", default=300, show_default=True, help="Chains that generate frames.")
@click.option("--n-saved", default=50, show_default=True, help="States that each chain saves.")
@click.option("--n-steps", default=20, show_default=True, help="Gibbs steps between two of them.")
@click.option(
    "--burn-in", default=100, show_default=True, help="Saved states that are left out at first."
)
@click.option("--require", type=float, help="Exit code 4 if min (1 - nRMSE) is below.")
@report_option
def validate(
    model: Path, recording: Path, seed: int, require: float | None, report: Path | None,
    **sampling: int,
) -> None:  # fmt: skip
    """Compare what MODEL generates with the test frames of RECORDING."""
    from crbm_lite.core.spikes import as_spikes
    from crbm_lite.model.files import frames_of_model
    from crbm_lite.model.model import CRBM
    from crbm_lite.recordings.splits import split_train_test
    from crbm_lite.validation.comparison import STATISTICS
    from crbm_lite.validation.report import validate as score

    check_writable(report, model, recording)
    fitted = CRBM.load(model)
    train_frames, test = split_train_test(load(recording))
    if frames_of_model(model) not in (None, as_spikes(train_frames).sha256()):
        say(
            f"Warning: {model} was not trained on the training frames of {recording} (with "
            "--all-frames, or on another one?): the scores may be of frames that it has seen",
            err=True,
        )
    scores = score(fitted, train_frames, test, random_state=seed, **sampling)
    of = {name: getattr(scores, name) for name in STATISTICS}
    worst = scores.score
    if str(report) != "-":
        say(as_typed(scores.table()))
        say(f"the model: {settings_line(fitted)}")
    values = {
        "model": str(model), "recording": str(recording), "seed": seed, **sampling,
        "frames": scores.n_test, "score": worst, "median_nllh": scores.nllh.median,
        "median_left_out_nllh": scores.left_out.median,
        "nrmse": {name: statistic.nrmse for name, statistic in of.items()},
        "nrmse_error": {name: statistic.nrmse_error for name, statistic in of.items()},
        "has_scale": {name: statistic.has_scale for name, statistic in of.items()},
    }  # fmt: skip
    write_report(report, values)
    if require is not None and not worst >= require:
        raise Failed(f"min (1 - nRMSE) is {worst:.3f}, below {require:g}", 4)


@command_line.command(
    epilog=examples(
        "crbm-lite export model.h5 larva.h5 assemblies.csv",
        "crbm-lite export model.h5 larva.h5 certain.csv --threshold 0.1",
        "crbm-lite export model.h5 larva.h5 assemblies.h5 --overwrite",
    )
)
@click.argument("model", type=FILE)
@_recording
@click.argument("output", type=FILE)
@click.option("--threshold", default=0.0, show_default=True, type=click.FloatRange(0),
              help="Size that the weights of members exceed.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT.")
def export(model: Path, recording: Path, output: Path, threshold: float, overwrite: bool) -> None:
    """Write the assemblies of MODEL with the places of RECORDING's neurons.

    OUTPUT ends in .csv (one row per neuron) or .h5 (arrays).
    """
    from crbm_lite.assemblies.export import export_csv, export_hdf5
    from crbm_lite.assemblies.members import assemblies_of_weights
    from crbm_lite.core.spikes import spikes_of_model
    from crbm_lite.model.model import CRBM

    writers = {".csv": export_csv, ".h5": export_hdf5, ".hdf5": export_hdf5}
    if output.suffix not in writers:
        raise click.UsageError(f"{output} must end in one of {', '.join(writers)}")
    if output.exists() and not overwrite:
        raise Failed(f"{output} exists: --overwrite it, or choose another name", 5)
    check_writable(output, model, recording)
    trained, data = CRBM.load(model), load(recording)
    weights = trained.weights_
    if len(weights) != data.n_neurons:
        raise Failed(
            f"{model} has {len(weights)} neurons and {recording} {data.n_neurons}: give the "
            "recording that the model was trained on", 3,
        )  # fmt: skip
    spikes_of_model(trained, data, str(recording))  # the same neurons, in the same order
    writers[output.suffix](
        output, weights, data.coordinates, data.labels, data.label_names,
        names=data.names, coordinate_unit=data.coordinate_unit, threshold=threshold,
    )  # fmt: skip
    n_assemblies = len(assemblies_of_weights(weights, threshold))
    n_neurons = counted(len(weights), "neuron")
    say(f"{output}: {n_neurons}, {counted(n_assemblies, 'assembly', 'assemblies')}")
    for line in similar_lines(weights, threshold):
        say(f"  {line}")


@command_line.command("warm-up", epilog=examples("crbm-lite warm-up"))
def warm_up() -> None:
    """Compile what training needs, once after the installation or an update.

    Otherwise the first training does, and its bar says "compiling". NUMBA_CACHE_DIR names the
    folder that keeps what is compiled.
    """
    from crbm_lite.model.warm_up import warm_up as compile_kernels

    n, seconds = compile_kernels()
    made = f"compiled {counted(n, 'function')} in {seconds:.0f} s"
    say(made if n else "nothing was left to compile")


@command_line.command(
    epilog=examples(
        "crbm-lite fetch",
        "crbm-lite fetch retinal-waves",
    )
)
@click.argument("dataset", required=False)
def fetch(dataset: str | None) -> None:
    """Download and verify DATASET of the manifest; without a name, list what there is."""
    from crbm_lite.datasets.registry import fetch as find
    from crbm_lite.datasets.registry import list_datasets

    entries = list_datasets()
    if dataset is None:
        for entry in entries:
            say(f"{entry.name:<24}{entry.description}")
        return
    names = [entry.name for entry in entries]
    if dataset.partition("/")[0] not in names:
        raise click.UsageError(f"no data set {dataset}: choose one of {', '.join(names)}")
    for path in find(dataset, progress=sys.stderr.isatty()).paths.values():
        say(path)
