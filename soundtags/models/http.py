"""Transfers over HTTP: checked by their headers, resumed if interrupted."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import Future, wait
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from soundtags.errors import (
    InsecureSource,
    NotAModel,
    NotPublished,
    Stopped,
    UnreachableHost,
    UnreachableSource,
)
from soundtags.models.partial_file import REMEDIES
from soundtags.models.source import (
    is_secure,
    without_password,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from soundtags.errors import SoundtagsError
    from soundtags.models.partial_file import Part

BLOCK = 1 << 16  # bytes that are written at a time
SLOWEST = 4000  # bytes per second, on average
GRACE = 2  # timeouts that pass before the average counts
NOT_A_GRAPH = re.compile(r"text/html|.*[/+](xml|json)\b", re.IGNORECASE)

RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")

WHOLE, PARTIAL, BEYOND_END = 200, 206, 416
# Statuses after which to try again, besides all from 500 on.
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
        Seconds to wait for the server to send something.
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
    for seconds in (pause, 2 * pause):
        try:
            return _attempt(part, insecure, timeout)
        except UnreachableSource:
            time.sleep(seconds)
    return _attempt(part, insecure, timeout)


def _attempt(part: Part, insecure: bool, timeout: float) -> str:
    with part.opened():
        _Transfer(part, insecure, timeout).run()
    return part.finish()


class _Transfer:
    """One attempt to get a file.

    It runs in a thread of its own: a server, or anything on the way to it, can
    be slow in more ways than there are timeouts for. A thread that is too slow
    is left behind, and can no longer write to the file.
    """

    def __init__(self, part: Part, insecure: bool, timeout: float) -> None:
        self._part = part
        self._insecure = insecure
        self._timeout = timeout
        self._came = 0  # bytes
        self._abandoned = False
        self._lock = threading.Lock()

    def run(self) -> None:
        """Get what is missing.

        Raises
        ------
        SoundtagsError
            As :func:`download.fetch` does.
        """
        # Loaded before the clock starts: the server is not to blame for that.
        from pooch import HTTPDownloader  # type: ignore[import-untyped]

        result: Future[None] = Future()

        def work() -> None:
            try:
                self._get(HTTPDownloader)
                result.set_result(None)
            except BaseException as exc:
                result.set_exception(exc)

        begun = time.monotonic()
        threading.Thread(target=work, name="soundtags", daemon=True).start()
        try:
            while not result.done():
                took = time.monotonic() - begun
                left = GRACE * self._timeout + self._came / SLOWEST - took
                if left < 0:
                    cause = f"too slow: {self._came} bytes in {took:.0f} s"
                    raise self._part.failure(UnreachableSource, cause)
                wait([result], left)
        finally:
            with self._lock:
                self._abandoned = True
        result.result()

    def write(self, block: bytes) -> None:
        """Write a block to the file; pooch calls this."""
        with self._lock:
            self._check_wanted()
            self._part.write(block)
            self._came += len(block)

    def flush(self) -> None:
        with self._lock:
            self._check_wanted()
            self._part.flush()

    def _check_wanted(self) -> None:
        if self._abandoned:
            raise Stopped

    def _get(self, downloader: Callable[..., Any]) -> None:
        with ExitStack() as responses:  # which pooch leaves open on errors

            def look(response: Any, **_options: Any) -> None:
                responses.enter_context(response)
                with self._lock:
                    self._check_wanted()
                    self._look(response)

            get = downloader(
                chunk_size=BLOCK,
                headers=_request(self._part),
                timeout=self._timeout,
                hooks={"response": look},
            )
            try:
                get(self._part.origin, self, None)
            except (OSError, ValueError) as exc:  # as requests raises
                raise self._failure(exc) from exc

    def _look(self, response: Any) -> None:
        """Check a response before its body arrives."""
        if not response.is_redirect:
            _begin(self._part, response.status_code, response.headers)
            return
        target = urljoin(response.url, response.headers["Location"])
        if not is_secure(target, self._insecure):
            raise self._part.failure(InsecureSource, f"{target} is not HTTPS")

    def _failure(self, exc: Exception) -> SoundtagsError:
        """Return the error to raise: the host's if it cannot be reached."""
        if not _has_no_connection(exc, urlsplit(self._part.origin).hostname):
            return self._part.failure(UnreachableSource, _root(exc))
        parts = urlsplit(without_password(self._part.origin))
        return UnreachableHost(
            f"{parts.scheme}://{parts.netloc} cannot be reached: {_root(exc)};"
            f" {REMEDIES[UnreachableSource]}"
        )


def _has_no_connection(exc: Exception, host: str | None) -> bool:
    """Return whether an error says that there is no connection to a host."""
    from requests import exceptions
    from urllib3.exceptions import NewConnectionError

    request = getattr(exc, "request", None)
    if request is None or urlsplit(request.url).hostname != host:
        return False  # such as one that a redirect leads to
    kinds = (
        NewConnectionError,
        exceptions.ConnectTimeout,
        exceptions.ProxyError,
        exceptions.SSLError,
    )
    return any(isinstance(each, kinds) for each in _causes(exc))


def _request(part: Part) -> dict[str, str]:
    """Return the headers that ask for what is missing."""
    headers = {"Accept-Encoding": "identity"}  # so that sizes are the file's
    if part.done:
        headers["Range"] = f"bytes={part.done}-"
        if part.version:
            headers["If-Range"] = part.version
    return headers


def _begin(part: Part, status: int, headers: Mapping[str, str]) -> None:
    """Check a response's headers; start over unless it continues the file."""
    if status == BEYOND_END:
        part.clear()
    if status in PASSING or status >= 500:
        raise part.failure(UnreachableSource, f"HTTP {status}")
    if status not in (WHOLE, PARTIAL):
        raise part.failure(NotPublished, f"not there (HTTP {status})")
    if NOT_A_GRAPH.match(headers.get("Content-Type", "")):
        raise part.failure(NotAModel, "a web page, or text")
    if "Content-Encoding" in headers:
        headers = {}  # they describe the encoded content, not the file
    start, total = _extent(status, headers)
    part.expect(total)
    known, part.version = part.version, _version(headers)
    changed = None not in (known, part.version) and known != part.version
    if changed or start != part.done:
        part.clear()
        if start:
            raise part.failure(UnreachableSource, "changed during the transfer")
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


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield an error, and the errors that caused it, innermost last."""
    yield exc
    reason = getattr(exc, "reason", None)  # of urllib3's errors
    for inner in (exc.__cause__, reason, *exc.args):
        if isinstance(inner, BaseException):
            yield from _causes(inner)
            return


def _root(exc: BaseException) -> str:
    """Return the message of an error's innermost cause."""
    *_, root = _causes(exc)
    return getattr(root, "strerror", None) or str(root) or type(root).__name__
