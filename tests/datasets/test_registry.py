"""Fetching: order of search, verification, offline, and manifests that must not be obeyed."""

import hashlib
import http.server
import io
import os
import subprocess
import sys
import threading

import h5py
import pytest
import yaml

from crbm_lite.datasets import download
from crbm_lite.datasets import registry as datasets
from crbm_lite.datasets.manifest import read_manifest
from crbm_lite.datasets.registry import DatasetCorrupt, DatasetUnavailable, fetch, list_datasets


def hdf5_bytes():
    """The image of a small HDF5 file."""
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file["spikes"] = range(100)
    return image.getvalue()


GOOD = hdf5_bytes()
SHA256 = hashlib.sha256(GOOD).hexdigest()


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """A cache and a data folder of our own, no retries, no proxy in the way."""
    monkeypatch.setenv("CRBM_LITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CRBM_LITE_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "_WAIT_S", 0)
    return tmp_path


@pytest.fixture
def server(tmp_path):
    """A web server of the folder `site`, which notes what was asked for."""
    site = tmp_path / "site"
    site.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(site))

        def do_GET(self):
            asked.append(self.path)
            if self.path == "/short.bin":  # promises more than it sends
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"x" * 10)
            else:
                super().do_GET()

        def log_message(self, *args):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    httpd.site, httpd.asked = site, asked
    httpd.url = f"http://127.0.0.1:{httpd.server_port}"
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def write_manifest(tmp_path, url, /, **change):
    """A manifest of one data set with one file, some of its fields changed."""
    fields = {"url": url, "bytes": len(GOOD), "sha256": SHA256} | change
    entry = {
        "description": "d",
        "licence": "l",
        "citation": ["c"],
        "chapters": ["x"],
        "files": {"wave.h5": fields},
    }
    path = tmp_path / "manifest.yml"
    path.write_text(yaml.safe_dump({"version": 1, "datasets": {"retina": entry}}))
    return path


def test_download_verify_and_keep(server, tmp_path):
    (server.site / "wave.h5").write_bytes(GOOD)
    manifest = write_manifest(tmp_path, f"{server.url}/wave.h5")
    dataset = fetch("retina", manifest=manifest)
    assert dataset.path == tmp_path / "cache" / "retina" / "wave.h5"
    assert dataset.path.read_bytes() == GOOD
    assert (dataset.name, dataset.entry.licence) == ("retina", "l")
    fetch("retina/wave.h5", manifest=manifest)
    assert server.asked == ["/wave.h5"]  # the second time it came from the cache


def test_the_users_folder_comes_first(server, tmp_path, monkeypatch):
    manifest = write_manifest(tmp_path, f"{server.url}/wave.h5")
    own = tmp_path / "data" / "retina" / "wave.h5"
    own.parent.mkdir(parents=True)
    own.write_bytes(GOOD)
    monkeypatch.setenv("CRBM_LITE_DATA", str(tmp_path / "data"))
    assert fetch("retina", manifest=manifest).path == own
    assert not server.asked
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("content", [GOOD[:-1], GOOD[:-1] + b"!"])
def test_a_damaged_file_of_the_user_is_reported_and_left_alone(content, tmp_path, monkeypatch):
    manifest = write_manifest(tmp_path, "http://127.0.0.1:9/wave.h5")
    own = tmp_path / "data" / "retina" / "wave.h5"
    own.parent.mkdir(parents=True)
    monkeypatch.setenv("CRBM_LITE_DATA", str(tmp_path / "data"))
    own.write_bytes(GOOD)
    fetch("retina", manifest=manifest)  # good at first: its hash is remembered, the damage seen
    own.write_bytes(content)
    os.utime(own, ns=(0, 0))
    with pytest.raises(DatasetCorrupt, match="found through CRBM_LITE_DATA"):
        fetch("retina", manifest=manifest)
    assert own.read_bytes() == content


def test_a_damaged_file_of_the_cache_is_fetched_again(server, tmp_path):
    (server.site / "wave.h5").write_bytes(GOOD)
    manifest = write_manifest(tmp_path, f"{server.url}/wave.h5")
    for damage in (GOOD[:50], GOOD[:-1] + b"!"):
        path = fetch("retina", manifest=manifest).path
        path.write_bytes(damage)
        os.utime(path, ns=(0, 0))
        assert fetch("retina", manifest=manifest).path.read_bytes() == GOOD
    assert len(server.asked) == 3


