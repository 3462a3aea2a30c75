"""One file over HTTP: progress, retries, and going on where a broken download stopped.

No equations. Bytes arrive in ``.<name>.part`` beside the file, which appears under its own name
only when it is whole and its contents have been checked. A part is continued with a Range request
if the server can say that the file is still the same one (If-Range, by ETag or date, kept in
``.<name>.part.tag``); a server that knows no ranges sends the whole file again. What was pieced
together and is wrong is fetched once more from the start. A body that is longer than
its size, known or announced, or than any recording, is cut off before it fills the disk.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["ContentRefused", "DownloadFailed", "download"]

_TIMEOUT_S = (5, 30)  # to connect, and between two pieces of an answer
_CHUNK_BYTES = 2**13  # a piece that breaks off is lost, so they are small
_RETRIES = 2  # in a row without a new byte
_WAIT_S = 0.5  # before the first retry, doubled each time
_MOST_BYTES = 2**35  # of a file whose size no one tells
_LEFT_FREE_BYTES = 2**30  # of the disk, while such a file arrives
_WORTH_A_RETRY = (408, 429, 500, 502, 503, 504)


class DownloadFailed(OSError):
    """The file could not be had; the message is the reason in a few words."""


class ContentRefused(ValueError):
    """The file came whole and is not the right one; the message says what is wrong with it."""


def download(
    url: str,
    path: Path,
    what_is_wrong: Callable[[Path], str | None],
    *,
    n_bytes: int | None = None,
    progress: bool = False,
) -> None:
    """Fetch a file; it appears at `path` only if nothing is wrong with it.

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
        An OSError: not reached, refused by the server, or broken off again and again. What has
        arrived is kept, and the next call goes on from there.
    ContentRefused
        A ValueError: `what_is_wrong` says so, or the file is too long. Nothing is kept.
    OSError
        If the folder cannot be written, or the disk has too little space.

    Examples
    --------
    >>> download("http://127.0.0.1:9/none", Path("none"), lambda path: None)
    Traceback (most recent call last):
    crbm_lite.datasets.download.DownloadFailed: ConnectionError
    """
    import requests

    part = path.with_name(f".{path.name}.part")
    tag = part.with_name(part.name + ".tag")
    failures, farthest = 0, 0
    while True:
        resumed = False
        try:
            resumed = _receive(url, part, tag, n_bytes, progress)
        except ContentRefused:
            part.unlink(missing_ok=True)
            tag.unlink(missing_ok=True)
            raise
        except requests.RequestException as error:
            size = part.stat().st_size if part.exists() else 0
            failures = 1 if size > farthest else failures + 1
            farthest = max(farthest, size)
            status = getattr(error.response, "status_code", None)
            if failures > _RETRIES or (status is not None and status not in _WORTH_A_RETRY):
                reason = f"HTTP status {status}" if status else type(error).__name__
                raise DownloadFailed(reason) from error
            time.sleep(_WAIT_S * 2 ** (failures - 1))
            continue
        wrong = what_is_wrong(part)
        if wrong is None:
            os.replace(part, path)
            tag.unlink(missing_ok=True)
            return
        part.unlink()
        tag.unlink(missing_ok=True)
        if not resumed:
            raise ContentRefused(wrong)


def _receive(url: str, part: Path, tag: Path, n_bytes: int | None, progress: bool) -> bool:
    """Fetch what is missing of a part; return whether it was continued rather than begun."""
    import requests
    from tqdm.auto import tqdm

    headers = {"Accept-Encoding": "identity"}  # so that the lengths are those of the file
    have = part.stat().st_size if part.exists() else 0
    version = tag.read_text(encoding="ascii", errors="replace") if have and tag.exists() else ""
    if version.isascii() and version.isprintable() and version.strip():
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
        if answer.status_code == 416:  # the part is at least as long as the file: begin again
            part.unlink()
            tag.unlink(missing_ok=True)
            raise requests.ConnectionError("the server has no such range")
        answer.raise_for_status()
        content_range = answer.headers.get("Content-Range", "")
        resumed = answer.status_code == 206 and content_range.startswith(f"bytes {have}-")
        start = have if resumed else 0
        _keep_tag(tag, answer.headers)
        length = answer.headers.get("Content-Length", "")
        encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
        total = start + int(length) if length.isdigit() and not encoded else None
        most, whose = _most_bytes(part, start, total, n_bytes)
        with (
            part.open("ab" if resumed else "wb") as stream,
            tqdm(
                total=total, initial=start, disable=not progress, desc=part.name[1:-5],
                unit="B", unit_scale=True,
            ) as bar,
        ):  # fmt: skip
            for chunk in answer.iter_content(_CHUNK_BYTES):
                if stream.tell() + len(chunk) > most:
                    raise ContentRefused(f"sends more than {whose}")
                stream.write(chunk)
                bar.update(len(chunk))
    if total is not None and part.stat().st_size < total:
        raise requests.ConnectionError("the answer broke off")
    return resumed


def _most_bytes(part: Path, start: int, total: int | None, n_bytes: int | None) -> tuple[int, str]:
    """Where to cut a body off, and why there; errors if it is too long from the outset."""
    if n_bytes is not None and total is not None and total > n_bytes:
        raise ContentRefused(f"announces {total} bytes, it has {n_bytes}")
    free = shutil.disk_usage(part.parent).free
    most = total if n_bytes is None else n_bytes
    if most is None:
        most = min(_MOST_BYTES, start + free - _LEFT_FREE_BYTES)
        return most, f"{most} bytes without saying how many it has"
    if most - start > free:
        raise OSError(errno.ENOSPC, f"{most - start} more bytes are needed, {free} are free")
    return most, f"the {most} bytes that it {'announced' if n_bytes is None else 'has'}"


def _keep_tag(tag: Path, headers: object) -> None:
    """Note what tells this version of the file from another, if the server says."""
    etag = headers.get("ETag", "")
    version = etag if etag.startswith('"') else headers.get("Last-Modified", "")  # not W/ weak ones
    if version.isascii() and version:
        tag.write_text(version, encoding="ascii")
    else:
        tag.unlink(missing_ok=True)
