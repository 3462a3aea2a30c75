"""One file over HTTP, with progress and retries; a broken download goes on where it stopped.

Bytes arrive in ``.<name>.part`` beside the file, which appears under its own name only when it is
whole and its contents have been checked. A part is continued with a Range request if the server can
say that the file is still the same one: If-Range carries its ETag or its date, which is kept in
``.<name>.part.tag``. A server that knows no ranges sends the whole file again. A file that was
pieced together and is wrong is fetched once more from the start. A body that is longer than its
size (known or announced), or than any recording, is cut off before it fills the disk.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["ContentRefused", "DownloadFailed", "download_file"]

_TIMEOUT_S = (5, 30)  # to connect, and between two pieces of an answer
_CHUNK_BYTES = 2**13  # a piece that breaks off is lost, so they are small
_RETRIES = 2  # in a row without a new byte
_WAIT_S = 0.5  # before the first retry, doubled each time
_MOST_BYTES = 2**35  # of a file whose size is not known
_LEFT_FREE_BYTES = 2**30  # of the disk, while such a file arrives
_WITH_THE_FILE = (200, 203, 206)  # the statuses of an answer that holds the file, or a range of it
_WORTH_A_RETRY = (408, 429, 500, 502, 503, 504)


class DownloadFailed(OSError):
    """The file could not be downloaded; the message gives the reason in a few words."""


class ContentRefused(ValueError):
    """The server sent something that is not the file; the message says what is wrong with it."""


class _BrokenOff(Exception):
    """An answer that cannot be used as it came, though the next one may be good."""


def download_file(
    url: str,
    path: Path,
    what_is_wrong: Callable[[Path], str | None],
    *,
    n_bytes: int | None = None,
    progress: bool = False,
) -> None:
    """Download a file; it appears at `path` only if nothing is wrong with it.

    Parameters
    ----------
    url : str
        An http or https address.
    path : pathlib.Path
        Where the file belongs; its folder exists.
    what_is_wrong : callable
        Takes the path of the finished part and says what is wrong with its contents, or None.
    n_bytes : int, optional
        The size of the file, if it is known; nothing longer is received.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    DownloadFailed
        An OSError: the server was not reached, or it refused, or it broke off again and again.
        What has arrived is kept, and the next call goes on from there.
    ContentRefused
        A ValueError: `what_is_wrong` says so, or the file is too long. Nothing is kept.
    OSError
        If the folder cannot be written, or the disk has too little space. What has arrived is kept
        here too.

    Examples
    --------
    >>> download_file("http://127.0.0.1:9/none", Path("none"), lambda path: None)
    Traceback (most recent call last):
    crbm_lite.datasets.download.DownloadFailed: ConnectionError
    """
    import requests

    part = path.with_name(f".{path.name}.part")
    failures, farthest = 0, 0
    while True:
        try:
            continued = _receive(url, part, n_bytes, progress)
        except ContentRefused:
            _drop(part)
            raise
        except (_BrokenOff, requests.RequestException) as error:
            size = _size(part)
            failures = 1 if size > farthest else failures + 1
            farthest = max(farthest, size)
            status = getattr(getattr(error, "response", None), "status_code", None)
            if failures > _RETRIES or (status is not None and status not in _WORTH_A_RETRY):
                ours = isinstance(error, _BrokenOff)
                reason = str(error) if ours else type(error).__name__
                raise DownloadFailed(f"HTTP status {status}" if status else reason) from error
            time.sleep(_WAIT_S * 2 ** (failures - 1))
            continue
        wrong = what_is_wrong(part)
        if wrong is None:
            os.replace(part, path)
            _tag(part).unlink(missing_ok=True)
            return
        _drop(part)
        if not continued:
            raise ContentRefused(wrong)


def _receive(url: str, part: Path, n_bytes: int | None, progress: bool) -> bool:
    """Receive what is missing of a part; return whether it was continued rather than begun."""
    import requests
    from tqdm.auto import tqdm

    headers = {"Accept-Encoding": "identity"}  # so that the lengths are those of the file
    have = _size(part)
    version = _version(part) if have else ""
    if version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        answer = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S)
    except requests.RequestException:
        raise
    except OSError as error:  # of the network too, such as certificates that cannot be read
        raise _BrokenOff(" ".join(str(error).split())) from error
    with answer:
        content_range = answer.headers.get("Content-Range", "")
        if answer.status_code == 416 and version:
            if content_range == f"bytes */{have}":  # whole already, but never checked
                return True
            _drop(part)
            raise _BrokenOff("the server does not have the range that is missing")
        if answer.status_code not in _WITH_THE_FILE:
            raise requests.HTTPError(response=answer)
        continued = answer.status_code == 206
        if continued and not (version and content_range.startswith(f"bytes {have}-")):
            _drop(part)
            raise _BrokenOff("the server sent another range than the one that is missing")
        start = have if continued else 0
        _keep_version(part, answer.headers)
        length = answer.headers.get("Content-Length", "")
        encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
        total = start + int(length) if length.isdigit() and not encoded else None
        most, too_long = _most_bytes(part, start, total, n_bytes)
        with (
            part.open("ab" if continued else "wb") as stream,
            tqdm(
                total=total, initial=start, disable=not progress, desc=part.name[1:-5],
                unit="B", unit_scale=True,
            ) as bar,
        ):  # fmt: skip
            for chunk in answer.iter_content(_CHUNK_BYTES):
                if stream.tell() + len(chunk) > most:
                    raise too_long
                stream.write(chunk)
                bar.update(len(chunk))
    if total is not None and _size(part) < total:
        raise _BrokenOff("the answer broke off")
    return continued


def _most_bytes(
    part: Path, start: int, total: int | None, n_bytes: int | None
) -> tuple[int, Exception]:
    """Return where to cut a body off, and the error to raise there.

    A body that is too long from the outset raises at once.
    """
    free = shutil.disk_usage(part.parent).free
    if n_bytes is not None and total is not None and total > n_bytes:
        raise ContentRefused(f"announces {total} bytes: it should have {n_bytes}")
    most = total if n_bytes is None else n_bytes
    if most is not None:
        if most - start > free:
            raise OSError(errno.ENOSPC, f"{most - start} more bytes are needed, {free} are free")
        whose = "announced" if n_bytes is None else "should have"
        return most, ContentRefused(f"sends more than the {most} bytes that it {whose}")
    room = start + free - _LEFT_FREE_BYTES
    if room < _MOST_BYTES:
        told = f"its size is not known, and {_LEFT_FREE_BYTES} bytes of the disk are left free"
        return room, OSError(errno.ENOSPC, told)
    told = f"sends more than {_MOST_BYTES} bytes without saying how many it has"
    return _MOST_BYTES, ContentRefused(told)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _tag(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag(part).unlink(missing_ok=True)


def _version(part: Path) -> str:
    """Read which version of the file a part is of; empty if that is not known."""
    tag = _tag(part)
    version = tag.read_text(encoding="ascii", errors="replace") if tag.exists() else ""
    return version.strip() if version.isascii() and version.isprintable() else ""


def _keep_version(part: Path, headers: Mapping[str, str]) -> None:
    """Note what tells this version of the file from another, if the server says so."""
    etag = headers.get("ETag", "")
    version = etag if etag.startswith('"') else headers.get("Last-Modified", "")  # not W/ weak ones
    if version.isascii() and version:
        _tag(part).write_text(version, encoding="ascii")
    else:
        _tag(part).unlink(missing_ok=True)
