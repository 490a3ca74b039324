"""Queries of our fields: the database answers, as Python would match."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.beet import Beet
from support.paths import ROOT

ANSWERED = [
    "mood:happy",
    "^mood:happy",
    "mood:=happy",
    "mood:=~Happy",
    "mood::^h",
    "mood:Ärger",
    "mood:happy , soundtags:slow",
    "danceability:0.8..",
    "danceability:0..0.5 genres:jazz",
    "mood_happy:1",
    "voice_instrumental:voice",
    "voice_instrumental_score:0.9..",
    "soundtags:=ambient",
    "soundtags_plan:=x",
    "-a voice_instrumental:voice",
    "mood:x singleton:true",
    "^singleton:true mood:x",
    "-a genres:jazz ^voice_instrumental:=voice",
]
MATCHED = [
    "danceability::9$",  # text of numbers
    "-a mood:happy",  # from what all tracks of an album have in common
    "key_of_another_plugin:x",
    "mood:\u03c3",  # a sigma: its lower case depends on its neighbours
]


def run(beet: Beet, *args: str) -> list[str]:
    """Run a check in a process that has loaded the plugins of beet."""
    environment = beet.environment()
    environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'tests'}"
    done = subprocess.run(
        [sys.executable, "-m", "support.matching", *args],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_database_answers_queries_of_our_fields(beet: Beet):
    assert run(beet, "answered", *ANSWERED, *MATCHED) == ANSWERED


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "plugins": ["types", "soundtags", "fuzzy"],
            "types": {
                "danceability": "float",
                "soundtags": "bool",
                "voice_instrumental": "int",
                "soundtags_plan": "float",
            },
        },
        {
            "plugins": ["soundtags", "inline"],
            "item_fields": {"soundtags_plan": "title"},
            "album_fields": {"voice_instrumental": "album + ' happy'"},
        },
        {"plugins": ["acousticbrainz", "soundtags"]},
    ],
    ids=["alone", "types", "inline", "acousticbrainz"],
)
def test_queries_find_what_they_match(beet: Beet, settings: dict):
    beet.configure(**settings)
    run(beet, "same")


def test_a_library_may_have_been_opened_before_the_plugin(beet: Beet):
    run(beet, "opened")


def test_a_query_can_be_about_tracks_and_albums_at_once(beet: Beet, track):
    beet("import", "-A", track.parent)
    beet("modify", "-yW", "mood_happy=0.8", "voice_instrumental=voice")
    beet("modify", "-ayI", "voice_instrumental=instrumental")
    for query in (
        ["artpath::^x", ",", "mood_happy:0.5.."],
        ["^artpath::^x", "voice_instrumental:=voice"],
    ):
        assert len(beet.ls("$title", *query)) == 1
    albums = ["ls", "-a", "-f", "$album", "title::."]
    assert (
        len(beet(*albums, "voice_instrumental:inst").stdout.splitlines()) == 1
    )
    assert beet(*albums, "voice_instrumental:=voice").stdout == ""


def test_characters_in_another_encoding_match_nothing(beet: Beet):
    beet("version")  # makes the library
    assert beet.ls("$title", "mood:\udcff", ",", "mood:=\udcff") == []
