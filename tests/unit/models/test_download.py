"""Models come whole and verified, or not at all, with one clear line."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.upstream import Page, Upstream

from soundtags import errors
from soundtags.errors import UnreachableHost
from soundtags.models import checksums, folder_lock, partial_file
from soundtags.models.catalogue import File
from soundtags.models.download import Fetched, fetch
from soundtags.models.http import BLOCK

CUT = 2 * BLOCK  # where transfers break off
SHORT = 0.5  # seconds to wait for a slow server
BODY = bytes(range(256)) * (3 * BLOCK // 256) + b"the end"
OTHER = BODY[::-1]
SHA256 = hashlib.sha256(BODY).hexdigest()

PATH = "classifiers/danceability/danceability-2.pb"
NAME = "danceability-2.pb"
PART = f"{NAME}.part"
KNOWN = File(PATH, SHA256)
UNKNOWN = File(PATH)

# How a graph may begin whose first operation takes as many bytes as "<" says.
GRAPH = b"\n<\n\x11model/Placeholder\x12\x0bPlaceholder" + bytes(40)
WEB_PAGE = b"\n<!DOCTYPE html><title>Log in to this network</title>"
ETAG = {"ETag": '"one"'}


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the hosts that are looked up; only ours is found."""
    hosts: list[str] = []
    look_up = socket.getaddrinfo

    def ask(host: str, *args: Any, **kwargs: Any) -> Any:
        hosts.append(host)
        if host == "127.0.0.1":
            return look_up(host, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    monkeypatch.setenv("NO_PROXY", "*")
    return hosts


@pytest.fixture
def upstream():
    with Upstream() as served:
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "beets" / "models"


def get(
    source: str | Path | Upstream,
    folder: Path,
    *candidates: File,
    **options: Any,
) -> Fetched:
    address = source.url if isinstance(source, Upstream) else str(source)
    options = {"pause": 0, "timeout": 5, **options}
    return fetch(candidates or [KNOWN], folder, address, **options)


def names(folder: Path) -> set[str]:
    """Return the files in a folder, but for the lock."""
    return {path.name for path in folder.glob("*")} - {folder_lock.FILE}


def check(fetched: Fetched, folder: Path, body: bytes = BODY) -> None:
    """Check that a file has come with its record, and nothing else."""
    name, sha256 = fetched.path.name, hashlib.sha256(body).hexdigest()
    assert fetched.path == folder / name
    assert fetched.path.read_bytes() == body
    assert fetched.sha256 == sha256
    assert checksums.recorded(folder) == {name: sha256}
    assert names(folder) == {name, checksums.FILE}


def check_line(error: pytest.ExceptionInfo[Exception], *expected: str) -> None:
    """Check that a message is one line with the name and other words."""
    check_words(error, NAME, *expected)


def check_words(error: pytest.ExceptionInfo[Exception], *expected: str) -> None:
    line = str(error.value)
    for words in expected:
        assert words in line
    assert "\n" not in line
    assert "0x" not in line


def at_once(*programs: str) -> None:
    """Run programs in Python at the same time, until all have ended."""
    running = [
        subprocess.Popen([sys.executable, "-c", program])
        for program in programs
    ]
    assert [each.wait(60) for each in running] == [0] * len(running)


def fetching(upstream: Upstream, folder: Path, path: str) -> str:
    """Return a program that fetches a file of which nothing is known."""
    return (
        "from pathlib import Path\n"
        "from soundtags.models.catalogue import File\n"
        "from soundtags.models.download import fetch\n"
        f"fetch([File({path!r})], Path({str(folder)!r}), {upstream.url!r})\n"
    )


def put(path: Path, body: bytes = BODY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def leave(folder: Path, content: bytes) -> None:
    """Leave the part of a file, as an earlier transfer would."""
    put(folder / PART, content)


@pytest.mark.parametrize("candidate", [KNOWN, UNKNOWN])
@pytest.mark.parametrize("end", ["/", ""])
def test_a_file_comes_whole(
    upstream: Upstream, folder: Path, candidate: File, end: str
):
    upstream.serve(PATH, BODY)
    fetched = get(upstream.url.rstrip("/") + end, folder, candidate)
    check(fetched, folder)
    assert fetched.path.name == NAME
    assert fetched.origin == upstream.url + PATH
    assert fetched.known == (candidate is KNOWN)
    (request,) = upstream.requests
    assert request.range is None
    assert request.headers["Accept-Encoding"] == "identity"


def test_progress_is_reported(upstream: Upstream, folder: Path):
    upstream.serve(PATH, BODY)
    reports: list[tuple[int, int | None]] = []
    get(upstream, folder, report=lambda *report: reports.append(report))
    assert reports == [
        (done, len(BODY)) for done in (BLOCK, 2 * BLOCK, 3 * BLOCK, len(BODY))
    ]


def test_a_file_of_unknown_length_comes_whole(upstream: Upstream, folder: Path):
    upstream.serve(PATH, Page(BODY, headers={"Content-Length": None}))
    totals = set()
    check(
        get(upstream, folder, report=lambda _, all_: totals.add(all_)), folder
    )
    assert totals == {None}


@pytest.mark.parametrize(
    ("candidate", "headers"), [(KNOWN, {}), (KNOWN, ETAG), (UNKNOWN, ETAG)]
)
def test_a_broken_transfer_is_continued(
    upstream: Upstream,
    folder: Path,
    candidate: File,
    headers: dict[str, str],
):
    page = Page(BODY, headers=headers)
    upstream.serve(PATH, Page(BODY, headers=headers, cut=CUT), page)
    check(get(upstream, folder, candidate), folder)
    first, second = upstream.requests
    assert first.range is None
    assert second.range == f"bytes={CUT}-"
    assert second.headers.get("If-Range") == headers.get("ETag")
    assert first.sent + second.sent == len(BODY)


def test_a_date_is_trusted_rather_than_a_weak_etag(
    upstream: Upstream, folder: Path
):
    headers = {"ETag": 'W/"one"', "Last-Modified": "Sat, 01 Mar 2025"}
    upstream.serve(PATH, Page(BODY, headers=headers, cut=CUT), BODY)
    check(get(upstream, folder, UNKNOWN), folder)
    second = upstream.requests[1]
    assert second.headers.get("If-Range") == headers["Last-Modified"]


def test_a_transfer_that_cannot_be_verified_is_not_continued(
    upstream: Upstream, folder: Path
):
    upstream.serve(PATH, Page(OTHER, cut=CUT), BODY)
    check(get(upstream, folder, UNKNOWN), folder)
    assert [request.range for request in upstream.requests] == [None, None]


def test_a_server_may_ignore_ranges(upstream: Upstream, folder: Path):
    upstream.serve(PATH, Page(BODY, cut=CUT), Page(BODY, ranges=False))
    check(get(upstream, folder), folder)
    assert upstream.requests[1].range == f"bytes={CUT}-"


def test_a_file_that_changed_meanwhile_is_started_over(
    upstream: Upstream, folder: Path
):
    changed = Page(BODY, headers={"ETag": '"two"'})
    upstream.serve(PATH, Page(OTHER, headers=ETAG, cut=CUT), changed)
    check(get(upstream, folder, UNKNOWN), folder)
    assert [request.sent for request in upstream.requests] == [CUT, len(BODY)]


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"two"', "Content-Range": f"bytes {CUT}-9/10"},
        {"Content-Range": f"bytes 1-9/{len(BODY)}"},
        {"Content-Range": f"bytes {CUT}-9/*"},
        {},
    ],
)
def test_an_answer_with_another_range_is_started_over(
    upstream: Upstream, folder: Path, headers: dict[str, str]
):
    wrong = Page(OTHER, 206, headers, ranges=False)
    upstream.serve(PATH, Page(BODY, headers=ETAG, cut=CUT), wrong, BODY)
    check(get(upstream, folder, UNKNOWN), folder)
    ranges = [request.range for request in upstream.requests]
    assert ranges == [None, f"bytes={CUT}-", None]