def test_two_who_ask_at_once_fetch_once(server, tmp_path):
    (server.site / "wave.h5").write_bytes(GOOD)
    manifest = write_manifest(tmp_path, f"{server.url}/wave.h5")
    ask = [
        threading.Thread(target=fetch, args=["retina"], kwargs={"manifest": manifest})
        for _ in range(4)
    ]
    for thread in ask:
        thread.start()
    for thread in ask:
        thread.join()
    assert server.asked == ["/wave.h5"]
    assert fetch("retina", manifest=manifest).path.read_bytes() == GOOD


def test_two_processes_that_ask_at_once_fetch_once(server, tmp_path):
    (server.site / "wave.h5").write_bytes(GOOD)
    manifest = write_manifest(tmp_path, f"{server.url}/wave.h5")
    code = (
        "import sys; from crbm_lite import fetch; print(fetch('retina', manifest=sys.argv[1]).path)"
    )
    command = [sys.executable, "-c", code, str(manifest)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen(command, env=environment, stdout=-1) for _ in range(3)]
    paths = {process.communicate()[0].decode().strip() for process in processes}
    assert paths == {str(tmp_path / "cache" / "retina" / "wave.h5")}
    assert server.asked == ["/wave.h5"]


@pytest.mark.parametrize("served", [b"<html>moved</html>", GOOD[:-1] + b"!"])
def test_a_wrong_download_is_refused_and_not_kept(served, server, tmp_path):
    (server.site / "wave.h5").write_bytes(served)
    manifest = write_manifest(tmp_path, f"{server.url}/wave.h5")
    wrong = r"wave\.h5 .*(has 18 bytes|does not have the sha256).* \(by the manifest\)"
    with pytest.raises(DatasetCorrupt, match=wrong):
        fetch("retina", manifest=manifest)
    assert not list((tmp_path / "cache" / "retina").iterdir())


def test_without_a_hash_the_size_is_checked(server, tmp_path):
    (server.site / "wave.h5").write_bytes(GOOD[:-1])
    manifest = write_manifest(tmp_path, f"{server.url}/wave.h5", sha256=None)
    with pytest.raises(DatasetCorrupt, match=f"has {len(GOOD) - 1} bytes"):
        fetch("retina", manifest=manifest)
    assert not list((tmp_path / "cache" / "retina").iterdir())


def test_without_a_hash_the_first_download_is_remembered(server, tmp_path):
    (server.site / "wave.h5").write_bytes(GOOD)
    manifest = write_manifest(tmp_path, f"{server.url}/wave.h5", sha256=None, bytes=None)
    path = fetch("retina", manifest=manifest).path
    note = path.with_name("wave.h5.sha256")
    assert note.read_text().split()[0] == SHA256
    path.write_bytes(b"damaged")
    assert fetch("retina", manifest=manifest).path.read_bytes() == GOOD
    path.write_bytes(b"damaged again")
    (server.site / "wave.h5").write_bytes(b"something else by now")
    with pytest.raises(DatasetCorrupt, match="by its first download"):
        fetch("retina", manifest=manifest)


@pytest.mark.parametrize("address", ["closed", "missing", "short"])
def test_out_of_reach_is_one_clear_line(address, server, tmp_path):
    url = {
        "closed": "http://127.0.0.1:9/wave.h5",
        "missing": f"{server.url}/none.h5",
        "short": f"{server.url}/short.bin",
    }[address]
    manifest = write_manifest(tmp_path, url)
    with pytest.raises(DatasetUnavailable) as caught:
        fetch("retina", manifest=manifest)
    message = str(caught.value)
    assert isinstance(caught.value, OSError)
    assert "\n" not in message
    for part in (
        "data set retina",
        "wave.h5",
        "CRBM_LITE_DATA (not set)",
        str(tmp_path / "cache"),
        url,
        "connect to the network",
    ):
        assert part in message
    assert address != "missing" or "HTTP status 404" in message
    assert not (tmp_path / "cache" / "retina" / "wave.h5").exists()
    tries = {"closed": 0, "missing": 1, "short": 3}[address]
    assert len(server.asked) == tries


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    manifest = write_manifest(tmp_path, "http://127.0.0.1:9/wave.h5")
    with pytest.raises(DatasetUnavailable, match=r"cannot be written .*CRBM_LITE_CACHE"):
        fetch("retina", manifest=manifest)


