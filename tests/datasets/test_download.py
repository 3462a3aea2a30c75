"""Downloads against a local server that breaks off, corrupts, and does or does not know ranges."""

import gzip
import http.server
import threading
from pathlib import Path

import pytest

from crbm_lite.datasets import download as module
from crbm_lite.datasets.download import ContentRefused, DownloadFailed, download_file

CONTENT = bytes(range(256)) * 1000
PIECE = 8192  # what arrived of a broken piece is lost


class Site:
    """What the server does next; each plan is taken once, the last one for ever."""

    def __init__(self):
        self.content, self.etag = CONTENT, '"v1"'
        self.ranges = True
        self.plans = [{}]
        self.asked = []  # the Range headers
        self.sent = 0  # bytes of endless bodies

    def next(self):
        return self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "_WAIT_S", 0)
    site = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            plan, wanted = site.next(), self.headers.get("Range")
            site.asked.append(wanted)
            if "status" in plan:
                self.send_error(plan["status"])
                return
            if "endless" in plan:
                self.send_response(200)
                for header in plan["endless"].items():
                    self.send_header(*header)
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(plan.get("piece", bytes(PIECE)))
                        site.sent += PIECE
                except OSError:  # the other side has hung up
                    return
            content = plan.get("content", site.content)
            same = self.headers.get("If-Range") == site.etag
            first = int(wanted[6:-1]) if wanted and site.ranges and same else 0
            if wanted and first >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            first = plan.get("another range", first)
            self.send_response(206 if first else 200)
            if first:
                last = f"{len(content) - 1}/{len(content)}"
                self.send_header("Content-Range", f"bytes {first}-{last}")
            if site.etag:
                self.send_header("ETag", site.etag)
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            self.wfile.write(content[first : first + plan.get("cut", len(content))])

        def log_message(self, *args):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.url = f"http://127.0.0.1:{httpd.server_port}/file"
    yield site
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def is_wrong(path: Path):
    return None if path.read_bytes() == CONTENT else "is not the right one"


def test_a_broken_download_goes_on_where_it_stopped(site, tmp_path):
    site.plans = [{"cut": 12 * PIECE}, {"cut": 6 * PIECE}, {}]
    path = tmp_path / "file"
    download_file(site.url, path, is_wrong)
    assert path.read_bytes() == CONTENT
    assert site.asked == [None, f"bytes={12 * PIECE}-", f"bytes={18 * PIECE}-"]
    assert list(tmp_path.iterdir()) == [path]


