"""What a user says of a track is the user's."""

from __future__ import annotations

import os
from pathlib import Path

import mutagen
import pytest
from support.audio import write_track
from support.beet import Beet

QUICK = {"patches": 2, "jobs": 1}
OTHERWISE = {
    "thresholds": {**QUICK, "mood_threshold": 0.05, "thresholds": {"Rock": 0}},
    "patches": {**QUICK, "patches": 1},
    "models": {**QUICK, "models": ["msd-musicnn-1", "mtt-vgg-1"]},
    "labels": {**QUICK, "labels": {"electronic": "bleeps"}},
}


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of one track that was analysed."""
    folder = tmp_path_factory.mktemp("analysed")
    beet = Beet.new(folder / "beets")
    beet("import", "-A", write_track(folder / "track.flac"))
    return beet


@pytest.fixture
def library(beet: Beet, analysed: Beet) -> Beet:
    beet.begin_with(analysed)
    return beet


def modify(beet: Beet) -> None:
    beet("modify", "-y", "mood=calm", "genres=Polka", "danceability=0.1234")


def check_is_the_users(beet: Beet) -> None:
    (item,) = beet.items()
    assert (item["mood"], item["genres"]) == (["calm"], ["Polka"])
    assert item["danceability"] == 0.1234
    tags = mutagen.File(item["path"])
    assert (tags["mood"], tags["genre"]) == (["calm"], ["Polka"])
    assert tags["danceability"] == ["0.1234"]


@pytest.mark.parametrize("settings", OTHERWISE)
def test_what_was_typed_stays(library: Beet, settings: str):
    modify(library)
    for _ in range(2):
        library.configure(soundtags=OTHERWISE[settings])
        assert "1 tagged" in library("soundtags").stdout
        check_is_the_users(library)
        library.configure()
        assert "1 tagged" in library("soundtags").stdout
        check_is_the_users(library)
    library("soundtags", "-f")  # to be asked for
    (item,) = library.items()
    assert item["mood"] != ["calm"]
    assert item["danceability"] != 0.1234
    assert item["genres"] == ["Polka"]  # which has an option of its own


def test_what_was_typed_stays_when_imported_again(library: Beet):
    modify(library)
    library.configure(soundtags=OTHERWISE["thresholds"])
    library("import", "-A", "-L", "title:Title")
    check_is_the_users(library)


def test_what_other_programs_write_to_files_stays(library: Beet):
    (item,) = library.items()
    file = mutagen.File(item["path"])
    file["mood"] = ["wistful"]
    file.save()
    later = os.path.getmtime(item["path"]) + 10
    os.utime(item["path"], (later, later))
    assert "wistful" in library("update").stdout
    library.configure(soundtags=OTHERWISE["thresholds"])
    library("soundtags")
    assert library.ls("$mood") == ["wistful"]
    assert mutagen.File(item["path"])["mood"] == ["wistful"]


def test_genres_of_ours_follow_the_settings(library: Beet):
    (before,) = library.items()
    (genre, *_) = before["genres"]
    library.configure(soundtags={**QUICK, "labels": {genre.lower(): "Bleeps"}})
    library("soundtags")
    (item,) = library.items()
    assert "Bleeps" in item["genres"]
    assert mutagen.File(item["path"])["genre"] == item["genres"]


def test_what_is_replaced_was_asked_for(library: Beet):
    modify(library)
    library.configure(soundtags={**QUICK, "genre": "replace"})
    library("modify", "-yW", "soundtags_plan=old")
    library("soundtags")
    (item,) = library.items()
    assert item["genres"] != ["Polka"]
    assert item["mood"] == ["calm"]


@pytest.mark.parametrize(
    ("mood", "genre", "is_filled"),
    [
        ("", "", True),
        ("  ", " ", True),
        ("calm", "Unknown", True),
        ("calm", "undefined", True),
        ("calm", "Polka", False),
    ],
)
def test_empty_tags_and_placeholders_are_filled(
    beet: Beet, tmp_path: Path, mood: str, genre: str, is_filled: bool
):
    (tmp_path / "in").mkdir()
    path = write_track(tmp_path / "in" / "track.flac")
    file = mutagen.File(path)
    file["mood"], file["genre"] = mood, genre
    file.save()
    beet.configure(soundtags={**QUICK, "mood_threshold": 0})
    beet("import", "-A", tmp_path / "in")
    (item,) = beet.items()
    tags = mutagen.File(item["path"])
    assert (item["genres"] != [genre]) == is_filled
    assert tags["genre"] == item["genres"]
    assert (item["mood"] == ["calm"]) == bool(mood.strip())
    assert tags["mood"] == item["mood"]
    beet("soundtags", "--undo")
    assert mutagen.File(item["path"])["genre"] == [genre]


def test_placeholders_are_an_option(beet: Beet, tmp_path: Path):
    (tmp_path / "in").mkdir()
    path = write_track(tmp_path / "in" / "track.flac")
    file = mutagen.File(path)
    file["genre"] = "Sonstiges"
    file.save()
    beet.configure(soundtags={**QUICK, "placeholder_genres": ["sonstiges"]})
    beet("import", "-A", tmp_path / "in")
    assert "Sonstiges" not in beet.items()[0]["genres"]
