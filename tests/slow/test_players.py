"""A player reads our tags and plays lists: MPD, as mpc controls it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mediafile import MediaFile
from support import mpd
from support.audio import MADE
from support.beet import Beet

if TYPE_CHECKING:
    from collections.abc import Iterator

REASON = mpd.missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(REASON), reason=REASON),
]

KINDS = ("mp3", "flac", "ogg", "opus", "wv", "aiff", "m4a")
ONE_VALUE = ("AIFF", "AAC")  # of each tag is all that FFmpeg gives to MPD


@pytest.fixture(scope="module")
def beet(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """beet with a track in each format, and a happy one."""
    beet = Beet.new(
        tmp_path_factory.mktemp("beets"),
        paths={"singleton": "$title"},
        soundtags={"patches": 1, "jobs": 1, "mood_threshold": 0.2},
    )
    source = tmp_path_factory.mktemp("source")
    for name in (*KINDS, "happy.flac"):
        path = source / f"track.{name}"
        MADE[name.removeprefix("happy.")](path)
        file = MediaFile(path)
        file.title = name.replace(".", " ")
        file.save()
    beet("import", "-As", source)
    beet("modify", "-y", "mood=happy", "title:happy")
    return beet


@pytest.fixture(scope="module")
def player(beet: Beet) -> Iterator[mpd.Mpd]:
    """MPD on the music of that library."""
    with mpd.running(beet.folder / "music") as player:
        yield player


def test_tracks_are_found_by_mood(beet: Beet, player: mpd.Mpd):
    has, is_read = defaultdict(set), defaultdict(set)
    for item in beet.items():
        name = Path(item["path"]).name
        for place, mood in enumerate(item["mood"]):
            has[mood].add(name)
            if place == 0 or item["format"] not in ONE_VALUE:
                is_read[mood].add(name)
    assert has["happy"] == {"happy flac.flac"}
    assert len(has) > 2
    for mood, names in has.items():
        found = set(player.mpc("find", f'(Mood == "{mood}")'))
        assert is_read[mood] <= found <= names


def test_ready_made_lists_are_played(beet: Beet, player: mpd.Mpd):
    music = beet.folder / "music"
    folder = music / "Playlists"
    beet("soundlists", "-o", folder)
    player.mpc("update", "--wait")
    lists = sorted(folder.glob("*.m3u8"))
    assert lists
    for path in lists:
        player.mpc("-q", "clear")
        player.mpc("load", str(path.relative_to(music)))
        wanted = [
            (folder / line).resolve().relative_to(music.resolve()).as_posix()
            for line in path.read_text(encoding="utf-8").splitlines()
            if not line.startswith("#")
        ]
        assert player.mpc("-f", "%file%", "playlist") == wanted
        playing, state, *_ = player.mpc("-f", "%file%", "play")
        assert playing == wanted[0]
        assert state.startswith("[playing]")
