"""Fields: queries, sorting, formats, and other plugins beside us."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Beet, copy_into, write_track


@pytest.fixture
def library(beet: Beet, tmp_path: Path) -> Beet:
    """Tracks with values set by hand: a to c analysed, d not."""
    for title in "abcd":
        write_track(tmp_path / f"{title}.flac", title)
    beet.configure(soundtags={"auto": False})
    beet("import", "-A", copy_into(tmp_path / "in", *tmp_path.glob("*.flac")))
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
def test_queries(library: Beet, query: list[str], titles: str):
    assert "".join(library.ls("$title", *query)) == titles


def test_formats(library: Beet):
    lines = library.ls("$title $danceability [$mood]", "title+")
    assert lines == [
        "a 0.9000 [happy; party]",
        "b 0.0000 [sad]",
        "c 0.4568 [unhappy]",
        "d  []",
    ]


def test_conditions_in_formats(library: Beet):
    template = "$title %if{$danceability,known,unknown}"
    assert library.ls(template, "title+") == [
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
