"""What others do to the library, or to files, while beets is at work."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import mutagen
import pytest
from support.audio import write_track
from support.beet import Beet
from support.paths import PLUGINS

if TYPE_CHECKING:
    from pathlib import Path

TITLES = ("A", "B", "C")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of three tracks that were never analysed."""
    folder = tmp_path_factory.mktemp("in")
    for seed, title in enumerate(TITLES):
        write_track(folder / f"{title}.flac", title, seed)
    home = tmp_path_factory.mktemp("home") / "beets"
    beet = Beet.new(home, soundtags={"auto": False})
    beet("import", "-A", folder)
    return beet


@pytest.fixture
def library(beet: Beet, imported: Beet) -> Beet:
    beet.begin_with(imported)
    return beet


def befall(library: Beet, kind: str, **more) -> None:
    library.configure(
        plugins=["soundtags", "mishap"],
        pluginpath=[str(PLUGINS)],
        mishap={"kind": kind, **more},
        timeout=0.2,
    )


def check_all_tagged(library: Beet) -> None:
    items = library.items()
    assert [item["title"] for item in items] == list(TITLES)
    for item in items:
        assert item["soundtags_plan"]
        held = mutagen.File(item["path"])["danceability"]
        assert held == [f"{item['danceability']:.4f}"]
    assert library("update").stdout == ""


def test_two_runs_at_a_time_lose_nothing(library: Beet):
    meeting = library.folder / "meeting"
    meeting.mkdir()
    befall(library, "met", place=str(meeting))
    with ThreadPoolExecutor() as threads:
        runs = [
            threads.submit(library, "soundtags", status=None) for _ in range(2)
        ]
    done = [run.result() for run in runs]
    for run in done:
        # Both may mean to write to one file; then one says so. It fails if
        # the other was first with all of them.
        assert "Traceback" not in run.stderr
    assert min(run.returncode for run in done) == 0
    assert max(run.returncode for run in done) <= 1
    assert len(list(meeting.iterdir())) == 2
    library.configure()
    assert "0 failed" in library("soundtags").stdout
    check_all_tagged(library)


@pytest.mark.parametrize("kind", ["locked", "read"])
def test_a_library_that_is_in_use_for_a_while_is_waited_for(
    library: Beet, kind: str
):
    befall(library, kind, seconds=1)
    done = library("soundtags")
    assert "3 tagged, 0 already up to date, 0 failed" in done.stdout
    library.configure()
    check_all_tagged(library)


@pytest.mark.parametrize("kind", ["locked", "read"])
def test_a_library_that_stays_in_use_ends_the_run(library: Beet, kind: str):
    befall(library, kind, seconds=60)
    done = library("soundtags", status=1)
    (line,) = done.stderr.splitlines()
    assert "the library is locked by another program" in line
    assert done.stdout.startswith("0 tagged")
    library.configure()
    assert "3 tagged" in library("soundtags").stdout
    check_all_tagged(library)


@pytest.mark.parametrize("transactions", range(1, 7))
def test_ctrl_c_while_a_transaction_ends_ends_the_run(
    library: Beet, transactions: int
):
    befall(library, "interrupted", transactions=transactions)
    done = library("soundtags")
    assert done.stderr == ""
    assert "0 failed" in done.stdout
    tagged = [item for item in library.items() if "soundtags_plan" in item]
    assert len(tagged) < len(TITLES)
    library.configure()
    assert "0 failed" in library("soundtags").stdout
    check_all_tagged(library)


def test_an_import_waits_for_the_library_too(beet: Beet, track: Path):
    befall(beet, "locked", seconds=1)
    done = beet("import", "-A", track.parent)
    assert "Traceback" not in done.stderr
    (item,) = beet.items()
    assert item["soundtags_plan"]
    assert "danceability" in mutagen.File(item["path"])


def test_items_that_are_removed_meanwhile_are_counted(library: Beet):
    befall(library, "removed")
    done = library("soundtags")
    assert "1 tagged, 0 already up to date, 2 failed" in done.stdout
    assert "2 x removed from the library meanwhile" in done.stdout


def test_files_that_vanish_meanwhile_are_counted(library: Beet):
    befall(library, "vanished")
    done = library("soundtags")
    assert "2 tagged, 0 already up to date, 1 failed" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.endswith("A.flac: tags not written: No such file or directory")
    assert "soundtags_plan" not in library.items("title:A")[0]


def test_several_items_may_share_a_file(library: Beet):
    file = library.folder / "library.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "UPDATE items SET path = (SELECT path FROM items WHERE title = 'A')"
        )
    done = library("soundtags")
    assert "3 tagged, 0 already up to date, 0 failed" in done.stdout
    scores = {item["danceability"] for item in library.items()}
    assert len(scores) == 1
    held = mutagen.File(library.items()[0]["path"])["danceability"]
    assert held == [f"{scores.pop():.4f}"]
    assert library("soundtags").stdout.startswith("0 tagged, 3 already")