def test_a_file_shorter_than_announced_is_an_error(
    upstream: Upstream, folder: Path
):
    promise = {**ETAG, "Content-Range": f"bytes {CUT}-9/{len(BODY) + 1}"}
    short = Page(BODY[CUT:], 206, promise)
    upstream.serve(PATH, Page(BODY, headers=ETAG, cut=CUT), short)
    with pytest.raises(errors.UnreachableSource):
        get(upstream, folder, UNKNOWN)
    assert names(folder) == set()


@pytest.mark.parametrize("pages", [1, 2])
def test_a_file_may_come_compressed_but_is_not_continued_then(
    upstream: Upstream, folder: Path, pages: int
):
    body = gzip.compress(os.urandom(CUT) + BODY)
    headers = {**ETAG, "Content-Encoding": "gzip"}
    page = Page(body, headers=headers)
    upstream.serve(PATH, *[Page(body, headers=headers, cut=CUT), page][-pages:])
    check(get(upstream, folder, UNKNOWN), folder, gzip.decompress(body))
    assert {request.range for request in upstream.requests} == {None}
    assert len(upstream.requests) == pages


@pytest.mark.parametrize("candidate", [KNOWN, UNKNOWN])
def test_a_transfer_that_always_breaks_is_an_error(
    upstream: Upstream, folder: Path, candidate: File
):
    upstream.serve(PATH, Page(BODY, cut=CUT, ranges=False))
    with pytest.raises(errors.UnreachableSource) as error:
        get(upstream, folder, candidate, File("never/asked.pb"))
    check_line(error, upstream.url + PATH, "try again later")
    assert len(upstream.requests) == 3
    # What can be verified once it is whole is worth keeping.
    assert names(folder) == ({PART} if candidate is KNOWN else set())


