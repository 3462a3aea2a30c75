"""Labels are not read as data: headers of numbers, indices, frame numbers, times, blank rows."""

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
from click.testing import CliRunner

from crbm_lite import Recording, import_recording, load_recording
from crbm_lite.cli.commands import command_line
from crbm_lite.core.spikes import as_spikes
from crbm_lite.importers.csv_file import import_csv
from crbm_lite.importers.labels import as_left_out, label_columns, neurons_left, row_is_labels
from crbm_lite.importers.spike_times import import_spike_times
from crbm_lite.recordings.files import RecordingError

RNG = np.random.default_rng(0)
T, N = 40, 9
EVENTS = np.where(RNG.random((T, N)) < 0.2, RNG.gamma(2.0, 1.0, (T, N)), 0.0).round(3)
COUNTS = RNG.poisson(0.6, (T, N))
IDS = [3, 7, 12, 13, 20, 21, 34, 40, 77]


@pytest.fixture
def read(tmp_path):
    """Write a text or a table as pandas does, and import it."""

    def call(contents, how=None, **options):
        path = tmp_path / "mine.csv"
        if isinstance(contents, pd.DataFrame):
            contents.to_csv(path, **how or {})
        else:
            path.write_text(contents)
        return import_csv(path, **({"rate_hz": 2.0, "threshold": 0.5} | options))

    return call


@pytest.mark.parametrize("values", [EVENTS, COUNTS], ids=["events", "counts"])
@pytest.mark.parametrize("columns", [range(N), range(1, N + 1), IDS, np.arange(N) / 1.0])
@pytest.mark.parametrize("how", [{}, {"index": False}, {"sep": "\t"}])
def test_a_header_of_numbers_is_the_names(read, values, columns, how):
    table = pd.DataFrame(values, columns=columns)
    delimiter = how.get("sep", ",")
    for fraction in (None, 0.5):
        options = {"threshold": None, "amplitude_fraction": 0.5} if fraction else {}
        found = read(table, how, delimiter=delimiter, **options)
        named = table.set_axis([f"roi {i}" for i in range(N)], axis=1)
        right = read(named, {"sep": delimiter, "index": False}, delimiter=delimiter, **options)
        np.testing.assert_array_equal(found.spikes, right.spikes)
        assert found.names == tuple(map(str, columns))
    turned = (
        read(table.T, how, delimiter=delimiter, time_axis=1) if how != {"index": False} else found
    )
    if turned is not found:
        np.testing.assert_array_equal(turned.spikes, values > 0.5)
        assert turned.names == tuple(f"{x:g}" if how is None else str(x) for x in columns)


@pytest.mark.parametrize("head", ["0,1", "1,2", "0", "1", "4,9,12", "0,1,2"])
def test_a_first_row_that_could_be_either_is_refused_with_the_option(read, head):
    n = head.count(",") + 1
    rows = "\n".join(",".join(map(str, row)) for row in COUNTS[:, :n])
    with pytest.raises(RecordingError, match=r"row 1 .*header=True or header=False"):
        read(f"{head}\n{rows}\n")
    named = read(f"{head}\n{rows}\n", header=True)
    assert named.names == tuple(head.split(",")) and named.n_frames == T
    assert read(f"{head}\n{rows}\n", header=False).n_frames == T + 1


def test_numbers_that_are_no_labels_stay_a_frame(read):
    for head in ("1,0", "0,1,0", "3,1,2", "0,0,1", "0.5,1.5,2.5", "-1,0,1", "2,2,3"):
        n = head.count(",") + 1
        rows = "\n".join(",".join(map(str, row)) for row in COUNTS[:, :n])
        assert read(f"{head}\n{rows}\n").n_frames == T + 1, head
    many = ",".join(map(str, RNG.permutation(30) + 5))  # ids out of order: nobody can tell
    with pytest.raises(RecordingError, match="header=True"):
        read(f"{many}\n" + "\n".join([",".join("0" * 30), ",".join("1" * 30)]))


