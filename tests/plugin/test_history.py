"""What was there before our last write comes back, in library and files."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import mutagen
import pytest
import soundfile
from mediafile import MediaFile
from support.audio import FREEFORM, ID3, MADE, write_track
from support.beet import Beet
from support.paths import PLUGINS

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {"patches": 2, "jobs": 1, "mood_threshold": 0, "genre": "replace"}
GENRES = ["Rock", "Polka"]
MOODS = ["wistful", "calm"]


def tag(path: Path) -> None:
    """Tag a file as other programs do."""
    file = mutagen.File(path)
    kind = path.name.split(".")[-1]
    if kind in ID3:
        frames = mutagen.id3
        file.tags is None and file.add_tags()
        file.tags.add(frames.TCON(encoding=1, text=["(17)", "Polka"]))
        file.tags.add(frames.TMOO(encoding=1, text=MOODS))  # and no TXXX
        file.tags.add(frames.TXXX(desc="DANCEABILITY", text=["0.97", "very"]))
    elif kind == "m4a":
        file["\xa9gen"] = GENRES
        file[f"{FREEFORM}MOOD"] = [mood.encode() for mood in MOODS]
        file[f"{FREEFORM}DANCEABILITY"] = [b"0.97", b"very"]
    elif kind == "wma":
        file["WM/Genre"], file["WM/Mood"] = GENRES, MOODS
        file["DANCEABILITY"] = ["0.97", "very"]
    else:
        file["Genre"], file["Mood"] = GENRES, MOODS
        file["DANCEABILITY"] = ["0.97", "very"]
    file.save()


@pytest.fixture(scope="module", params=["tagged by others", "not tagged"])
def files(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a file in every format."""
    folder = tmp_path_factory.mktemp("in")
    for kind, make in MADE.items():
        path = folder / f"{kind.replace('.', ' ')}.{kind}"
        make(path)
        if request.param == "tagged by others":
            tag(path)
    return folder