def test_a_left_over_part_is_continued(upstream: Upstream, folder: Path):
    leave(folder, BODY[:100])
    upstream.serve(PATH, BODY)
    check(get(upstream, folder), folder)
    (request,) = upstream.requests
    assert (request.range, request.sent) == ("bytes=100-", len(BODY) - 100)


def test_a_left_over_part_survives_where_the_file_is_not(
    upstream: Upstream, folder: Path
):
    leave(folder, BODY[:100])
    upstream.serve(f"elsewhere/{NAME}", BODY)
    elsewhere = File(f"elsewhere/{NAME}", SHA256)
    check(get(upstream, folder, KNOWN, elsewhere), folder)
    assert upstream.requests[1].range == "bytes=100-"


def test_a_left_over_part_without_digest_is_not_continued(
    upstream: Upstream, folder: Path
):
    leave(folder, OTHER[:100])
    upstream.serve(PATH, BODY)
    check(get(upstream, folder, UNKNOWN), folder)
    assert [request.range for request in upstream.requests] == [None]


@pytest.mark.parametrize("left", [OTHER[:100], BODY, OTHER + BODY])
def test_a_left_over_part_that_is_wrong_is_started_over(
    upstream: Upstream, folder: Path, left: bytes
):
    leave(folder, left)
    upstream.serve(PATH, BODY)
    check(get(upstream, folder), folder)
    ranges = [request.range for request in upstream.requests]
    assert ranges == [f"bytes={len(left)}-", None]


def test_another_file_is_refused(upstream: Upstream, folder: Path):
    upstream.serve(PATH, OTHER)
    with pytest.raises(errors.WrongDigest) as error:
        get(upstream, folder)
    check_line(error, upstream.url + PATH, SHA256, "another source")
    assert names(folder) == set()
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("headers", [{}, {"Content-Length": None}])
def test_a_file_of_another_size_is_refused(
    upstream: Upstream, folder: Path, headers: dict[str, str | None]
):
    upstream.serve(PATH, Page(BODY, headers=headers))
    with pytest.raises(errors.WrongDigest) as error:
        get(upstream, folder, File(PATH, None, len(BODY) + 1))
    check_line(error, upstream.url + PATH, f"{len(BODY)} bytes")
    assert names(folder) == set()


def test_another_size_is_refused_before_the_transfer(
    upstream: Upstream, folder: Path
):
    upstream.serve(PATH, Page(BODY, stalls=True))
    with pytest.raises(errors.WrongDigest):
        get(upstream, folder, File(PATH, SHA256, 1))
    assert [request.sent for request in upstream.requests] == [0]


@pytest.mark.parametrize(
    "bad", [Page(status=404), Page(status=403), Page(OTHER), Page(WEB_PAGE)]
)
def test_the_next_candidate_is_tried(
    upstream: Upstream, folder: Path, bad: Page
):
    upstream.serve(PATH, bad)
    upstream.serve("legacy/danceability-1.pb", BODY)
    fetched = get(upstream, folder, KNOWN, File("legacy/danceability-1.pb"))
    check(fetched, folder)
    assert fetched.path.name == "danceability-1.pb"
    assert not fetched.known


