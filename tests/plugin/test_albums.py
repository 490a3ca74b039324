"""Albums say what their tracks have in common."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import mediafile
import mutagen
import numpy as np
import pytest
import soundfile
from support.audio import write_track
from support.beet import Beet

if TYPE_CHECKING:
    from pathlib import Path

# Mood, danceability and tags of the tracks of an album.
TRACKS = [
    ("sad; relaxed", "0.2", "piano; slow; quiet"),
    ("relaxed", "0.3", "slow; piano"),
    ("happy; sad", "0.4", "guitar; slow"),
    ("", "0.3", ""),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library with an album of which we know all, and one with nothing."""
    home = tmp_path_factory.mktemp("filled")
    beet = Beet.new(home / "beets", soundtags={"auto": False})
    folders = [home / "known", home / "unknown"]
    for folder in folders:
        folder.mkdir()
        for number, _ in enumerate(TRACKS):
            path = folder / f"{number}.flac"
            title = f"{folder.name} {number}"
            file = mediafile.MediaFile(write_track(path, title))
            file.album = folder.name
            file.save()
    beet("import", "-A", *folders)
    for number, (mood, danceability, tags) in enumerate(TRACKS):
        beet(
            "modify",
            "-yW",
            f"title:=known {number}",
            f"mood={mood}",
            f"soundtags={tags}",
            f"danceability={danceability}",
            "soundtags_plan=any",  # analysed, also where nothing was found
        )
    return beet


@pytest.fixture
def albums(beet: Beet, filled: Beet) -> Beet:
    """The same albums, for a test that changes something."""
    beet.begin_with(filled)
    return beet


def found(beet: Beet, *query: str) -> list[str]:
    return beet("ls", "-a", "-f", "$album", *query).stdout.split()


def test_albums_say_what_tracks_have_in_common(filled: Beet):
    template = "$mood | $danceability | $soundtags"
    said = filled("ls", "-a", "-f", template, "album:=known").stdout.strip()
    assert said == "sad; relaxed | 0.3000 | slow; piano; guitar"


@pytest.mark.parametrize(
    "query",
    [
        "mood:relaxed",
        "mood:=sad",
        "danceability:0.3..",
        "danceability:..0.3",
        "soundtags:slow",
    ],
)
def test_queries_find_albums(filled: Beet, query: str):
    assert found(filled, query) == ["known"]


@pytest.mark.parametrize(
    "query", ["mood:happy", "danceability:0.31..", "soundtags:quiet"]
)
def test_queries_pass_over_albums(filled: Beet, query: str):
    assert found(filled, query) == []


def test_what_is_said_of_an_album_itself_counts(albums: Beet):
    albums("modify", "-ayWI", "album:=known", "mood=calm")
    assert found(albums, "mood:calm") == ["known"]
    assert found(albums, "mood:relaxed") == []


def test_albums_do_not_speak_for_their_tracks(albums: Beet):
    assert albums.ls("$title", "mood:relaxed") == ["known 0", "known 1"]
    albums("modify", "-yW", "title:=known 3", "danceability!", "mood!")
    query = "title:=known 3"
    assert albums.ls("$danceability [$mood]", query) == [" []"]
    assert "known 3" not in albums.ls("$title", "danceability:0..")
    assert found(albums, "danceability:0..") == []
    albums("write", "-f")
    (item,) = albums.items(query)
    assert not {"danceability", "mood"} & set(mutagen.File(item["path"]).keys())


def test_albums_say_nothing_while_a_track_is_unknown(
    beet: Beet, tmp_path: Path
):
    beet.configure(soundtags={"auto": False, "patches": 2, "jobs": 1})
    (tmp_path / "in").mkdir()
    for seed, title in enumerate("ab"):
        write_track(tmp_path / "in" / f"{title}.flac", title, seed)
    beet("import", "-A", tmp_path / "in")
    beet("soundtags", "title:a")
    assert beet.items("title:a")[0]["mood"]
    template = "[$mood] [$danceability] [$soundtags]"
    assert beet("ls", "-a", "-f", template).stdout == "[] [] []\n"
    beet("soundtags")
    assert "[]" not in beet("ls", "-a", "-f", template).stdout


def test_genres_of_ours_follow_the_settings(beet: Beet, track: Path):
    beet("import", "-A", track.parent)
    (before,) = found_genres(beet)
    names = {name.lower(): name.upper() for name in before.split("; ")}
    beet.configure(soundtags={"patches": 2, "jobs": 1, "labels": names})
    beet("soundtags")
    assert found_genres(beet) == [before.upper()]
    beet("modify", "-ayWI", "genres=Polka")
    beet.configure()
    beet("soundtags")
    assert found_genres(beet) == ["Polka"]


def found_genres(beet: Beet) -> list[str]:
    return beet("ls", "-a", "-f", "$genres").stdout.splitlines()


def import_three_genres(beet: Beet, folder: Path) -> list[list[str]]:
    """Import an album, and return the genres of its tracks."""
    folder.mkdir()
    time_ = np.arange(4 * 44100) / 44100
    for title, pitch in {"a": 110, "b": 990, "c": 6600}.items():
        path = write_track(folder / f"{title}.flac", title)
        tags = mediafile.MediaFile(path).as_dict()
        soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * time_), 44100)
        file = mediafile.MediaFile(path)
        file.update(tags)
        file.save()
    beet("import", "-A", folder)
    return [item["genres"] for item in beet.items()]


@pytest.mark.parametrize(
    "changed", [["-a"], ["title:=a"], ["title:=b"], ["title:=c"], []]
)
def test_genres_that_the_user_keeps_out_of_files_stay(
    beet: Beet, tmp_path: Path, changed: list[str]
):
    import_three_genres(beet, tmp_path / "in")
    beet("modify", "-yW", "genres=Polka", *changed)
    before = beet.items()
    assert beet("soundtags").stdout.startswith("0 tagged, 3 already")
    assert beet.items() == before


def test_genres_lost_to_the_album_come_back(beet: Beet, tmp_path: Path):
    before = import_three_genres(beet, tmp_path / "in")
    assert before[1] != before[0] != before[2]
    file = mutagen.File(beet.items()[2]["path"])
    file["title"] = "changed"
    file.save()
    later = time.time() + 10
    os.utime(beet.items()[2]["path"], (later, later))
    beet("update")
    assert {tuple(item["genres"]) for item in beet.items()} == {
        tuple(before[0])
    }
    shown = beet("soundtags", "-p").stdout
    assert "2 tracks would get back the genres in their files" in shown
    assert "2 tracks got back" in beet("soundtags").stdout
    assert [item["genres"] for item in beet.items()] == before
    assert beet("soundtags").stdout.startswith("0 tagged, 3 already")
    beet("modify", "-y", "genres=Polka")  # by the user, who may
    assert "got back" not in beet("soundtags").stdout
    assert {tuple(item["genres"]) for item in beet.items()} == {("Polka",)}