def test_more_breaks_than_retries_do_no_harm_while_bytes_arrive(site, tmp_path):
    site.plans = [{"cut": 2 * PIECE}] * 20
    download_file(site.url, tmp_path / "file", is_wrong)
    assert len(site.asked) == -(-len(CONTENT) // (2 * PIECE))


def test_the_next_call_goes_on_too(site, tmp_path):
    site.plans = [{"cut": 12 * PIECE}, *[{"cut": 0}] * 3, {}]
    with pytest.raises(DownloadFailed):
        download_file(site.url, tmp_path / "file", is_wrong)
    assert not (tmp_path / "file").exists()
    assert (tmp_path / ".file.part").stat().st_size == 12 * PIECE
    download_file(site.url, tmp_path / "file", is_wrong)
    assert site.asked[-1] == f"bytes={12 * PIECE}-"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("how", ["no ranges", "no tag", "changed"])
def test_begun_again_where_a_part_cannot_be_continued(how, site, tmp_path):
    """The old part, which holds other bytes, is not used."""
    site.plans = [{"cut": 100_000, "content": CONTENT[::-1]}, *[{"cut": 0}] * 2, {}]
    site.etag = None if how == "no tag" else site.etag
    with pytest.raises(DownloadFailed):
        download_file(site.url, tmp_path / "file", is_wrong)
    site.plans, site.ranges = [{}], how != "no ranges"
    site.etag = '"v2"' if how == "changed" else site.etag
    download_file(site.url, tmp_path / "file", is_wrong)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_dropped(site, tmp_path):
    (tmp_path / ".file.part").write_bytes(bytes(len(CONTENT) + 1))
    (tmp_path / ".file.part.tag").write_text(site.etag)
    download_file(site.url, tmp_path / "file", is_wrong)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(("content", "asked"), [(CONTENT, 1), (CONTENT[::-1], 2)])
def test_a_part_that_is_whole_is_checked_and_not_fetched_again(content, asked, site, tmp_path):
    (tmp_path / ".file.part").write_bytes(content)
    (tmp_path / ".file.part.tag").write_text(site.etag)
    download_file(site.url, tmp_path / "file", is_wrong)
    assert len(site.asked) == asked
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_range_that_nobody_asked_for_is_not_taken_for_the_file(site, tmp_path):
    site.plans = [{"cut": 12 * PIECE}, {"another range": 5 * PIECE}, {}]
    download_file(site.url, tmp_path / "file", lambda path: None)  # nothing is known of it
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_an_error_of_the_network_is_not_told_as_one_of_the_disk(site, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(DownloadFailed, match="TLS CA certificate bundle"):
        download_file("https://127.0.0.1:9/file", tmp_path / "file", is_wrong)


def test_a_damaged_part_is_noticed_and_fetched_from_the_start(site, tmp_path):
    (tmp_path / ".file.part").write_bytes(b"x" * 1000)
    (tmp_path / ".file.part.tag").write_text(site.etag)
    download_file(site.url, tmp_path / "file", is_wrong)
    assert site.asked == ["bytes=1000-", None]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_wrong_contents_are_refused_and_nothing_is_kept(site, tmp_path):
    site.content = CONTENT[:-1] + b"!"
    with pytest.raises(ContentRefused, match="is not the right one"):
        download_file(site.url, tmp_path / "file", is_wrong)
    assert not list(tmp_path.iterdir())


CHUNKED = {"Transfer-Encoding": "chunked"}
CHUNK = b"%x\r\n%b\r\n" % (PIECE, bytes(PIECE))
GZIP = gzip.compress(bytes(64 * PIECE))
ENDLESS = {
    "no length, size unknown": ({"endless": {}}, None, "sends more than 100000 bytes without"),
    "no length, size known": (
        {"endless": {}}, 99_999, "more than the 99999 bytes that it should have",
    ),
    "chunked": ({"endless": CHUNKED, "piece": CHUNK}, None, "sends more than 100000 bytes"),
    "chunked, with a length": (
        {"endless": CHUNKED | {"Content-Length": "50"}, "piece": CHUNK}, None, "sends more than",
    ),
    "announced too long": (
        {"endless": {"Content-Length": "1000000"}}, 99_999, "1000000 bytes: it should have 99999",
    ),
    "a small body that swells": (
        {"endless": {"Content-Encoding": "gzip"}, "piece": GZIP}, None, "sends more than 100000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDLESS)
def test_an_endless_body_is_cut_off_and_not_kept(case, site, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 100_000)
    plan, n_bytes, message = ENDLESS[case]
    site.plans = [plan]
    with pytest.raises(ContentRefused, match=message):
        download_file(site.url, tmp_path / "file", is_wrong, n_bytes=n_bytes)
    assert site.asked == [None]
    assert site.sent < 2**26  # what the sockets hold
    assert not list(tmp_path.iterdir())


def test_an_endless_rest_of_a_broken_download_is_cut_off_too(site, tmp_path):
    site.plans = [{"cut": 12 * PIECE}, {"content": CONTENT + bytes(10)}]
    with pytest.raises(ContentRefused, match=f"announces {len(CONTENT) + 10} bytes"):
        download_file(site.url, tmp_path / "file", is_wrong, n_bytes=len(CONTENT))
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_too_small_is_told_before_a_byte_arrives(site, tmp_path, monkeypatch):
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: free)
    with pytest.raises(OSError, match=f"{len(CONTENT)} more bytes are needed, 1000 are free"):
        download_file(site.url, tmp_path / "file", is_wrong)
    assert not (tmp_path / "file").exists()
    assert not (tmp_path / ".file.part").exists()
    site.plans = [{"endless": {}}]
    with pytest.raises(OSError, match=r"size is not known, and 1073741824 bytes .* left free"):
        download_file(site.url, tmp_path / "file", is_wrong)


def test_a_damaged_tag_is_not_sent(site, tmp_path):
    for damage in (b"\xff\xfe", b'"v1"\r\nX: y', b"  "):
        (tmp_path / ".file.part").write_bytes(CONTENT[:1000])
        (tmp_path / ".file.part.tag").write_bytes(damage)
        download_file(site.url, tmp_path / "file", is_wrong)
    assert site.asked == [None] * 3


@pytest.mark.parametrize(
    ("status", "tries"), [(503, 3), (429, 3), (404, 1), (403, 1), (416, 1), (204, 1)]
)
def test_only_what_may_pass_is_tried_again(status, tries, site, tmp_path):
    site.plans = [{"status": status}]
    with pytest.raises(DownloadFailed, match=f"HTTP status {status}"):
        download_file(site.url, tmp_path / "file", is_wrong)
    assert len(site.asked) == tries


def test_a_busy_server_is_waited_for(site, tmp_path):
    site.plans = [{"status": 503}, {"status": 503}, {}]
    download_file(site.url, tmp_path / "file", is_wrong)
    assert (tmp_path / "file").exists()


def test_an_existing_file_stays_until_its_successor_is_whole(site, tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    site.plans = [{"cut": 10}, *[{"cut": 0}] * 3]
    with pytest.raises(DownloadFailed):
        download_file(site.url, tmp_path / "file", is_wrong)
    assert (tmp_path / "file").read_bytes() == b"old"


def test_progress_counts_the_bytes_of_the_whole_file(site, tmp_path, capsys):
    site.plans = [{"cut": 125 * 1024 + 7}, {}]
    download_file(site.url, tmp_path / "file", is_wrong, progress=True)
    shown = capsys.readouterr().err
    assert "file: 100%" in shown
    assert "256k/256k" in shown
    assert shown.count(" 48%") == 2  # the second bar begins where the first ended