def test_the_first_candidate_comes_first(upstream: Upstream, folder: Path):
    upstream.serve(PATH, BODY)
    upstream.serve("legacy/danceability-1.pb", OTHER)
    get(upstream, folder, KNOWN, File("legacy/danceability-1.pb"))
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [404, 410, 403, 304])
def test_a_missing_file_is_an_error(
    upstream: Upstream, folder: Path, status: int
):
    upstream.serve(PATH, Page(b"", status))
    with pytest.raises(errors.NotPublished) as error:
        get(upstream, folder, KNOWN, File("legacy/danceability-1.pb"))
    check_line(error, upstream.url + PATH, str(status), "another source")
    assert len(upstream.requests) == 2
    assert names(folder) == set()


@pytest.mark.parametrize(
    ("page", "kind"),
    [(Page(OTHER), errors.WrongDigest), (Page(WEB_PAGE), errors.NotAModel)],
)
def test_the_most_telling_failure_is_reported(
    upstream: Upstream, folder: Path, page: Page, kind: type[Exception]
):
    upstream.serve(PATH, page)
    gone = [File("gone-1.pb"), File("gone-2.pb")]
    with pytest.raises(kind) as error:
        get(upstream, folder, gone[0], KNOWN, gone[1])
    check_line(error, upstream.url + PATH)


