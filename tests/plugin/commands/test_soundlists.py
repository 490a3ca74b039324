"""The command `beet soundlists`: playlists in files, for several players."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from beets.library import Item, Library
from support.beet import Beet

# Of each artist ten tracks, one album; the rest is like a party and unlike it.
ARTISTS = 4
PARTY = {"mood_party": "0.9000", "danceability": "0.9000", "energy": "0.9000"}
CALM = {"mood_party": "0.1000", "danceability": "0.1000", "energy": "0.1000"}
# As its public code reads them (model/criteria); of all operators, those that
# every version knows for tags.
KEYS = {"name", "comment", "all", "sort", "order", "limit"}
OPERATORS = {"is": str, "gt": (int, float), "lt": (int, float)}
BUILT_IN = {"genre", "mood", "random", "year", "duration"}

# What is wrong with a recipe, and what is said of that.
BROKEN = {
    "by: {energy: high}": "by: energy: 'high' is not a weight",
    "title: [": "not valid YAML in line 1:",
    "title: 2001-99-99": "not valid YAML: month must be",
    "by: {enery: 1}": "no track has the field enery",
    "query: '\"'": "query: No closing quotation",
    "query: year:x": "query: 'year:x': 'x' is not an int",
    "each: [word]": "each: ['word'] is not one of: genre, word",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of 80 tracks in which all scores are known."""
    beet = Beet.new(tmp_path_factory.mktemp("home") / "beets")
    music = beet.folder / "music"
    library = Library(str(beet.folder / "library.db"), str(music))
    for number in range(ARTISTS * 20):
        party = number < ARTISTS * 10
        artist = f"Artist {number % ARTISTS}"
        add(
            library,
            music / artist / f"{number}.mp3",
            f"Söng {number}",
            artist,
            genres=["Rock", "Drum/Bass"] if party else ["Ambient"],
            mood_focus=f"{number / 100:.4f}",
            **(PARTY if party else CALM),
        )
    add(
        library, music / "talk.mp3", "Talk", speech="0.9000", genres=["Ambient"]
    )
    library.add(Item(path=os.fsencode(music / "new.mp3"), title="New"))
    library._close()
    beet.know("focus")
    return beet


def add(library: Library, path: Path, title: str, artist: str = "", **values):
    item = Item(path=os.fsencode(path), title=title, artist=artist, length=61.5)
    item.update({"soundtags_plan": "any", **values})
    library.add(item)


@pytest.fixture
def library(beet: Beet, filled: Beet) -> Beet:
    beet.begin_with(filled)
    return beet


