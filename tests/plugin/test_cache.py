"""What was heard is kept: listen once, decide many times."""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import mutagen
import numpy as np
import pytest
from support.audio import MADE, write_track
from support.beet import Beet
from support.models import write_metadata

QUICK = {"patches": 2, "jobs": 1}


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of two tracks that were analysed."""
    folder = tmp_path_factory.mktemp("in")
    for seed, title in enumerate("AB"):
        write_track(folder / f"{title}.flac", title, seed)
    beet = Beet.new(tmp_path_factory.mktemp("home") / "beets")
    beet("import", "-A", folder)
    assert all(item["soundtags_input"] for item in beet.items())
    return beet


@pytest.fixture
def library(beet: Beet, analysed: Beet) -> Beet:
    beet.begin_with(analysed)
    return beet


def store_of(beet: Beet) -> Path:
    return beet.folder / "soundtags.db"


def falsify(beet: Beet, model: str = "") -> None:
    """Have models have heard what they did not: all tags alike.

    What says so afterwards was not listened to again.
    """
    alike = np.full(50, 0.01, np.float32).tobytes()
    with closing(sqlite3.connect(store_of(beet))) as database, database:
        changed = database.execute(
            "UPDATE means SET activations = ? WHERE model LIKE ?",
            (alike, f"{model}%"),
        )
        assert changed.rowcount


def scores_by_file(beet: Beet) -> dict[str, tuple]:
    names = ("danceability", "mood_happy", "voice_instrumental_score")
    return {
        Path(item["path"]).name: tuple(item[name] for name in names)
        for item in beet.items()
    }


def scores(beet: Beet) -> list[tuple]:
    return list(scores_by_file(beet).values())


def test_thresholds_need_no_listening(library: Beet):
    before = library.items()
    for item in before:
        Path(item["path"]).rename(f"{item['path']}.away")
    library.configure(soundtags={**QUICK, "mood_threshold": 0})
    done = library("soundtags", "-W")
    assert done.stdout.startswith("Re-analysing 2 of 2 tracks: models or")
    assert "Predictions for 2 of them are in the cache" in done.stdout
    assert "2 tagged, 0 already up to date, 0 failed" in done.stdout
    now = library.items()
    for item, old in zip(now, before):
        assert len(item["mood"]) > len(old["mood"])
        assert item["danceability"] == old["danceability"]
    library.configure()
    library("soundtags", "-W")
    for item, old in zip(library.items(), before):
        changed = {name for name in item if item[name] != old.get(name)}
        # Beets' mark for what is not in files, and what is kept for --undo.
        assert changed <= {"mtime", "soundtags_undo"}


def test_what_is_decided_anew_gets_to_files(library: Beet):
    library.configure(soundtags={**QUICK, "mood_threshold": 0})
    done = library("soundtags")
    assert "2 tagged" in done.stdout
    for item in library.items():
        assert mutagen.File(item["path"])["mood"] == item["mood"]
    assert library("update").stdout == ""


def test_pretending_changes_nothing(library: Beet):
    before = library.items()
    library.configure(soundtags={**QUICK, "mood_threshold": 0})
    done = library("soundtags", "-p")
    assert "mood" in done.stdout
    assert "2 would be tagged" in done.stdout
    assert library.items() == before


def test_only_a_model_that_is_new_listens(library: Beet):
    before = scores(library)
    falsify(library)
    add_model(library)
    done = library("soundtags")
    assert "Re-analysing 2 of 2 tracks" in done.stdout
    assert "in the cache" not in done.stdout
    assert "2 tagged" in done.stdout
    one, other = scores(library)
    assert one == other
    # Tracks whose tags are alike differ in nothing but what it says of them.
    one, other = library.ls("$mood_party")
    assert one != other
    library("soundtags", "-f")
    assert scores(library) == before


def test_what_turns_out_to_be_speech_loses_its_music(library: Beet):
    library("modify", "-y", "genres=Audiobook", "title:B")
    before = {item["title"]: item for item in library.items()}
    assert before["A"]["genres"]
    library.configure(soundtags={**QUICK, "thresholds": {"speech": 0}})
    done = library("soundtags")
    assert "Predictions for 2 of them are in the cache" in done.stdout
    for item in library.items():
        own = ["Audiobook"] if item["title"] == "B" else []
        assert item["genres"] == own  # only those that we gave are removed
        assert (mutagen.File(item["path"]).get("genre") or []) == own
        assert item["mood"] == []
        assert item["soundtags"] == ["speech"]
    assert not library.items("danceability:0..")
    library.configure(soundtags=QUICK)
    library("soundtags")
    after = {item["title"]: item for item in library.items()}
    assert after["A"]["genres"] == before["A"]["genres"]


def add_model(beet: Beet) -> None:
    """Add one for the mood party, which is made up like all others."""
    graph = beet.folder / "soundtags-models" / "x.pb"
    graph.parent.mkdir()
    graph.write_bytes(b"no graph")
    write_metadata(graph, ["non_party", "party"])


def test_audio_is_recognised_after_its_tags_were_written(
    beet: Beet, tmp_path: Path
):
    folder = tmp_path / "in"
    folder.mkdir()
    for ending, make in MADE.items():
        make(folder / f"a.{ending}")
    beet("import", "-A", "-C", folder)
    heard = scores_by_file(beet)
    assert len(heard) == len(MADE)
    beet("remove", "-f")
    falsify(beet)
    beet("import", "-A", "-C", folder)
    recalled = scores_by_file(beet)
    assert recalled == dict.fromkeys(heard, recalled["a.wav"])
    assert recalled["a.wav"] not in heard.values()
    beet("soundtags", "-f")
    assert scores_by_file(beet) == heard


def test_other_patches_are_another_matter(library: Beet):
    before = library.ls("$soundtags_input")
    falsify(library)
    library.configure(soundtags={**QUICK, "patches": 1})
    assert "in the cache" not in library("soundtags").stdout
    assert len({*before, *library.ls("$soundtags_input")}) == 4
    one, other = scores(library)
    assert one != other
    library.configure()
    assert "in the cache" not in library("soundtags").stdout
    one, other = scores(library)
    assert one == other  # recognised


def test_a_file_that_is_another_is_listened_to_by_all(library: Beet):
    (item,) = library.items("title:A")
    other = write_track(library.folder / "other.flac", "A", seed=9)
    shutil.copy(other, item["path"])
    falsify(library)
    add_model(library)
    library("soundtags", "-W")
    (now,) = library.items("title:A")
    assert now["soundtags_input"] != item["soundtags_input"]
    assert now["danceability"] != library.items("title:B")[0]["danceability"]


@pytest.mark.parametrize("kind", ["no database", "a folder"])
def test_a_store_that_cannot_be_used_is_named(library: Beet, kind: str):
    store = store_of(library)
    store.unlink()
    if kind == "a folder":
        store.mkdir()
    else:
        store.write_bytes(b"no database" * 1000)
    library.configure(soundtags={**QUICK, "patches": 1})
    done = library("soundtags")
    (line,) = done.stderr.splitlines()
    assert f"predictions are not cached: {store}: " in line
    assert "2 tagged, 0 already up to date, 0 failed" in done.stdout


def test_the_store_may_be_elsewhere(library: Beet, tmp_path: Path):
    other = tmp_path / "new" / "heard.db"
    library.configure(soundtags={**QUICK, "patches": 1, "store": str(other)})
    library("soundtags")
    assert other.stat().st_size


def test_stats_tell_what_there_is(library: Beet):
    lines = library("soundstore").stdout.splitlines()
    assert lines[0] == "msd-musicnn-1: 2 tracks, 1.2 KiB"
    assert lines[1] == "mtt-musicnn-1: 2 tracks, 1.2 KiB"
    assert lines[-1].startswith(f"{store_of(library)}: ")


def test_pruning_forgets_what_is_gone(library: Beet):
    library("remove", "-f", "title:A")
    done = library("soundstore", "prune")
    assert done.stdout == "1 not in the library, and forgotten\n"
    assert ": 1 track, " in library("soundstore", "stats").stdout
    library.configure(soundtags={**QUICK, "mood_threshold": 0})
    assert "Predictions for 1 of them" in library("soundtags").stdout


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_exports_have_a_row_per_track(library: Beet, tmp_path: Path, kind):
    target = tmp_path / f"means.{kind}"
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    done = library("soundstore", "export", "-o", target, "title:A")
    assert done.stdout == f"1 of 1 track: {target}\n"
    (row,) = rows_of(target)
    assert (row["title"], row["artist"]) == ("A", "Artist")
    assert row["path"] == library.items("title:A")[0]["path"]
    # As `soundtags -v` says it, of the strongest.
    said = library("soundtags", "-fW", "-v", "title:A").stdout
    strongest = said.split("msd-musicnn-1: ")[1].split(",")[0]
    name, mean = strongest.rsplit(" ", 1)
    assert float(row[f"msd-musicnn-1: {name}"]) == pytest.approx(
        float(mean), abs=1e-4
    )


@pytest.mark.skipif(sys.platform != "linux", reason="needs names of any bytes")
def test_exports_survive_names_that_are_no_text(library: Beet, tmp_path: Path):
    path = Path(library.items("title:A")[0]["path"])
    library("modify", "-yM", "title:A", "title=A")
    odd = path.with_name(os.fsdecode(b"caf\xe9.flac"))
    path.rename(odd)
    database = sqlite3.connect(library.folder / "library.db")
    with closing(database), database:
        database.execute(
            "UPDATE items SET path = ? WHERE title = 'A'", (os.fsencode(odd),)
        )
    target = tmp_path / "means.csv"
    library("soundstore", "export", "-o", target)
    assert any(row["path"].endswith("caf?.flac") for row in rows_of(target))


def rows_of(path: Path) -> list[dict]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    from pyarrow import parquet

    return parquet.read_table(path).to_pylist()


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["export"], "name the file to write: -o FILE"),
        (["export", "-o", "a.txt"], "must end in .csv or .parquet"),
        (["burn"], "burn is not one of: stats, prune, export"),
        (["export", "-o", "nowhere/a.csv"], "No such file or directory"),
        (["export", "-o", "a.csv", "title:nobody"], "no track matches"),
    ],
)
def test_what_cannot_be_done_is_said(library: Beet, tmp_path, args, complaint):
    done = library("soundstore", *args, status=1, cwd=tmp_path)
    (line,) = done.stderr.splitlines()
    assert complaint in line
    assert not list(tmp_path.glob("a.*"))


def test_each_library_has_its_own(tmp_path: Path):
    beets = [Beet(tmp_path), Beet(tmp_path)]
    (tmp_path / "in").mkdir()
    write_track(tmp_path / "in" / "track.flac")
    for beet, name in zip(beets, ("library.db", "jazz.db")):
        beet.configure(library=str(tmp_path / name))
        beet("import", "-A", tmp_path / "in")
    assert {"soundtags.db", "jazz-soundtags.db"} <= {*os.listdir(tmp_path)}


def test_another_database_is_no_cache(beet: Beet, track: Path):
    beet.configure(soundtags={"patches": 2, "store": "library.db"})
    done = beet("import", "-A", track.parent)
    assert "library.db is the database of something else" in done.stderr
    assert beet.items()[0]["danceability"] is not None
    done = beet("soundstore", status=1)
    assert "name another file in soundtags.store" in done.stderr
    with closing(sqlite3.connect(beet.folder / "library.db")) as database:
        names = database.execute("SELECT name FROM sqlite_master").fetchall()
    assert ("means",) not in names
