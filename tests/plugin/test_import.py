"""The import hook, in every way that people import."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mediafile
import mutagen
import pytest
from support.audio import write_track
from support.beet import Beet
from support.models import write_model
from support.needs import needs_tensorflow
from support.paths import PLUGINS

# TensorFlow is the engine that writes to standard error.
ENGINE = "tensorflow" if find_spec("tensorflow") else "auto"
ANSWERS = {"plugins": ["soundtags", "answers"], "pluginpath": [str(PLUGINS)]}


def check_library_and_file(beet: Beet) -> dict:
    """Check that one item is analysed, in the library as in its file."""
    (item,) = beet.items()
    tags = mutagen.File(item["path"])
    assert item["soundtags_plan"]
    assert tags["danceability"] == [f"{item['danceability']:.4f}"]
    assert tags["voice_instrumental"] == [item["voice_instrumental"]]
    assert tags.get("mood", []) == item["mood"]
    assert tags["genre"] == item["genres"]
    assert tags["title"] == ["Title"]
    assert beet("update").stdout == ""
    assert beet.items() == [item]
    return item


@pytest.mark.parametrize("threaded", [True, False])
@pytest.mark.parametrize("autotag", [True, False])
@pytest.mark.parametrize("singletons", [True, False])
@pytest.mark.parametrize("way", ["copy", "move", "in place"])
def test_values_land_in_library_and_file(
    beet: Beet, track: Path, way: str, singletons, autotag, threaded
):
    beet.configure(
        **{
            **ANSWERS,
            "threaded": threaded,
            "import": {
                "quiet": True,
                "copy": way == "copy",
                "move": way == "move",
                "autotag": autotag,
                "singletons": singletons,
            },
        }
    )
    before = track.read_bytes()
    done = beet("import", track.parent)
    assert "Traceback" not in done.stderr
    item = check_library_and_file(beet)
    if way == "copy":
        assert track.read_bytes() == before
    if way == "move":
        assert not track.exists()
    if way == "in place":
        assert item["path"] == str(track)
    # The answers have an id, so we know that they were applied.
    assert bool(item.get("mb_trackid")) is autotag


@pytest.mark.slow
def test_nothing_of_tensorflow_is_said(beet: Beet, track: Path):
    beet.configure(soundtags={"engine": ENGINE}, **ANSWERS)
    done = beet.fresh("import", track.parent)
    for word in ("oneDNN", "absl", "I0000", "Traceback"):
        assert word not in done.stderr
    check_library_and_file(beet)


@needs_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "foreign", "loaded"),
    [
        ("auto", False, "False"),
        ("auto", True, "True"),
        ("tensorflow", False, "True"),
    ],
)
def test_own_models_do_without_tensorflow(
    beet: Beet, track: Path, engine: str, foreign: bool, loaded: str
):
    if foreign:
        folder = beet.folder / "soundtags-models"
        folder.mkdir()
        write_model(folder, "good-1", ["red", "green"], [0, 1])
    beet.configure(
        soundtags={"engine": engine},
        plugins=["soundtags", "loaded"],
        pluginpath=[str(PLUGINS)],
    )
    done = beet.fresh("import", "-A", track.parent)
    assert done.stdout.splitlines()[-1] == loaded
    (item,) = beet.items()
    assert item["danceability"] is not None
    assert item.get("soundtags_good") == ("green" if foreign else None)


@pytest.mark.parametrize("way", ["link", "hardlink", "reflink"])
def test_links_lead_to_files_that_are_tagged(beet: Beet, track: Path, way: str):
    before = track.read_bytes()
    beet.configure(**{"import": {"quiet": True, "copy": False, way: "auto"}})
    beet("import", "-A", track.parent)
    item = check_library_and_file(beet)
    file = Path(item["path"])
    assert file.is_symlink() is (way == "link")
    # Of a hard link, the other name keeps what it was.
    assert (track.read_bytes() == before) is (way != "link")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("kind", ["full disk", "killed"])
def test_an_import_that_meets_with_mishap_can_be_completed(
    beet: Beet, track: Path, kind: str
):
    before = track.read_bytes()
    plugins = {"pluginpath": [str(PLUGINS)], "import": {"quiet": True}}
    beet.configure(
        plugins=["mishap", "soundtags"], mishap={"kind": kind}, **plugins
    )
    killed = kind == "killed"
    done = beet("import", "-A", "-C", track.parent, status=-9 if killed else 0)
    assert killed or "tags not written: No space left" in done.stderr
    beet.configure(**plugins)
    (item,) = beet.items()
    assert "soundtags_plan" not in item
    assert killed or "danceability" not in item
    assert track.read_bytes() == before
    assert "1 tagged" in beet("soundtags").stdout
    check_library_and_file(beet)


@pytest.mark.parametrize("setting", ["fill", "replace", "never"])
def test_genres_follow_their_policy(beet: Beet, track: Path, setting: str):
    other = write_track(track.with_name("other.flac"), "Other", seed=1)
    file = mediafile.MediaFile(other)
    file.genres = ["Polka"]
    file.save()
    beet.configure(soundtags={"patches": 2, "genre": setting})
    beet("import", "-A", track.parent)
    lines = dict(
        line.split("|") for line in beet.ls("$title|$genres", "title+")
    )
    album = beet("ls", "-a", "-f", "$genres").stdout.strip()
    if setting == "never":
        assert lines == {"Title": "", "Other": "Polka"}
        assert "genre" not in mutagen.File(track)
    else:
        assert lines["Title"]
        assert (lines["Other"] == "Polka") is (setting == "fill")
        # Beets gives an album what its tracks had; that counts as filled.
        ours = lines["Title"].split("; ")[0]
        assert ("Polka" if setting == "fill" else ours) in album


@pytest.mark.parametrize("first", [True, False])
def test_genres_of_other_plugins_are_not_contradicted(
    beet: Beet, track: Path, first: bool
):
    pytest.importorskip("pylast", reason="lastgenre needs pylast")
    names = ["soundtags", "lastfm", "lastgenre"]
    beet.configure(
        plugins=names if first else names[::-1],
        pluginpath=[str(PLUGINS)],
        lastgenre={"force": True, "keep_existing": False},
    )
    beet("import", "-A", track.parent)
    (item,) = beet.items()
    tags = mutagen.File(item["path"])
    assert item["genres"] == ["Polka"]
    # Beets itself writes none on such an import.
    assert tags.get("genre") == (["Polka"] if first else None)
    assert beet("update").stdout == ""


@pytest.mark.parametrize("database", [True, False])
def test_what_others_keep_out_of_files_is_kept_out(
    beet: Beet, track: Path, database: bool
):
    zero = {"fields": ["mood", "comments"], "update_database": database}
    beet.configure(plugins=["soundtags", "zero"], zero=zero)
    beet("import", "-A", track.parent)
    beet("soundtags", "-f")
    (item,) = beet.items()
    tags = mutagen.File(item["path"])
    assert "mood" not in tags
    assert tags["danceability"] == [f"{item['danceability']:.4f}"]
    assert bool(item["mood"]) is not database
    assert beet("update").stdout == ""
    assert beet("soundtags").stdout.startswith("0 tagged, 1 already")
    assert beet.ls("$mood mood:happy", "mood:nothing") == []


def test_paths_can_depend_on_what_was_heard(beet: Beet, track: Path):
    beet.configure(paths={"default": "$voice_instrumental/$title"})
    beet("import", "-A", track.parent)
    (item,) = beet.items()
    assert Path(item["path"]).parent.name == item["voice_instrumental"]


def test_tracks_that_cannot_be_analysed_are_imported_all_the_same(
    beet: Beet, track: Path
):
    # A header with tags but no sound.
    silent = track.with_name("broken.flac")
    write_track(silent, "Broken")
    silent.write_bytes(silent.read_bytes()[:9000])
    done = beet("import", "-A", track.parent)
    items = {item["title"]: item for item in beet.items()}
    assert items["Title"]["soundtags_plan"]
    assert "soundtags_plan" not in items["Broken"]
    (line,) = [li for li in done.stderr.splitlines() if "soundtags" in li]
    assert "broken.flac: no audio in it that can be decoded" in line
    assert "Traceback" not in done.stderr


def test_auto_off_leaves_imports_alone(beet: Beet, track: Path):
    beet.configure(soundtags={"auto": False})
    beet("import", "-A", track.parent)
    (item,) = beet.items()
    assert "soundtags_plan" not in item
    assert "mood" not in mutagen.File(item["path"])


@pytest.mark.parametrize("autotag", [True, False])
def test_write_off_keeps_to_the_library(beet: Beet, track: Path, autotag: bool):
    beet.configure(
        **{
            **ANSWERS,
            "import": {"quiet": True, "write": False, "autotag": autotag},
        }
    )
    before = track.read_bytes()
    beet("import", track.parent)
    (item,) = beet.items()
    assert item["soundtags_plan"]
    assert Path(item["path"]).read_bytes() == before
    if not autotag:  # and with it, there are values that files have not
        assert beet("update").stdout == ""
    # A newer file must not take the library's values away.
    Path(item["path"]).touch()
    beet("update")
    assert beet.ls("$danceability") == [f"{item['danceability']:.4f}"]


LARGE = 10**400


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("models", ["nonsense"], "no model nonsense"),
        ("models", [], "[] is not 'auto' or a list of ids"),
        ("models", "", "'' is not 'auto' or a list of ids"),
        ("models", {"a": 1}, "is not 'auto' or a list of ids"),
        ("patches", [[]], "is not 'all' or a whole number of at least 1"),
        ("genre", str(LARGE) * 20, "is not one of: fill, replace, never"),
        (
            "jobs",
            LARGE,
            "is not 'auto' or a whole number of at least 1 and at most 1000",
        ),
        ("session_memory", LARGE, "is not a size such as"),
        ("store", "a\0b", "is not a path"),
        ("store", [], "must be a filename"),
        ("thresholds", {"happy": {}}, "is not a number of at least 0"),
        ("thresholds", None, "None is not a mapping"),
        ("cluster_paths", "x", "'x' is not a mapping"),
        ("genre_sources", [None], "must be a list of strings"),
        (
            "auto",
            "perhaps",
            "is not yes or no; nothing will be analysed on import",
        ),
    ],
)
def test_a_bad_configuration_never_stops_an_import(
    beet: Beet, track: Path, option: str, value: Any, reason: str
):
    cluster = {"cluster": "tcp://127.0.0.1:1"} if "cluster" in option else {}
    beet.configure(soundtags={**cluster, option: value})
    done = beet("import", "-A", track.parent)
    (line,) = [each for each in done.stderr.splitlines() if ": " in each]
    assert reason in line
    (item,) = beet.items()
    assert Path(item["path"]).is_relative_to(beet.folder / "music")
    assert Path(item["path"]).is_file()


def test_what_is_said_at_the_start_is_not_said_again(beet: Beet, track: Path):
    beet.configure(soundtags={"file_tags": ["nonsense"]})
    done = beet("import", "-A", track.parent)
    assert done.stderr.count("nonsense") == 1
    assert done.stderr.count("importing without analysis") == 1
    assert len(beet.items()) == 1


@pytest.mark.parametrize(
    "what",
    [
        "beetsplug.soundtags.tagger:make_tagger",
        "beetsplug.soundtags.tagger:Tagger:is_stale",
        "beetsplug.soundtags.tagger:Tagger:analyse",
        "beetsplug.soundtags.tagger:Tagger:apply",
        "beetsplug.soundtags.tagger:Tagger:update_album",
        "beetsplug.soundtags.safe_write:write_item",
    ],
)
def test_no_mistake_of_ours_stops_an_import(
    beet: Beet, track: Path, tmp_path: Path, what: str
):
    beet.configure(
        plugins=["soundtags", "broken"],
        pluginpath=[str(PLUGINS)],
        broken={"what": what},
    )
    write_track(track.parent / "other.flac", "Other", 1)
    done = beet("import", "-A", track.parent)
    assert "unexpected ZeroDivisionError: made to fail" in done.stderr
    assert "Traceback" not in done.stderr
    for item in beet.items():
        assert Path(item["path"]).is_relative_to(beet.folder / "music")
        assert Path(item["path"]).is_file()
    assert len(beet.items()) == 2


def test_what_is_up_to_date_is_not_analysed_again(beet: Beet, track: Path):
    beet("import", "-A", track.parent)
    beet("modify", "-yW", "soundtags_input=no")  # no analysis would say so
    beet("import", "-A", "-L", "title:Title")
    assert beet.ls("$soundtags_input") == ["no"]
    beet("modify", "-yW", "soundtags_plan=other")
    beet("import", "-A", "-L", "title:Title")
    assert beet.ls("$soundtags_input") != ["no"]


@pytest.mark.parametrize("singletons", [True, False])
@pytest.mark.parametrize("again", ["query", "folder"])
def test_nothing_is_lost_where_no_file_has_it(
    beet: Beet, track: Path, again: str, singletons: bool
):
    quiet = {"quiet": True, "autotag": False, "singletons": singletons}
    beet.configure(**{"import": {**quiet, "write": False}})

    def values() -> tuple[dict[str, Any], str]:
        (item,) = beet.items()
        assert item["genres"]
        changing = {"id", "album_id", "mtime", "soundtags_undo"}
        own = {name: item[name] for name in item.keys() - changing}
        return own, beet("ls", "-a", "-f", "$genres").stdout

    beet("import", track.parent)
    before = values()
    folder = [str(beet.folder / "music")]
    beet("import", *(["-L", "title:Title"] if again == "query" else folder))
    assert values() == before
    beet("soundtags", "--undo")
    (item,) = beet.items()
    assert item["genres"] == []
    assert "danceability" not in item


def test_moods_of_tracks_are_not_those_of_the_album(beet: Beet, track: Path):
    beet("import", "-A", track.parent)
    beet("modify", "-ay", "mood=grave")
    beet("modify", "-y", "mood=wistful")
    beet("import", "-A", "-L", "title:Title")
    assert beet("ls", "-a", "-f", "$mood").stdout == "grave\n"
    assert beet.ls("$mood") == ["wistful"]


def test_foreign_moods_survive_the_import(beet: Beet, track: Path):
    file = mutagen.File(track)
    file["mood"] = ["wistful"]
    file.save()
    beet("import", "-A", track.parent)
    assert beet.ls("$mood") == ["wistful"]
    (item,) = beet.items()
    assert mutagen.File(item["path"])["mood"] == ["wistful"]
    beet("soundtags", "-f")  # by now it has been analysed
    assert beet.ls("$mood") != ["wistful"]


def test_unanalysed_files_get_no_empty_tags(beet: Beet, track: Path):
    beet.configure(**{**ANSWERS, "soundtags": {"auto": False}})
    beet("import", track.parent)
    (item,) = beet.items()
    tags = mutagen.File(item["path"])
    assert item["mb_trackid"]
    assert not {"mood", "danceability", "voice_instrumental"} & set(tags.keys())


@pytest.mark.models
def test_demo_pieces_sound_like_what_they_are(beet: Beet, pieces: Path):
    beet.configure(soundtags={})
    beet("import", "-A", shutil.copytree(pieces, beet.folder / "in"))
    assert "Electronic" in beet("ls", "-a", "-f", "$genres").stdout
    found = {item["title"]: item for item in beet.items()}
    techno, pads, riff = (found[title] for title in TITLES)
    assert {"Electronic", "Techno", "House"} & set(techno["genres"])
    assert techno["danceability"] > 0.7 > 0.4 > pads["danceability"]
    assert "relaxed" in pads["mood"]
    assert {"Rock", "Metal", "Punk"} & set(riff["genres"])
    assert "relaxed" not in riff["mood"]
    assert techno["voice_instrumental"] == "instrumental"
    assert pads["voice_instrumental"] == "instrumental"


def _titles() -> list[str]:
    import synthesise

    return [synthesise.PIECES[name][0] for name in ("techno", "pads", "riff")]


TITLES = _titles()


WELCOME = """\
soundtags analysed 2 tracks: {found}, genres for 2, in library and files.
Try next: beet ls mood:{mood}, beet soundlists, beet soundreport -o report.html
"""


def test_the_first_import_says_what_it_did(beet: Beet, tmp_path: Path):
    ways = {"autotag": False, "duplicate_action": "keep"}
    beet.configure(**{"import": ways})
    for number, name in enumerate("abc"):
        (tmp_path / name).mkdir()
        write_track(tmp_path / name / "x.flac", name, number)
    shutil.move(tmp_path / "b" / "x.flac", tmp_path / "a" / "y.flac")

    done = beet("import", "--pretend", tmp_path / "a")
    assert "soundtags" not in done.stdout
    done = beet("import", tmp_path / "a")
    moods = Counter(mood for item in beet.items() for mood in item["mood"])
    ((mood, count),) = moods.most_common(1)
    assert count
    having = sum(bool(item["mood"]) for item in beet.items())
    found = f"moods for {having}"
    assert done.stdout == WELCOME.format(found=found, mood=mood)
    assert beet("import", tmp_path / "c").stdout == ""


def test_whoever_wants_quiet_is_not_talked_to(beet: Beet, track: Path):
    beet.configure(**{"import": {"autotag": False, "quiet": True}})
    assert "soundtags" not in beet("import", track.parent).stdout