@pytest.fixture(scope="module")
def imported(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of these files, which were never analysed."""
    home = tmp_path_factory.mktemp("home") / "beets"
    beet = Beet.new(home, soundtags={"auto": False})
    beet("import", "-A", files)
    return beet


def tags_of(path: str) -> dict[str, list[str]]:
    """Return all tags of a file as an independent reader finds them."""
    found = {}
    for key, value in dict(mutagen.File(path).tags or {}).items():
        values = getattr(value, "text", value)  # of an ID3 frame
        values = [values] if isinstance(values, str) else list(values)
        found[key.casefold()] = [str(each) for each in values]
    return found


def state(beet: Beet) -> dict[str, Any]:
    """Return all that the library and the files say, by path."""
    found = {}
    for item in beet.items():
        path = item["path"]
        del item["mtime"], item["bitrate"]  # which counts the tags, too
        ours = (item.get("mood", []), item["genres"], item.get("danceability"))
        found[path] = (item, tags_of(path), ours)
    return found


def check_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    for path in one:
        assert one[path][1] != other[path][1]  # tags
        assert one[path][2] != other[path][2]  # fields


def undo(beet: Beet, *options: str) -> str:
    return beet("soundtags", "--undo", *options).stdout.splitlines()[-1]


def test_everything_comes_back(beet: Beet, imported: Beet):
    beet.begin_with(imported)
    count = len(MADE)
    states = [state(beet)]
    for change in (
        {},
        {
            "mood_threshold": 0.9,
            "labels": {"electronic": "Bleeps", "rock": "Stone"},
        },
    ):
        beet.configure(soundtags={**SETTINGS, **change})
        assert f"{count} tagged" in beet("soundtags").stdout
        states.append(state(beet))
        check_differ(states[-2], states[-1])

    summary = f"{count} would be restored, 0 had nothing to undo, 0 failed"
    assert undo(beet, "-p") == summary
    assert state(beet) == states[-1]
    assert undo(beet) == f"{count} restored, 0 had nothing to undo, 0 failed"
    for item, *_ in states[1].values():
        del item["soundtags_undo"]  # one step leads back
    assert state(beet) == states[1]
    changes = beet("update", "-p").stdout
    assert not re.search("mood|genres|danceability|voice", changes)
    assert undo(beet) == f"0 restored, {count} had nothing to undo, 0 failed"
    assert state(beet) == states[1]


def test_what_was_there_before_the_import_comes_back(
    beet: Beet, imported: Beet, files: Path
):
    beet.begin_with(imported)
    plain = state(beet)
    beet("remove", "-fd")
    beet.configure(soundtags=SETTINGS)
    beet("import", "-A", files)
    check_differ(plain, state(beet))
    assert (
        undo(beet) == f"{len(MADE)} restored, 0 had nothing to undo, 0 failed"
    )
    after = state(beet)
    for each in (*plain.values(), *after.values()):
        for name in ("id", "added", "album_id"):
            del each[0][name]
    for path in plain:
        assert after[path] == plain[path]


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of one track that was tagged."""
    folder = tmp_path_factory.mktemp("tagged")
    beet = Beet.new(folder / "beets", soundtags=SETTINGS)
    beet("import", "-A", write_track(folder / "track.flac"))
    return beet


@pytest.fixture
def library(beet: Beet, tagged: Beet) -> Beet:
    beet.begin_with(tagged)
    beet.configure(soundtags=SETTINGS)
    return beet


def test_what_the_user_said_meanwhile_stays(library: Beet):
    library("modify", "-y", "mood=calm")
    assert undo(library).startswith("1 restored")
    (item,) = library.items()
    assert item["mood"] == ["calm"]
    assert item["genres"] == []
    assert "danceability" not in item
    tags = mutagen.File(item["path"])
    assert tags["mood"] == ["calm"]
    assert not {"genre", "danceability"} & set(tags.keys())
    library("soundtags")  # which knows whose it is
    (item,) = library.items()
    assert item["mood"] == ["calm"]
    assert item["genres"]
    assert 0 <= item["danceability"] <= 1


def test_what_the_user_says_after_undo_stays(library: Beet):
    library("soundtags")
    library("modify", "-yW", "danceability=0.5")
    assert undo(library).startswith("1 restored")  # but not what is the user's
    library("modify", "-yW", "mood=wistful")
    library("soundtags")
    (item,) = library.items()
    assert (item["danceability"], item["mood"]) == (0.5, ["wistful"])
    assert "mood_sad" in item


def test_undo_goes_back_one_step_also_after_an_import(library: Beet):
    before = library.items()[0]["danceability"]
    library("modify", "-y", "mood=calm", "danceability=0.1")
    library("soundtags", "-f")
    assert library.items()[0]["danceability"] == before
    assert undo(library).startswith("1 restored")
    (item,) = library.items()
    assert item["mood"] == ["calm"]
    assert item["danceability"] == 0.1
    assert tags_of(item["path"])["mood"] == ["calm"]


def test_without_writing_files_stay(library: Beet):
    before = {path: tags for path, (_, tags, _) in state(library).items()}
    assert undo(library, "-W").startswith("1 restored")
    (item,) = library.items()
    assert item["mood"] == []
    assert {item["path"]: tags_of(item["path"])} == before


def test_what_cannot_be_put_back_stays(library: Beet):
    (item,) = library.items()
    shutil.copy(item["path"], f"{item['path']}.good")
    with open(item["path"], "wb") as file:
        file.write(b"no audio any more")
    done = library("soundtags", "--undo", status=1)
    assert done.stderr.endswith("error: no track could be restored\n")
    assert "0 restored, 0 had nothing to undo, 1 failed" in done.stdout
    assert "tags not written" in done.stderr
    assert library.items() == [item]
    shutil.move(f"{item['path']}.good", item["path"])
    assert undo(library).startswith("1 restored")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_what_was_there_before_a_killed_run_comes_back(
    beet: Beet, imported: Beet
):
    beet.begin_with(imported)
    plain = state(beet)
    plugins = {"pluginpath": [str(PLUGINS)], "soundtags": SETTINGS}
    beet.configure(
        plugins=["mishap", "soundtags"],
        mishap={"kind": "killed late"},
        **plugins,
    )
    beet("soundtags", status=-9)  # the first file is written, not known to be
    beet.configure(**plugins)
    files_now = [tags_of(path) for path in plain]
    assert files_now != [tags for _, tags, _ in plain.values()]
    assert len(beet.ls("$id", "soundtags_plan::.")) == 0
    beet("soundtags")
    assert undo(beet).startswith(f"{len(MADE)} restored")
    assert state(beet) == plain


def test_albums_get_their_genres_back(beet: Beet, track: Path):
    beet.configure(soundtags={**SETTINGS, "auto": False})
    beet("import", "-A", track.parent)
    beet("modify", "-ayW", "genres=Polka")
    beet.configure(soundtags=SETTINGS)
    beet("soundtags")
    assert beet("ls", "-a", "-f", "$genres").stdout.strip() != "Polka"
    undo(beet)
    assert beet("ls", "-a", "-f", "$genres").stdout.strip() == "Polka"


def test_what_would_come_back_is_shown(beet: Beet, tmp_path: Path):
    (tmp_path / "in").mkdir()
    for seed, title in enumerate("ab"):
        write_track(tmp_path / "in" / f"{title}.flac", title, seed)
    beet.configure(soundtags=SETTINGS)
    beet("import", "-A", tmp_path / "in")
    before = beet.items()
    # The album has values for the track that has none any more.
    undo(beet, "title:a")
    done = beet("soundtags", "--undo", "-p")
    assert done.stdout.splitlines()[-1].startswith("1 would be restored, 1 had")
    assert done.stderr == ""
    shown = dict(
        line.strip().split(": ", 1)
        for line in done.stdout.splitlines()
        if line.startswith("  ") and ": " in line
    )
    (_, item) = before
    for name in ("danceability", "energy", "mood_happy"):
        assert shown[name] == f"{item[name]:.4f} ->"
    assert beet.items("title:b") == before[1:]


def test_what_others_changed_in_the_file_stays(library: Beet):
    (item,) = library.items()
    file = mutagen.File(item["path"])
    file["danceability"] = "0.1111"
    file["mood"] = ["calm"]
    file.save()
    assert undo(library).startswith("1 restored")
    tags = tags_of(item["path"])
    assert tags["danceability"] == ["0.1111"]
    assert tags["mood"] == ["calm"]
    assert "genre" not in tags


def test_undo_after_a_conversion(library: Beet):
    (item,) = library.items()
    converted = library.folder / "converted.mp3"
    samples, rate = soundfile.read(item["path"])
    soundfile.write(converted, samples, rate)
    tags = MediaFile(converted)
    tags.update({"title": "Title", "genres": item["genres"]})
    frames = tags.mgfile.tags
    frames.add(mutagen.id3.TMOO(encoding=3, text=item["mood"]))
    for name in ("mood", "danceability", "voice_instrumental"):
        value = item[name]
        text = [f"{value:.4f}"] if isinstance(value, float) else value
        frames.add(mutagen.id3.TXXX(encoding=3, desc=name.upper(), text=text))
    tags.save()
    database = sqlite3.connect(library.folder / "library.db")
    with closing(database), database:
        database.execute("UPDATE items SET path = ?", (os.fsencode(converted),))
    assert undo(library).startswith("1 restored")
    assert set(tags_of(converted)) == {"tit2"}


def test_a_record_that_is_none_costs_its_track_alone(library: Beet):
    database = sqlite3.connect(library.folder / "library.db")
    with closing(database), database:
        database.execute(
            "UPDATE item_attributes SET value = '[1' WHERE key = ?",
            ("soundtags_undo",),
        )
    assert "1 restored" in undo(library)
    assert "1 tagged" in library("soundtags", "-f").stdout