@pytest.mark.parametrize(
    "column",
    [np.arange(T), np.arange(T) + 500, 10 * np.arange(T), np.arange(T) / 2.5, np.arange(T) // 10],
    ids=["frame", "later frames", "every tenth", "times", "trial"],
)
@pytest.mark.parametrize("place", [0, 4, N])
def test_a_column_that_never_falls_is_refused_or_left_out(read, column, place, tmp_path):
    table = pd.DataFrame(COUNTS, columns=[f"roi {i}" for i in range(N)])
    table.insert(place, "frame", column)
    with pytest.raises(RecordingError, match=r"'frame' never falls.*leave_out=\['frame'\]"):
        read(table, {"index": False})
    found = read(table, {"index": False}, leave_out=["frame"])
    assert found.names == tuple(f"roi {i}" for i in range(N))
    np.testing.assert_array_equal(found.spikes, COUNTS > 0)
    kept = read(table, {"index": False}, leave_out=[])
    assert kept.n_neurons == N + 1
    turned = read(table.T, {"header": False}, time_axis=1, leave_out=["frame"])
    np.testing.assert_array_equal(turned.spikes, COUNTS > 0)
    arrays = {"spikes": table.to_numpy(), "rate_hz": 2.0, "coordinates": np.ones((N, 3))}
    np.savez(tmp_path / "mine.npz", **arrays)
    np.savez(tmp_path / "turned.npz", **arrays | {"spikes": table.to_numpy().T})
    scipy.io.savemat(tmp_path / "mine.mat", arrays)
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file.update(arrays)
    for name in ("mine.npz", "turned.npz", "mine.mat", "mine.h5"):
        given = {"threshold": 0, "time_axis": int(name == "turned.npz")}
        with pytest.raises(RecordingError, match=rf"{place} never falls.*leave_out=\[{place}\]"):
            import_recording(tmp_path / name, **given)
        found = import_recording(tmp_path / name, leave_out=[place], **given)
        np.testing.assert_array_equal(found.spikes, COUNTS > 0)


def test_the_numbers_of_neurons_in_the_first_row_of_an_array(tmp_path):
    for head in (np.arange(N), np.arange(N) + 1, IDS):
        np.save(tmp_path / "mine.npy", np.vstack([head, COUNTS]))
        with pytest.raises(RecordingError, match="the first frame holds the increasing numbers"):
            import_recording(tmp_path / "mine.npy", rate_hz=2.0, threshold=0)
    found = import_recording(tmp_path / "mine.npy", rate_hz=2.0, threshold=0, leave_out=[])
    assert found.n_frames == T + 1


def test_columns_of_texts_can_be_left_out(read):
    text = "stimulus,a,b\n" + "\n".join(f"dot {i},{i % 2},{i % 3}" for i in range(9))
    with pytest.raises(RecordingError, match=r"row 2, column 1 holds 'dot 0'.*leave_out"):
        read(text)
    found = read(text, leave_out=["stimulus"])
    assert found.names == ("a", "b")
    np.testing.assert_array_equal(found.spikes[:, 0], np.arange(9) % 2)
    with pytest.raises(RecordingError, match=r"leave_out names 'stim', which is not there \(stim"):
        read(text, leave_out=["stim"])


def test_an_index_that_jumps_is_a_jump_in_time(read):
    table = pd.DataFrame(COUNTS, columns=[f"roi {i}" for i in range(N)])
    for part in (table.drop(index=range(10, 15)), table.iloc[::2].drop(index=[10, 12, 14])):
        jump = int(np.flatnonzero(part.index == 15 - 1)[0] if 14 in part.index else 10)
        jump = int(np.flatnonzero(np.diff(part.index) > np.diff(part.index)[0])[0]) + 1
        for options in ({}, {"time_axis": 1}):
            found = read(part if not options else part.T, **options)
            np.testing.assert_array_equal(found.discontinuities, [jump])
            assert found.rate_hz == pytest.approx(2.0)
            assert found.n_neurons == N
    with pytest.raises(RecordingError, match=r"without a name .*time_column"):
        read(table.set_index(np.arange(T) / 2.5))


def test_names_that_were_guarded_against_spreadsheets_come_back(read):
    rows = "\n".join(",".join(map(str, row)) for row in COUNTS[:, :3])
    assert read(f"'=1+1,'-b,'t\n{rows}\n").names == ("=1+1", "-b", "'t")
    turned = read("'=1+1,1,0,0,1\n'@b,0,1,0,0\n", time_axis=1)
    assert turned.names == ("=1+1", "@b")


def test_r_writes_no_corner(read):
    rows = "\n".join(f"{i + 1}\t" + "\t".join(map(str, row)) for i, row in enumerate(COUNTS))
    found = read("\t".join(f'"roi {i}"' for i in range(N)) + "\n" + rows, delimiter="\t")
    np.testing.assert_array_equal(found.spikes, COUNTS > 0)
    assert found.names == tuple(f"roi {i}" for i in range(N))


def test_numpy_writes_a_hash_before_the_names(read, tmp_path):
    np.savetxt(tmp_path / "x.csv", EVENTS[:, :2], delimiter=",", header="left,right")
    found = read((tmp_path / "x.csv").read_text())
    assert found.names == ("left", "right")


@pytest.mark.parametrize(
    "text", ["1,0\n\n1,1\n0,0\n", "a,b\n0,1\n  \n\n1,1\n", "unit\n0\n\n1\n0\n"]
)
def test_a_blank_row_is_a_frame_and_not_dropped(read, text):
    row = text.split("\n").index(next(x for x in text.split("\n") if not x.strip())) + 1
    with pytest.raises(RecordingError, match=f"row {row} is blank"):
        read(text)
    assert read(text.replace("\n  \n", "\n").replace("\n\n", "\n") + "\n\n").n_frames == 3 - (
        "b" in text
    )


@pytest.mark.parametrize("word", [("True", "False"), ("TRUE", "FALSE"), ("true", "false")])
def test_tables_of_true_and_false(read, word):
    flags = pd.DataFrame(COUNTS > 0, columns=[f"roi {i}" for i in range(N)])
    table = flags.replace({True: word[0], False: word[1]}).astype(str)
    for how, options in (({}, {}), ({"index": False}, {})):
        found = read(table, how, threshold=None, **options)
        np.testing.assert_array_equal(found.spikes, COUNTS > 0)
    found = read(table.T, {}, time_axis=1, threshold=None)
    np.testing.assert_array_equal(found.spikes, COUNTS > 0)
    found = read(table, {"index": False, "header": False}, threshold=None)
    np.testing.assert_array_equal(found.spikes, COUNTS > 0)
    assert found.names is None


@pytest.mark.parametrize(
    "dtype", ["Int8", "UInt16", "boolean", "Float32", "Float64", "int64[pyarrow]"]
)
def test_nullable_types_of_pandas(dtype):
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    table = pd.DataFrame(COUNTS > 0).astype(dtype)
    np.testing.assert_array_equal(Recording(table, 2.0).spikes, COUNTS > 0)
    np.testing.assert_array_equal(as_spikes(table).to_csr().toarray(), COUNTS > 0)
    table.iloc[3, 4] = pd.NA
    with pytest.raises(ValueError, match="spikes holds NaN"):
        Recording(table, 2.0)
    with pytest.raises(ValueError, match="v holds NaN"):
        as_spikes(table)
    mixed = pd.DataFrame({"a": pd.array([1, 0], "Int8"), "b": [True, False], "c": [0.0, 1.0]})
    assert Recording(mixed, 2.0).spikes.tolist() == [[1, 1, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match="spikes has dtype object"):
        Recording(pd.DataFrame({"a": ["1", "0"]}, dtype=object), 2.0)


def test_a_list_of_spikes_with_the_header_of_pandas(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("0,1\n0,0.3\n2,0.4\n")
    with pytest.raises(RecordingError, match=r"row 1 is 0, 1.*header=True or header=False"):
        import_spike_times(path, 0.5)
    assert import_spike_times(path, 0.5, header=True, stop_s=1.0).spikes.tolist() == [
        [1, 1],
        [0, 0],
    ]
    with pytest.raises(RecordingError, match="not sorted"):
        import_spike_times(path, 0.5, header=False)


def test_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame(COUNTS, columns=[f"roi {i}" for i in range(N)])
    table.insert(0, "my frame", np.arange(T))
    table.to_csv("mine.csv", index=False)
    words = ["import", "mine.csv", "new.h5", "--rate-hz", "2", "--threshold", "0"]
    result = CliRunner().invoke(command_line, words)
    assert result.exit_code == 3 and "--leave-out 'my frame' (or" in result.output, result.output
    result = CliRunner().invoke(command_line, [*words, "--leave-out", "my frame"])
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(load_recording("new.h5").spikes, COUNTS > 0)
    result = CliRunner().invoke(command_line, [*words, "--leave-out", "", "--overwrite"])
    assert result.exit_code == 0 and load_recording("new.h5").n_neurons == N + 1
    pd.DataFrame(COUNTS[:, :2]).to_csv("two.csv", index=False)
    words[1] = "two.csv"
    result = CliRunner().invoke(command_line, [*words, "--overwrite"])
    assert result.exit_code == 3 and "pass --header or --no-header" in result.output
    assert CliRunner().invoke(command_line, [*words, "--overwrite", "--header"]).exit_code == 0
    assert load_recording("new.h5").n_frames == T


def test_what_looks_like_labels():
    assert row_is_labels(np.arange(5)) and row_is_labels(IDS)
    assert row_is_labels([2, 5, 9]) is None and row_is_labels(RNG.permutation(50)) is None
    assert row_is_labels(COUNTS[0]) is False and row_is_labels([np.nan] * 9) is False
    zeros = np.zeros((T, 3))
    assert (
        label_columns(zeros).size == label_columns(COUNTS).size == label_columns(EVENTS).size == 0
    )
    zeros[-1, 1] = 1.0  # a neuron that spikes only at the end
    assert label_columns(zeros).size == 0
    long = np.zeros((10_000, 2), np.uint8)
    long[:, 1] = np.arange(10_000) // 500
    assert label_columns(long).tolist() == [1]
    long[9_999, 1] = 0
    assert label_columns(long).size == 0


def test_where_names_are_numbers_a_number_is_a_name(tmp_path):
    """A table from which columns were dropped: its numbers are no longer places."""
    names = ("0", "1", "3", "4", "7")
    for part, left in ((3, "0147"), ("3", "0147"), (7, "0134")):
        keep = neurons_left((part,), names, 5, "a.csv")
        assert "".join(np.array(names)[keep]) == left
    for part in (2, "2"):
        with pytest.raises(RecordingError, match=r"'?2'?, which is not there"):
            neurons_left((part,), names, 5, "a.csv")
    with pytest.raises(ValueError, match="leave_out is array"):
        as_left_out(np.array(3))