def test_a_full_disk_and_a_limit_on_files_say_what_to_do(server, tmp_path):
    resource = pytest.importorskip("resource")
    (server.site / "wave.h5").write_bytes(GOOD)
    manifest = write_manifest(tmp_path, f"{server.url}/wave.h5")
    part = tmp_path / "cache" / "retina" / ".wave.h5.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(DatasetUnavailable, match=r"No space left.*: make room there .*is kept\)"):
        fetch("retina", manifest=manifest)
    part.unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(DatasetUnavailable, match=r"too large\): raise the limit on the size"):
            fetch("retina", manifest=manifest)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert part.stat().st_size == 1000
    assert fetch("retina", manifest=manifest).path.read_bytes() == GOOD


def test_a_page_in_the_place_of_an_unknown_recording_is_refused(server, tmp_path):
    manifest = write_manifest(tmp_path, f"{server.url}/wave.h5", sha256=None, bytes=None)
    for served in (b"<html>log in first</html>", GOOD[: len(GOOD) // 2]):
        (server.site / "wave.h5").write_bytes(served)
        with pytest.raises(DatasetCorrupt, match="is no whole HDF5 file"):
            fetch("retina", manifest=manifest)
        assert not list((tmp_path / "cache" / "retina").iterdir())


def test_a_damaged_note_of_the_first_download_is_written_anew(server, tmp_path):
    (server.site / "wave.h5").write_bytes(GOOD)
    manifest = write_manifest(tmp_path, f"{server.url}/wave.h5", sha256=None, bytes=None)
    note = fetch("retina", manifest=manifest).path.with_name("wave.h5.sha256")
    note.write_text(SHA256[:20])
    fetch("retina", manifest=manifest)
    assert note.read_text().split()[0] == SHA256
    assert len(server.asked) == 1


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_read(make, tmp_path, monkeypatch):
    manifest = write_manifest(tmp_path, "http://127.0.0.1:9/wave.h5")
    own = tmp_path / "data" / "retina" / "wave.h5"
    own.parent.mkdir(parents=True)
    make(own)
    monkeypatch.setenv("CRBM_LITE_DATA", str(tmp_path / "data"))
    with pytest.raises(DatasetCorrupt, match="is no file: replace or remove it"):
        fetch("retina", manifest=manifest)


def test_a_link_does_not_lead_out_of_the_cache(server, tmp_path):
    (server.site / "wave.h5").write_bytes(GOOD)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "retina").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(ValueError, match="leads out of"):
        fetch("retina", manifest=write_manifest(tmp_path, f"{server.url}/wave.h5"))
    assert not list(elsewhere.iterdir())


def test_an_md5_is_checked_where_no_sha256_is_known(server, tmp_path):
    (server.site / "wave.h5").write_bytes(GOOD)
    url, md5 = f"{server.url}/wave.h5", hashlib.md5(GOOD).hexdigest()
    unknown = {"sha256": None, "bytes": None}
    manifest = write_manifest(tmp_path, url, md5="0" * 32, **unknown)
    with pytest.raises(DatasetCorrupt, match=f"does not have the md5 {'0' * 32}"):
        fetch("retina", manifest=manifest)
    path = fetch("retina", manifest=write_manifest(tmp_path, url, md5=md5, **unknown)).path
    assert path.read_bytes() == GOOD
    assert path.with_name("wave.h5.sha256").read_text().startswith(SHA256)


def test_an_md5_is_checked_in_the_user_s_own_folder(tmp_path, monkeypatch):
    (tmp_path / "retina").mkdir()
    (tmp_path / "retina" / "wave.h5").write_bytes(GOOD)
    monkeypatch.setenv("CRBM_LITE_DATA", str(tmp_path))
    unknown = {"sha256": None, "bytes": None}
    manifest = write_manifest(tmp_path, "https://example.org/x", md5="0" * 32, **unknown)
    with pytest.raises(DatasetCorrupt, match="does not have the md5"):
        fetch("retina", manifest=manifest)


NAMES = ["../out", "..", ".", ".hidden", "/etc/passwd", "a/b", "a\\b", "C:x", "", "a\nb", "a b", 7]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["dataset", "file"])
def test_names_cannot_leave_the_cache(what, name, tmp_path):
    content = yaml.safe_load(write_manifest(tmp_path, "https://example.org/x").read_text())
    sets = content["datasets"]
    parent, old = (sets, "retina") if what == "dataset" else (sets["retina"]["files"], "wave.h5")
    parent[name] = parent.pop(old)
    path = tmp_path / "manifest.yml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=r"manifest\.yml: .*name"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "file:///etc/passwd"}, "url is"),
        ({"url": "ftp://example.org/x"}, "url is"),
        ({"url": None}, "url is None"),
        ({"bytes": -1}, "bytes is -1"),
        ({"bytes": "many"}, "bytes is 'many'"),
        ({"sha256": "abc"}, "sha256 is 'abc'"),
        ({"sha256": 5}, "sha256 is 5"),
        ({"md5": SHA256}, "md5 is '"),
    ],
)
def test_fields_of_a_file_are_checked(change, message, tmp_path):
    with pytest.raises(ValueError, match=f"retina/wave.h5: {message}"):
        read_manifest(write_manifest(tmp_path, "https://example.org/x", **change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is no YAML file"),
        ("- 1", "version: 1"),
        ("version: 2\ndatasets: {}", "version: 1"),
        ("version: 1", "datasets"),
        (
            "version: 1\ndatasets: {a: {description: d, licence: l, citation: c, chapters: [x], "
            "files: {f: 1}}}",
            "citation of data set a is 'c': give a list",
        ),
        ("version: 1\ndatasets: {a: 3}", "data set a is incomplete: give description"),
        (
            "version: 1\ndatasets: {a: {description: d, licence: l, citation: [c], chapters: [x], "
            "files: {}}}",
            "give at least one file",
        ),
        (
            "version: 1\ndatasets: {a: {description: d, licence: l, citation: [c], chapters: [x], "
            "files: {f: 1}}}",
            "is incomplete: give url",
        ),
    ],
)
def test_files_that_are_no_manifest(text, message, tmp_path):
    (tmp_path / "m.yml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_manifest(tmp_path / "m.yml")


def test_unknown_names_list_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="give a data set, one of retinal-waves"):
        fetch("retina")
    with pytest.raises(ValueError, match=r"data set retina has, one of wave\.h5"):
        fetch("retina/other.h5", manifest=write_manifest(tmp_path, "https://example.org/x"))