def tracks(path: Path) -> list[str]:
    lines = path.read_text("utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def own(beet: Beet, name: str, text: str) -> None:
    folder = beet.folder / "soundtags-lists"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def test_nothing_is_written_without_a_folder(library: Beet, tmp_path: Path):
    before = sorted(library.folder.rglob("*"))
    for args in ([], ["--list", "-o", str(tmp_path / "none")]):
        done = library("soundlists", *args)
        head, blank, *lines = done.stdout.splitlines()
        assert head == "82 tracks, 1 of them not analysed"
        assert blank == ""
        names = [line.split()[0] for line in lines[: lines.index("")]]
        assert names == [
            *("genre-ambient", "genre-drum-bass", "genre-rock"),
            *("mood-focus", "party", "running"),
        ]
    assert sorted(library.folder.rglob("*")) == before
    assert not (tmp_path / "none").exists()


def test_playlists_are_what_players_read(library: Beet):
    folder = library.folder / "music" / "lists"
    library("soundlists", "-o", folder)
    first, title, made, *lines = (
        (folder / "party.m3u8").read_text("utf-8").splitlines()
    )
    assert (first, title) == ("#EXTM3U", "#PLAYLIST:Party")
    assert made.startswith("# ")
    assert len(lines) == 80
    for info, path in zip(lines[::2], lines[1::2]):
        name = Path(path)
        assert path == os.path.join("..", name.parent.name, name.name)
        title = f"{name.parent.name} - Söng {name.stem}"
        assert info == f"#EXTINF:62,{title}"
        assert int(name.stem) < 40
    assert len({*lines[1::2]}) == 40
    assert len(tracks(folder / "genre-drum-bass.m3u8")) == 40
    assert len(tracks(folder / "genre-ambient.m3u8")) == 40  # no speech
    # The highest first.
    assert "79.mp3" in tracks(folder / "mood-focus.m3u8")[0]


def test_paths_can_be_absolute_or_those_of_another_machine(
    library: Beet, tmp_path: Path
):
    library("soundlists", "-o", tmp_path / "a")
    path = Path(tracks(tmp_path / "a" / "party.m3u8")[0])
    assert path.is_relative_to(library.folder / "music")
    below = path.relative_to(library.folder / "music").as_posix()
    for number, (prefix, start) in enumerate(
        {"": "", "/mnt/music": "/mnt/music/", "M:\\": "M:\\"}.items()
    ):
        folder = tmp_path / str(number)
        library("soundlists", "-f", "m3u", "-o", folder, f"--prefix={prefix}")
        assert tracks(folder / "party.m3u")[0] == start + below


def test_only_what_matches_is_chosen_from(library: Beet, tmp_path: Path):
    library("soundlists", "-o", tmp_path, "artist:=Artist 1")
    found = tracks(tmp_path / "party.m3u8")
    assert len(found) == 10
    assert all("Artist 1" in path for path in found)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_what_no_playlist_can_contain_is_left_out(
    library: Beet, tmp_path: Path
):
    made = Library(
        str(library.folder / "library.db"), str(library.folder / "music")
    )
    outside = tmp_path / "outside.mp3"
    for path in (b"/\xff/a.mp3", b"/m/two\nlines.mp3", os.fsencode(outside)):
        item = Item(path=path, title=repr(path))
        item.update({"soundtags_plan": "any", **PARTY})
        made.add(item)
    made._close()
    done = library("soundlists", "-o", tmp_path / "a")
    assert "2 tracks left out, as a playlist cannot" in done.stderr
    found = tracks(tmp_path / "a" / "party.m3u8")
    assert len(found) == 41
    assert str(outside) in found
    done = library("soundlists", "-o", tmp_path / "b", "--prefix", "/x")
    assert "3 tracks left out" in done.stderr
    assert len(tracks(tmp_path / "b" / "party.m3u8")) == 40


def test_a_comment_is_no_path(library: Beet):
    music = library.folder / "music"
    made = Library(str(library.folder / "library.db"), str(music))
    for number in range(3):
        add(made, music / f"#{number}.mp3", f"#{number}", **PARTY)
    made._close()
    library("soundlists", "-o", music, "title:#")
    expected = {os.path.join(".", f"#{number}.mp3") for number in range(3)}
    assert {*tracks(music / "party.m3u8")} == expected


def test_a_song_on_two_albums_is_there_once(library: Beet, tmp_path: Path):
    music = library.folder / "music"
    made = Library(str(library.folder / "library.db"), str(music))
    add(made, music / "best of.mp3", "söng 3", "Artist 3", **PARTY)
    made._close()
    library("soundlists", "-o", tmp_path)
    assert len(tracks(tmp_path / "party.m3u8")) == 40


def test_files_of_others_are_left_alone(library: Beet, tmp_path: Path):
    mine = tmp_path / "party.m3u8"
    mine.write_text("mine.mp3\n")
    done = library("soundlists", "-o", tmp_path)
    assert f"{mine}: left alone" in done.stderr
    assert mine.read_text() == "mine.mp3\n"
    assert tracks(tmp_path / "running.m3u8")
    # Ours are made anew, and what is no more is named.
    done = library("soundlists", "-o", tmp_path, "genres:Ambient")
    assert "running.m3u8: made before, but not this time" in done.stderr
    assert "party.m3u8" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")
def test_what_is_no_file_is_left_alone(library: Beet, tmp_path: Path):
    library("soundlists", "-o", tmp_path / "all")
    names = sorted(path.name for path in (tmp_path / "all").iterdir())
    folder = tmp_path / "some"
    (folder / names[0]).mkdir(parents=True)
    (folder / names[1]).symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / names[2])
    (folder / "mine.m3u8").symlink_to(tmp_path / "nowhere")
    own(library, "sunday.yml", "")
    recipe = library.folder / "soundtags-lists" / "sunday.yml"
    recipe.unlink()
    os.mkfifo(recipe)
    done = library("soundlists", "-o", folder)
    for name in names[:3]:
        assert f"{name}: left alone" in done.stderr
    assert "sunday.yml: not a regular file" in done.stderr
    assert "made before" not in done.stderr
    assert not (tmp_path / "nowhere").exists()
    assert tracks(folder / names[3])


