"""Fields: queries, sorting, formats, and other plugins beside us."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.audio import write_track
from support.beet import Beet


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """Tracks with values set by hand: a to c analysed, d not."""
    folder = tmp_path_factory.mktemp("filled")
    for title in "abcd":
        write_track(folder / f"{title}.flac", title)
    home = tmp_path_factory.mktemp("home") / "beets"
    beet = Beet.new(home, soundtags={"auto": False})
    beet("import", "-A", folder)
    values = {
        "a": ["danceability=0.9", "mood=happy; party", "mood_happy=0.8"],
        "b": ["danceability=0.0", "mood=sad", "mood_happy=0.1"],
        "c": ["danceability=0.45678", "mood=unhappy", "mood_happy=0.2"],
    }
    for title, changes in values.items():
        voice = "voice" if title == "a" else "instrumental"
        beet(
            "modify",
            "-yW",
            *changes,
            f"voice_instrumental={voice}",
            "soundtags=ambient; slow",
            f"title:{title}",
        )
    return beet


@pytest.fixture
def library(beet: Beet, filled: Beet) -> Beet:
    """The same tracks, for a test that changes something."""
    beet.begin_with(filled)
    return beet


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        (["mood:=happy"], "a"),
        (["mood:happy"], "ac"),
        (["danceability:0.8.."], "a"),
        (["danceability:..0.5"], "bc"),
        (["danceability:0.0"], "b"),
        (["danceability:0..1"], "abc"),
        (["mood_happy:..0.2"], "bc"),
        (["mood_sad:0.."], ""),
        (["voice_instrumental:instrumental"], "bc"),
        (["soundtags:ambient"], "abc"),
        (["danceability:0..", "danceability-"], "acb"),
        (["danceability:0..", "danceability+"], "bca"),
        (["danceability-"], "acbd"),
    ],
)
def test_queries(filled: Beet, query: list[str], titles: str):
    assert "".join(filled.ls("$title", *query)) == titles


def test_formats(filled: Beet):
    lines = filled.ls("$title $danceability [$mood]", "title+")
    assert lines == [
        "a 0.9000 [happy; party]",
        "b 0.0000 [sad]",
        "c 0.4568 [unhappy]",
        "d  []",
    ]


def test_conditions_in_formats(filled: Beet):
    template = "$title %if{$danceability,known,unknown}"
    assert filled.ls(template, "title+") == [
        "a known",
        "b known",
        "c known",
        "d unknown",
    ]


@pytest.mark.parametrize(
    "others",
    [
        {"plugins": ["acousticbrainz", "soundtags"]},
        {"plugins": ["soundtags", "acousticbrainz"]},
        {
            "plugins": ["types", "soundtags"],
            "types": {"danceability": "float", "mood": "int"},
        },
        {
            "plugins": ["soundtags", "types"],
            "types": {"danceability": "float", "soundtags_plan": "int"},
        },
    ],
)
def test_beet_starts_beside_plugins_with_the_same_fields(
    library: Beet, others: dict
):
    library.configure(**others)
    done = library("ls", "-f", "$title", "danceability:0.8..")
    assert done.stdout == "a\n"
    assert "Error" not in done.stderr
    assert library.ls("$danceability", "title:a")[0].startswith("0.9")


def test_update_does_not_take_values_of_files_without_tags(library: Beet):
    # Fields that are not written to files live in the library alone.
    for path in library.ls("$path"):
        Path(path).touch()
    library("update")
    assert library.ls("$mood_happy", "title:a") == ["0.8000"]


def test_paths_can_ask_the_track_itself(beet: Beet, tmp_path: Path):
    (tmp_path / "in").mkdir()
    for seed, title in enumerate("ab"):
        write_track(tmp_path / "in" / f"{title}.flac", title, seed)
    beet("import", "-A", tmp_path / "in")
    beet("modify", "-y", "title:a", "mood=calm")
    beet("modify", "-y", "title:b", "mood=wild")
    beet("modify", "-aIy", "mood=both")
    beet.configure(paths={"default": "%first{$track_mood}/$title"})
    beet("move")
    paths = [Path(item["path"]) for item in beet.items()]
    assert [path.parent.name for path in paths] == ["calm", "wild"]
    assert beet.ls("$title", "track_mood:wild") == ["b"]
    assert beet.ls("$title", "^track_mood:=calm") == ["b"]
    assert beet.ls("$title", "track_danceability:0..") == ["a", "b"]