def test_several_files_have_no_single_path():
    entry = read_manifest()["retinal-waves"]
    dataset = datasets.Dataset(entry, {file.name: file.name for file in entry.files})
    with pytest.raises(ValueError, match=r"one of 3 .*: give paths\[name\]"):
        dataset.path  # noqa: B018


def test_the_package_manifest():
    entries = {entry.name: entry for entry in list_datasets()}
    assert set(entries) == {
        "retinal-waves",
        "zebrafish-tectum",
        "zebrafish-regions",
        "zebrafish-atlas",
        *(f"zebrafish-fish{k}" for k in range(1, 9)),
        "zebrafish-shared",
    }
    for entry in entries.values():
        assert entry.licence
        assert entry.citation
        assert entry.chapters
        known = [file.sha256 is not None or file.md5 is not None for file in entry.files]
        assert all(known) or entry.name.startswith("zebrafish-fish")
    assert entries["retinal-waves"].n_bytes == 3_150_276 + 3_853_250 + 2_959_930
    assert entries["zebrafish-fish8"].n_bytes is None
    runs = (
        "20180706_Run04 20180911_Run01 20180912_Run01 20180913_Run01 20190109_Run04 "
        "20181206_Run03 20190102_Run01 20181206_Run05"
    )
    for k, run in enumerate(runs.split(), start=1):
        (file,) = entries[f"zebrafish-fish{k}"].files
        assert file.url.startswith("https://gin.g-node.org/vdplasthijs/")
        assert file.url.endswith(f"/full_calcium_data_sets/rbm_fish{k}_{run}.h5")


@pytest.mark.parametrize(
    "name", ["retinal-waves", "zebrafish-tectum", "zebrafish-regions", "zebrafish-atlas"]
)
def test_the_real_files_where_they_are_at_hand(name, monkeypatch, real_data):
    monkeypatch.setenv("CRBM_LITE_DATA", real_data)
    if not os.path.isdir(os.path.join(real_data, name)):
        pytest.skip(f"{name} is not in CRBM_LITE_DATA")
    dataset = fetch(name)  # raises if a size or hash differs
    assert set(dataset.paths) == {file.name for file in dataset.entry.files}


@pytest.fixture(scope="session")
def real_data():
    named = os.environ.get("CRBM_LITE_DATA")
    if not named:
        pytest.skip("CRBM_LITE_DATA is not set")
    return named