def test_lists_are_data_of_the_user(library: Beet, tmp_path: Path):
    own(library, "running.yaml", "")
    own(library, "party.yaml", "title: Our party\nby: {energy: -1}\n")
    own(library, "sunday.yml", "query: genres:Ambient , title:=x\n")
    library("soundlists", "-o", tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert "running.m3u8" not in names
    assert "#PLAYLIST:Our party\n" in (tmp_path / "party.m3u8").read_text(
        "utf-8"
    )
    assert int(Path(tracks(tmp_path / "party.m3u8")[0]).stem) >= 40
    assert len(tracks(tmp_path / "sunday.m3u8")) == 40


def test_a_broken_list_costs_one_line(library: Beet, tmp_path: Path):
    for number, text in enumerate(BROKEN):
        own(library, f"{number}.yaml", text)
    done = library("soundlists", "-o", tmp_path)
    lines = done.stderr.splitlines()
    assert len(lines) == len(BROKEN)
    for number, complaint in enumerate(BROKEN.values()):
        message = f"{number}.yaml: {complaint}"
        assert len([line for line in lines if message in line]) == 1, message
    assert tracks(tmp_path / "party.m3u8")


def test_navidrome_gets_rules_that_it_knows(library: Beet, tmp_path: Path):
    own(library, "mine.yaml", "query: title:x")
    own(library, "rock.yaml", "where: {genres: Rock, length: 60..}")
    printed = library("soundlists", "-f", "nsp", "-o", tmp_path).stdout
    found = {
        path.stem: json.loads(path.read_text("utf-8"))
        for path in tmp_path.glob("*.nsp")
    }
    assert "mine" not in found
    used = set()
    for rules in found.values():
        assert rules.keys() == KEYS
        assert rules["all"]
        used.add(rules["sort"])
        for rule in rules["all"]:
            ((operator, operand),) = rule.items()
            ((field, value),) = operand.items()
            assert isinstance(value, OPERATORS[operator])
            used.add(field)
    assert found["party"]["name"] == "Party"
    assert {"gt": {"energy": 0.8999}} in found["party"]["all"]
    assert found["party"]["sort"] == "mood_party"
    assert found["party"]["order"] == "desc"
    assert found["genre-rock"]["all"] == [{"is": {"genre": "Rock"}}]
    assert {"gt": {"duration": 59.9999}} in found["rock"]["all"]
    # What is not built in must be configured, and be in files.
    configuration, _, wanted = printed.partition("soundtags:\n")
    for field in used - BUILT_IN:
        assert f"Tags.{field}.Aliases = [" in configuration
        assert f'Tags.{field}.Type = "float"' in configuration
    names = yaml.safe_load(wanted)["file_tags"]
    assert used - BUILT_IN <= {*names}


def test_smartplaylist_makes_about_the_same(library: Beet, tmp_path: Path):
    own(library, "mine.yaml", "query: title:x , title:7\nby: {energy: 1}")
    printed = library("soundlists", "-f", "smartplaylist", "-o", tmp_path)
    section = yaml.safe_load(printed.stdout)
    library.configure(plugins=["soundtags", "smartplaylist"], **section)
    library("splupdate")
    assert len(tracks(tmp_path / "party.m3u")) == 40
    assert len(tracks(tmp_path / "genre-drum-bass.m3u")) == 40
    assert len(tracks(tmp_path / "mine.m3u")) == 4
    assert (tmp_path / "party.m3u").read_text("utf-8").startswith("#EXTM3U")


def test_where_nothing_is_analysed_it_is_said(beet: Beet):
    done = beet("soundlists", status=1)
    assert "no matching track has been analysed; run: beet sound" in done.stderr


def test_where_nothing_matches_it_is_said(library: Beet):
    done = library("soundlists", "title:nobody", status=1)
    assert done.stderr == "error: no track matches\n"


def test_where_nothing_fits_it_is_said(library: Beet, tmp_path: Path):
    done = library("soundlists", "-o", tmp_path / "none", "title:=Söng 3")
    assert done.stdout == "no playlist: each needs at least 3 tracks that fit\n"
    assert not (tmp_path / "none").exists()


def test_ready_made_lists_are_all_usable(library: Beet, tmp_path: Path):
    music = library.folder / "music"
    made = Library(str(library.folder / "library.db"), str(music))
    for number in range(60):
        high = f"{number / 60:.4f}"
        low = f"{1 - number / 60:.4f}"
        happy = number * 7 % 60 / 60
        add(
            made,
            music / f"m{number}.mp3",
            f"m{number}",
            **dict.fromkeys(["energy", "danceability"], high),
            **dict.fromkeys(["mood_party", "mood_aggressive"], high),
            **dict.fromkeys(["mood_relaxed", "mood_acoustic"], low),
            **dict.fromkeys(["valence", "mood_happy"], f"{happy:.4f}"),
            mood_electronic=high,
            mood_sad=f"{1 - happy:.4f}",
            voice_instrumental="voice" if number % 2 else "instrumental",
        )
    made._close()
    done = library("soundlists", "-o", tmp_path / "lists", "title::^m[0-9]+")
    assert done.stderr == ""
    assert {path.stem for path in (tmp_path / "lists").iterdir()} == {
        *("acoustic", "aggressive", "calm-evening", "dinner", "happy"),
        *("instrumental-work", "melancholy", "party", "running"),
        *("sing-along", "sleep", "study", "workout"),
    }
