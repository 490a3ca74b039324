"""A server on this machine that stands in for upstream, faults and all."""

from __future__ import annotations

import contextlib
import re
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Page:
    """How a request is answered.

    Attributes
    ----------
    body
        The content.
    status, headers
        Sent with it; a header that is None is not sent.
    ranges
        Whether a Range is honoured, where the status is 200.
    cut
        Bytes that are sent before the connection closes; None for all.
    piece, pause
        Bytes that are sent at a time, and seconds before each.
    stalls
        Whether nothing comes after the headers, until the server closes.
    drips
        Whether headers never end; one is sent per pause.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str | None] = field(default_factory=dict)
    ranges: bool = True
    cut: int | None = None
    piece: int = 1 << 20
    pause: float = 0
    stalls: bool = False
    drips: bool = False


@dataclass
class Request:
    """A request, and how many bytes of a body were sent."""

    path: str
    headers: Mapping[str, str]
    sent: int = 0

    @property
    def range(self) -> str | None:
        return self.headers.get("Range")


class Upstream:
    """Serves pages while its `with` block runs.

    Attributes
    ----------
    pages
        Path (as in ``/models/x.pb``) to the pages that its requests get in
        turn; the last one stays. Other paths are not found.
    requests
        All requests so far.
    """

    def __init__(self) -> None:
        self.pages: dict[str, list[Page]] = defaultdict(
            lambda: [Page(b"no such page", 404)]
        )
        self.requests: list[Request] = []
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"upstream": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        """Address of the folder of models."""
        return f"http://127.0.0.1:{self._server.server_port}/models/"

    def serve(self, path: str, *pages: Page | bytes) -> None:
        """Set the answers to requests for a path in the folder of models."""
        self.pages[f"/models/{path}"] = [
            Page(page) if isinstance(page, bytes) else page for page in pages
        ]

    def __enter__(self) -> Upstream:
        threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        ).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    upstream: Upstream

    def do_GET(self) -> None:
        request = Request(self.path, self.headers)
        self.upstream.requests.append(request)
        pages = self.upstream.pages[self.path]
        page = pages.pop(0) if len(pages) > 1 else pages[0]
        with contextlib.suppress(ConnectionError):  # the client may hang up
            self._answer(page, request)

    def _answer(self, page: Page, request: Request) -> None:
        start = self._start(page, request)
        status, body = page.status, page.body[start:]
        headers = {"Content-Length": str(len(body))}
        size = len(page.body)
        if start >= size > 0:
            status, body, headers = 416, b"", {"Content-Length": "0"}
        elif start:
            status = 206
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        self.send_response(status)
        for name, value in {**headers, **page.headers}.items():
            if value is not None:
                self.send_header(name, value)
        while page.drips and not self.upstream.closing.wait(page.pause):
            self.flush_headers()
            self.send_header("Drip", "x")
        self.end_headers()
        if page.stalls:
            self.upstream.closing.wait()
        body = body[: page.cut]
        for at in range(0, len(body), page.piece):
            self.upstream.closing.wait(page.pause)
            piece = body[at : at + page.piece]
            request.sent += len(piece)  # first, as the client may be quick
            self.wfile.write(piece)

    def _start(self, page: Page, request: Request) -> int:
        """Return the first byte that is wanted of a page."""
        condition = request.headers.get("If-Range")
        is_changed = condition not in (None, page.headers.get("ETag"))
        asked = re.fullmatch(r"bytes=(\d+)-", request.range or "")
        if asked is None or is_changed or not page.ranges or page.status != 200:
            return 0
        return int(asked[1])

    def log_message(self, *_args: Any) -> None:
        pass
