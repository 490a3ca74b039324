"""Transfers over HTTP: checked by their headers, resumed if interrupted."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from soundtags.errors import (
    InsecureSource,
    NotAModel,
    NotPublished,
    UnreachableSource,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundtags.models.partial_file import Part

BLOCK = 1 << 16  # bytes that are written at a time

HERE = {"localhost", "127.0.0.1", "::1"}
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")

WHOLE, PARTIAL, BEYOND_END = 200, 206, 416
# Statuses after which to try again, as after all from 500 on.
PASSING = {408, BEYOND_END, 425, 429}


def download(part: Part, insecure: bool, timeout: float, pause: float) -> str:
    """Get a file from a server, in three attempts if need be.

    Parameters
    ----------
    part
        The file.
    insecure
        Whether plain HTTP is good enough.
    timeout
        Seconds to wait for the server's next word.
    pause
        Seconds before the second attempt; twice as many before the third.

    Returns
    -------
    str
        The file's digest.

    Raises
    ------
    SoundtagsError
        As :func:`download.fetch` does.
    """
    for wait in (pause, 2 * pause):
        try:
            return _attempt(part, insecure, timeout)
        except UnreachableSource:
            time.sleep(wait)
    return _attempt(part, insecure, timeout)


def _attempt(part: Part, insecure: bool, timeout: float) -> str:
    import pooch  # type: ignore[import-untyped]

    responses = ExitStack()  # whose connections pooch leaves open on errors

    def look(response: Any, **_options: Any) -> None:
        responses.enter_context(response)
        if response.is_redirect:
            target = urljoin(response.url, response.headers["Location"])
            _check_secure(part, target, insecure)
        else:
            _begin(part, response.status_code, response.headers)

    with part.opened(), responses:
        get = pooch.HTTPDownloader(
            chunk_size=BLOCK,
            headers=_request(part),
            timeout=timeout,
            hooks={"response": look},
        )
        try:
            _check_secure(part, part.origin, insecure)
            get(part.origin, part, None)
        except (OSError, ValueError) as exc:  # what requests' errors are
            raise part.failure(UnreachableSource, _root(exc)) from exc
    return part.finish()


def _check_secure(part: Part, url: str, insecure: bool) -> None:
    parts = urlsplit(url)
    allowed = ["https"]
    if insecure or parts.hostname in HERE:
        allowed.append("http")
    if parts.scheme not in allowed:
        raise part.failure(InsecureSource, f"{url} is not HTTPS")


def _request(part: Part) -> dict[str, str]:
    """Return the headers that ask for what is missing."""
    headers = {"Accept-Encoding": "identity"}  # so that sizes are the file's
    if part.done:
        headers["Range"] = f"bytes={part.done}-"
        if part.version:
            headers["If-Range"] = part.version
    return headers


def _begin(part: Part, status: int, headers: Mapping[str, str]) -> None:
    """Judge a response by its headers, and start over if it does."""
    if status == BEYOND_END:
        part.clear()
    if status in PASSING or status >= 500:
        raise part.failure(UnreachableSource, f"HTTP {status}")
    if status not in (WHOLE, PARTIAL):
        raise part.failure(NotPublished, f"not there (HTTP {status})")
    if headers.get("Content-Type", "").lower().startswith("text/html"):
        raise part.failure(NotAModel, "a web page")
    if "Content-Encoding" in headers:
        headers = {}  # nothing in them is about the file as it will be
    start, total = _extent(status, headers)
    part.expect(total)
    known, part.version = part.version, _version(headers)
    changed = None not in (known, part.version) and known != part.version
    if changed or start != part.done:
        part.clear()
        if start:
            raise part.failure(UnreachableSource, "changed meanwhile")
    part.resumed = start > 0


def _extent(status: int, headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Return where in the file a body starts, and the whole file's size."""
    if status == PARTIAL:
        found = RANGE.match(headers.get("Content-Range", ""))
        return (int(found[1]), int(found[2])) if found else (-1, None)
    length = headers.get("Content-Length")
    return 0, int(length) if length else None


def _version(headers: Mapping[str, str]) -> str | None:
    """Return what If-Range takes: a strong ETag, or else a date."""
    etag = headers.get("ETag", "")
    is_strong = etag.startswith('"')
    return etag if is_strong else headers.get("Last-Modified")


def _root(exc: BaseException) -> str:
    """Return the words of the error that others were raised for."""
    for inner in (exc.__cause__, *exc.args):
        if isinstance(inner, BaseException):
            return _root(inner)
    return getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