@pytest.mark.parametrize(
    "page",
    [
        Page(WEB_PAGE),
        Page(b"<HTML>"),
        Page(BODY, headers={"Content-Type": "text/HTML; charset=utf-8"}),
        Page(b""),
        Page(WEB_PAGE, headers={"Content-Length": None}, piece=1),
        Page(b"\xef\xbb\xbf" + WEB_PAGE),
        Page(WEB_PAGE.decode().encode("utf-16")),
        Page(b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
        Page(b"<head><title>Log in</title></head>" + bytes(9)),
        Page(b'{"message": "rate limit exceeded"}'),
        Page(b"version https://git-lfs.github.com/spec/v1\nsize 3200000\n"),
        Page(BODY, headers={"Content-Type": "application/problem+json"}),
    ],
)
@pytest.mark.parametrize("candidate", [KNOWN, UNKNOWN])
def test_a_web_page_is_no_model(
    upstream: Upstream, folder: Path, page: Page, candidate: File
):
    upstream.serve(PATH, page)
    with pytest.raises(errors.NotAModel) as error:
        get(upstream, folder, candidate)
    check_line(error, upstream.url + PATH, "a web page", "proxy")
    assert names(folder) == set()


def test_a_graph_may_begin_like_a_web_page(upstream: Upstream, folder: Path):
    upstream.serve(PATH, GRAPH)
    check(get(upstream, folder, UNKNOWN), folder, GRAPH)


def test_what_is_unknown_is_examined_before_it_gets_its_name(
    upstream: Upstream, folder: Path
):
    def refuse(path: Path) -> None:
        assert path.read_bytes() == BODY
        assert not (folder / NAME).exists()
        raise errors.UnusableModel(f"{path}: not a graph; get another one")

    upstream.serve(PATH, BODY)
    with pytest.raises(errors.NotAModel) as error:
        get(upstream, folder, UNKNOWN, examine=refuse)
    check_line(error, f"{upstream.url}{PATH}: not a graph; check whether")
    assert names(folder) == set()
    # What is known has been examined.
    check(get(upstream, folder, KNOWN, examine=refuse), folder)


def test_programs_that_fetch_one_file_do_not_mix_contents(
    upstream: Upstream, folder: Path
):
    bodies = [bytes([n]) * len(BODY) for n in range(4)]
    slow = [Page(each, piece=BLOCK // 2, pause=0.1) for each in bodies]
    upstream.serve(PATH, *slow)
    at_once(*[fetching(upstream, folder, PATH)] * 4)
    content = (folder / NAME).read_bytes()
    assert content in bodies
    assert checksums.recorded(folder) == {
        NAME: hashlib.sha256(content).hexdigest()
    }
    assert names(folder) == {NAME, checksums.FILE}


def test_programs_that_fetch_several_files_record_all(
    upstream: Upstream, folder: Path
):
    paths = [f"model-{number}.pb" for number in range(6)]
    for path in paths:
        upstream.serve(path, BODY)
    at_once(*[fetching(upstream, folder, path) for path in paths])
    assert checksums.recorded(folder) == dict.fromkeys(paths, SHA256)


def test_programs_that_record_digests_lose_none(tmp_path: Path):
    programs = [
        "from pathlib import Path\n"
        "from soundtags.models.checksums import record\n"
        "for number in range(30):\n"
        f"    name = f'{letter}{{number}}.pb'\n"
        f"    record(Path({str(tmp_path)!r}), name, '0' * 64)\n"
        for letter in "abcd"
    ]
    at_once(*programs)
    assert len(checksums.recorded(tmp_path)) == 30 * len(programs)


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (Page(status=404), errors.NotPublished),
        (Page(WEB_PAGE), errors.NotAModel),
        (Page(BODY, cut=CUT, ranges=False), errors.UnreachableSource),
        (Page(b"", 302, {"Location": "http://me:secret@x.invalid/"}), None),
    ],
)
def test_passwords_are_not_shown(
    upstream: Upstream, folder: Path, page: Page, kind: type[Exception] | None
):
    source = upstream.url.replace("//", "//me:secret@")
    upstream.serve(PATH, page)
    with pytest.raises(kind or errors.InsecureSource) as error:
        get(source, folder, UNKNOWN)
    check_line(error, f"http://***@127.0.0.1:{upstream.url[17:]}{PATH}")
    assert "secret" not in str(error.value)
    # But they are used.
    assert upstream.requests[0].headers["Authorization"].startswith("Basic ")
    upstream.serve(PATH, BODY)
    assert "secret" not in get(source, folder, UNKNOWN).origin


@pytest.mark.parametrize(
    "source",
    [
        "https://me:secret@127.0.0.1:9/models",
        "https://me:secret@[::1",
        "https://me:secret/@127.0.0.1/",
        "https://me:se cret@127.0.0.1/",
        "ftp://me:secret@127.0.0.1/",
        "http://me:secret@example.invalid/",
    ],
)
def test_passwords_are_not_shown_where_there_is_no_server(
    folder: Path, source: str
):
    with pytest.raises(errors.SoundtagsError) as error:
        get(source, folder)
    check_words(error, "***@")
    assert "cret" not in str(error.value)


@pytest.mark.parametrize(
    "page",
    [
        Page(BODY, piece=1, pause=0.01),
        Page(BODY, piece=1, pause=0.01, headers={"Content-Length": None}),
        Page(drips=True, pause=0.01),
    ],
)
def test_a_server_that_hardly_gets_on_is_given_up(
    upstream: Upstream, folder: Path, page: Page
):
    upstream.serve(PATH, page)
    with pytest.raises(errors.UnreachableSource) as error:
        get(upstream, folder, timeout=SHORT)
    check_line(error, upstream.url + PATH, "too slow", "try again later")
    assert len(upstream.requests) == 3
    assert names(folder) == set()


@pytest.mark.parametrize(
    ("page", "reports"),
    [
        (Page(BODY, stalls=True), []),
        (Page(BODY, headers={"Content-Length": None}), [BLOCK, CUT]),
    ],
)
def test_a_file_that_is_too_large_is_refused(
    upstream: Upstream,
    folder: Path,
    page: Page,
    reports: list[int],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(partial_file, "MAX_BYTES", CUT)
    upstream.serve(PATH, page)
    seen: list[int] = []
    with pytest.raises(errors.NotAModel) as error:
        get(upstream, folder, report=lambda done, _: seen.append(done))
    check_line(error, upstream.url + PATH, f"{CUT} bytes")
    assert seen == reports
    assert names(folder) == set()


def test_a_redirect_is_followed(upstream: Upstream, folder: Path):
    upstream.serve(PATH, Page(b"", 302, {"Location": "/elsewhere"}))
    upstream.pages["/elsewhere"] = [Page(BODY)]
    check(get(upstream, folder), folder)


@pytest.mark.parametrize(
    "target", ["http://example.invalid/x.pb", "ftp://127.0.0.1/x.pb"]
)
def test_a_redirect_must_not_leave_https(
    upstream: Upstream,
    folder: Path,
    target: str,
    asked: list[str],
):
    upstream.serve(PATH, Page(b"", 302, {"Location": target}))
    with pytest.raises(errors.InsecureSource) as error:
        get(upstream, folder)
    check_line(error, target, "https://")
    assert set(asked) == {"127.0.0.1"}
    assert len(upstream.requests) == 1
    assert names(folder) == set()


@pytest.mark.parametrize(
    ("source", "insecure"),
    [
        ("http://example.invalid/models", False),
        ("HTTP://localhost.example.invalid/", False),
        ("http://localhost@example.invalid/", False),
        ("ftp://localhost/", True),
        ("file:///models", True),
    ],
)
def test_only_https_is_allowed(
    folder: Path, source: str, insecure: bool, asked: list[str]
):
    with pytest.raises(errors.InsecureSource) as error:
        get(source, folder, insecure=insecure)
    shown = source.replace("localhost@", "***@")
    check_words(error, shown, "https://", "--insecure")
    assert asked == []


def test_plain_http_can_be_allowed(folder: Path, asked: list[str]):
    with pytest.raises(errors.UnreachableSource) as error:
        get("http://example.invalid/", folder, insecure=True)
    check_words(error, "http://example.invalid cannot be", "no such host")
    assert asked == ["example.invalid"] * 3


def test_a_slow_server_is_waited_for(upstream: Upstream, folder: Path):
    # The whole takes longer than the timeout, but no piece does.
    slow = Page(BODY, piece=len(BODY) // 20, pause=SHORT / 10)
    upstream.serve(PATH, slow)
    check(get(upstream, folder, timeout=SHORT), folder)
    assert len(upstream.requests) == 1


def test_a_stalled_server_is_not_waited_for(upstream: Upstream, folder: Path):
    upstream.serve(PATH, Page(BODY, stalls=True))
    with pytest.raises(errors.UnreachableSource) as error:
        get(upstream, folder, timeout=SHORT)
    check_line(error, upstream.url + PATH, "timed out")
    assert len(upstream.requests) == 3
    assert names(folder) == set()


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(
    upstream: Upstream, folder: Path, status: int
):
    trouble = Page(b"", status)
    upstream.serve(PATH, trouble, trouble, BODY)
    check(get(upstream, folder), folder)


def test_a_server_that_stays_in_trouble_is_an_error(
    upstream: Upstream, folder: Path
):
    upstream.serve(PATH, Page(b"", 503))
    with pytest.raises(errors.UnreachableSource) as error:
        get(upstream, folder, KNOWN, File("never/asked.pb"))
    check_line(error, upstream.url + PATH, "503", "try again later")
    assert len(upstream.requests) == 3
    assert names(folder) == set()


def test_the_pause_doubles(
    upstream: Upstream, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    upstream.serve(PATH, Page(b"", 500))
    with pytest.raises(errors.UnreachableSource):
        get(upstream, folder, pause=7)
    assert pauses == [7, 14]


def test_a_refused_connection_is_an_error(folder: Path, upstream: Upstream):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(UnreachableHost) as error:
        get(f"http://127.0.0.1:{port}/", folder)
    check_words(error, f"http://127.0.0.1:{port} cannot be reached", "refused")
    assert "Max retries" not in str(error.value)


@pytest.mark.parametrize("source", ["https://[", "https://a:b/"])
def test_an_invalid_address_is_an_error(folder: Path, source: str):
    with pytest.raises(errors.UnreachableSource) as error:
        get(source, folder)
    check_words(error, source, "not an address")


@pytest.mark.parametrize("candidate", [KNOWN, UNKNOWN])
@pytest.mark.parametrize("path", [PATH, NAME])
def test_a_folder_is_a_source(
    tmp_path: Path, folder: Path, candidate: File, path: str
):
    origin = put(tmp_path / "mirror" / path)
    fetched = get(tmp_path / "mirror", folder, candidate)
    check(fetched, folder)
    assert fetched.origin == str(origin)
    assert fetched.known == (candidate is KNOWN)
    assert origin.read_bytes() == BODY


def test_progress_from_a_folder_is_reported(tmp_path: Path, folder: Path):
    put(tmp_path / "mirror" / PATH)
    reports: list[tuple[int, int | None]] = []
    get(
        tmp_path / "mirror",
        folder,
        report=lambda *report: reports.append(report),
    )
    assert reports[-1] == (len(BODY), len(BODY))


def test_a_folder_is_searched_like_a_server(tmp_path: Path, folder: Path):
    put(tmp_path / "mirror" / PATH, OTHER)
    put(tmp_path / "mirror" / NAME, WEB_PAGE)
    put(tmp_path / "mirror" / "danceability-1.pb")
    older = File("legacy/danceability-1.pb")
    fetched = get(tmp_path / "mirror", folder, KNOWN, older)
    check(fetched, folder)
    assert fetched.path.name == "danceability-1.pb"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (OTHER, errors.WrongDigest),
        (WEB_PAGE, errors.NotAModel),
        (None, errors.NotPublished),
    ],
)
def test_a_file_from_a_folder_is_checked(
    tmp_path: Path, folder: Path, body: bytes | None, kind: type[Exception]
):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    if body is not None:
        put(mirror / PATH, body)
    with pytest.raises(kind) as error:
        get(mirror, folder)
    check_line(error, str(mirror / PATH))
    assert names(folder) == set()


def test_a_part_is_not_continued_from_a_folder(tmp_path: Path, folder: Path):
    leave(folder, OTHER)
    put(tmp_path / "mirror" / PATH)
    check(get(tmp_path / "mirror", folder), folder)


@pytest.mark.parametrize("source", ["no/such/folder", "D:\\models"])
def test_a_folder_that_is_not_there_is_an_error(folder: Path, source: str):
    with pytest.raises(UnreachableHost) as error:
        get(source, folder)
    check_words(error, source, "no such folder")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(
    ("local", "step"),
    [
        (False, "write"),
        (False, "flush"),
        (False, "close"),
        (True, "write"),
        (True, "close"),
    ],
)
def test_a_full_disk_is_an_error(
    upstream: Upstream,
    tmp_path: Path,
    folder: Path,
    number: int,
    local: bool,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
):
    upstream.serve(PATH, BODY)
    put(tmp_path / "mirror" / PATH)
    opened = Path.open

    def open_full(self: Path, mode: str = "r", *args: Any) -> Any:
        file = opened(self, mode, *args)
        return Full(file, number, step) if "a" in mode else file

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(errors.NoSpace) as error:
        get(tmp_path / "mirror" if local else upstream, folder)
    check_line(error, str(folder), os.strerror(number), "make room")
    assert names(folder) == set()
    assert len(upstream.requests) == (0 if local else 1)


class Full:
    """A file on a disk that turns out to be full at some step."""

    def __init__(self, file: Any, number: int, step: str) -> None:
        self.file = file
        self.number = number
        setattr(self, step, self.fail)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.file.close()
        self.close()

    def fail(self, *_args: Any) -> None:
        raise OSError(self.number, os.strerror(self.number))


def test_a_disk_too_full_for_the_record_is_an_error(
    upstream: Upstream, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    upstream.serve(PATH, BODY)
    monkeypatch.setattr(checksums, "record", fail)
    with pytest.raises(errors.NoSpace):
        get(upstream, folder)
    assert names(folder) == set()


def test_a_real_full_disk_is_an_error(upstream: Upstream, tmp_path: Path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    (tmp_path / PART).symlink_to("/dev/full")
    upstream.serve(PATH, BODY)
    with pytest.raises(errors.NoSpace):
        get(upstream, tmp_path)
    assert names(tmp_path) == set()


def test_a_folder_that_cannot_be_written_to_is_an_error(
    upstream: Upstream, folder: Path
):
    if sys.platform == "win32" or os.geteuid() == 0:
        pytest.skip("permissions of folders do not keep this user out")
    folder.parent.mkdir()
    folder.mkdir(mode=0o500)
    upstream.serve(PATH, BODY)
    with pytest.raises(errors.UnwritableFolder) as error:
        get(upstream, folder)
    check_line(error, str(folder), "model_dir")


def test_a_folder_that_cannot_be_made_is_an_error(
    upstream: Upstream, tmp_path: Path
):
    file = put(tmp_path / "file")
    upstream.serve(PATH, BODY)
    with pytest.raises(errors.UnwritableFolder) as error:
        get(upstream, file / "models")
    check_words(error, str(file / "models"), "model_dir")
    assert upstream.requests == []


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "/x.pb", "../x.pb", "a/../../x.pb", "a\\x.pb", "C:x.pb"],
)
@pytest.mark.parametrize("local", [False, True])
def test_files_come_from_below_the_source_only(
    upstream: Upstream, tmp_path: Path, path: str, local: bool
):
    mirror, folder = tmp_path / "mirror", tmp_path / "models"
    put(mirror / "x.pb")
    put(tmp_path / "x.pb")
    with pytest.raises(errors.NotAModel) as error:
        get(mirror if local else upstream, folder, File(path))
    assert repr(path) in str(error.value)
    assert upstream.requests == []
    assert names(folder) == set()


def test_special_characters_of_names_are_quoted(
    upstream: Upstream, folder: Path
):
    upstream.pages["/models/a%20b%23c%3F.pb"] = [Page(BODY)]
    assert get(upstream, folder, File("a b#c?.pb")).path.exists()


def test_a_newer_record_replaces_an_older_one(upstream: Upstream, folder: Path):
    folder.mkdir(parents=True)
    checksums.record(folder, NAME, "0" * 64)
    upstream.serve(PATH, BODY)
    check(get(upstream, folder, UNKNOWN), folder)


def test_a_file_is_never_there_without_its_record(
    upstream: Upstream, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    upstream.serve(PATH, BODY)
    recorded: list[dict[str, str]] = []
    replace = os.replace

    def look(source: str | Path, target: str | Path) -> None:
        if Path(target).name == NAME:
            recorded.append(checksums.recorded(folder))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    get(upstream, folder)
    assert recorded == [{NAME: SHA256}]


def test_an_interrupted_transfer_is_kept_if_it_can_be_verified(
    upstream: Upstream, folder: Path
):
    def interrupt(_done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    upstream.serve(PATH, BODY)
    with pytest.raises(KeyboardInterrupt):
        get(upstream, folder, UNKNOWN, report=interrupt)
    assert names(folder) == set()
    with pytest.raises(KeyboardInterrupt):
        get(upstream, folder, KNOWN, report=interrupt)
    assert (folder / PART).read_bytes() == BODY[:BLOCK]


def test_the_record_is_read_as_it_was_written(tmp_path: Path):
    checksums.record(tmp_path, "b c.pb", "b" * 64)
    checksums.record(tmp_path, "ä.pb", "a" * 64)
    checksums.record(tmp_path, "d.pb", "d" * 64)
    checksums.record(tmp_path, "d.pb", "e" * 64)
    checksums.forget(tmp_path, ["b c.pb", "none.pb"])
    assert checksums.recorded(tmp_path) == {"ä.pb": "a" * 64, "d.pb": "e" * 64}
    content = (tmp_path / checksums.FILE).read_bytes().decode()
    assert content == f"{'e' * 64}  d.pb\n{'a' * 64}  ä.pb\n"
    assert names(tmp_path) == {checksums.FILE}


def test_the_record_is_what_sha256sum_checks(upstream: Upstream, folder: Path):
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("no sha256sum here")
    upstream.serve(PATH, BODY)
    get(upstream, folder)
    command = [program, "--check", "--strict", checksums.FILE]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_a_record_may_have_other_lines(tmp_path: Path):
    lines = [
        b"# by hand",
        b"a" * 64 + b"  a.pb\r",
        b"b" * 64 + b" *b.pb",
        b"c" * 63 + b"  c.pb",
        b"\xff\xfe",
        b"",
    ]
    (tmp_path / checksums.FILE).write_bytes(b"\n".join(lines))
    assert checksums.recorded(tmp_path) == {"a.pb": "a" * 64, "b.pb": "b" * 64}


def test_a_missing_record_is_empty(tmp_path: Path):
    assert checksums.recorded(tmp_path / "none") == {}
    assert checksums.recorded(put(tmp_path / "file")) == {}
    checksums.forget(tmp_path, ["a.pb"])
    assert names(tmp_path) == {"file"}


def test_a_record_that_cannot_be_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    checksums.record(tmp_path, "a.pb", "a" * 64)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        checksums.record(tmp_path, "b.pb", "b" * 64)
    assert checksums.recorded(tmp_path) == {"a.pb": "a" * 64}
    assert names(tmp_path) == {checksums.FILE}


def test_digests_are_those_of_the_content(tmp_path: Path):
    assert checksums.file_sha256(put(tmp_path / "file")) == SHA256
