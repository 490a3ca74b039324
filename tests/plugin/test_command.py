"""The command `beet soundtags`, as its users meet it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import mediafile
import mutagen
import pytest
import soundfile
from support.audio import encode, noise, write_track
from support.beet import Beet
from support.needs import needs_resampy, needs_tensorflow
from support.paths import PLUGINS, ROOT

OURS = ("mood", "danceability", "voice_instrumental")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of two tracks that were never analysed."""
    folder = tmp_path_factory.mktemp("in")
    write_track(folder / "track.flac")
    write_track(folder / "other.flac", "Other", seed=1)
    home = tmp_path_factory.mktemp("home") / "beets"
    beet = Beet.new(home, soundtags={"auto": False})
    beet("import", "-A", folder)
    assert not beet.items("soundtags_plan::.")
    return beet


@pytest.fixture
def library(beet: Beet, imported: Beet) -> Beet:
    beet.begin_with(imported)
    beet.configure(soundtags={"auto": False, "patches": 2, "jobs": 1})
    return beet


def tags(beet: Beet) -> list[dict]:
    return [dict(mutagen.File(item["path"])) for item in beet.items()]


def test_tags_what_is_not_yet_tagged_and_nothing_twice(library: Beet):
    done = library("soundtags", "title:Other")
    assert done.stderr == ""
    line, summary = done.stdout.splitlines()
    assert line.startswith("Artist - Album - Other: ")
    assert "danceability 0." in line
    assert re.fullmatch(
        r"1 tagged, 0 already up to date, 0 failed; 0\.1 min of music in"
        r" [\d.]+ s, \d+ x real time",
        summary,
    )
    done = library("soundtags")
    assert "Title: " in done.stdout
    assert "Other: " not in done.stdout
    assert "1 tagged, 1 already up to date, 0 failed" in done.stdout
    done = library("soundtags")
    assert done.stdout == "0 tagged, 2 already up to date, 0 failed\n"
    for item, file in zip(library.items(), tags(library)):
        assert file["danceability"] == [f"{item['danceability']:.4f}"]
        assert file["voice_instrumental"] == [item["voice_instrumental"]]
        assert file["genre"] == item["genres"]
    assert library("update").stdout == ""


def test_force_and_changed_settings_analyse_again(library: Beet):
    library("soundtags")
    assert "2 tagged, 0 already" in library("soundtags", "-f").stdout
    library.configure(soundtags={"patches": 3})
    assert "2 tagged, 0 already" in library("soundtags").stdout
    # Where results do not depend on a setting, nothing becomes stale.
    library.configure(soundtags={"patches": 3, "jobs": 2, "genre": "never"})
    assert "0 tagged, 2 already" in library("soundtags").stdout


def test_pretend_shows_every_change_and_changes_nothing(library: Beet):
    items, files = library.items(), tags(library)
    done = library("soundtags", "--pretend", "title:Other")
    assert "Artist - Album - Other" in done.stdout
    for name in (*OURS, "genres", "soundtags", "mood_happy", "soundtags_plan"):
        assert re.search(rf"^  {name}:", done.stdout, re.MULTILINE), name
    assert "1 would be tagged" in done.stdout
    assert library.items() == items
    assert tags(library) == files

    library("soundtags")
    old = library.ls("$danceability", "title:Other")[0]
    library("modify", "-yW", "danceability=0.5", "title:Other")
    done = library("soundtags", "-pf", "title:Other")
    assert f"  danceability: 0.5000 -> {old}" in done.stdout


@pytest.mark.parametrize(
    ("flag", "write", "written"),
    [([], True, True), (["-W"], True, False), (["-w"], False, True)],
)
def test_files_are_written_as_asked(
    library: Beet, flag: list[str], write: bool, written: bool
):
    library.configure(**{"import": {"write": write}})
    library("soundtags", *flag, "-q")
    for item, file in zip(library.items(), tags(library)):
        assert item["danceability"] is not None
        assert ("danceability" in file) is written


def test_tracks_go_by_what_they_have(library: Beet, track: Path):
    file = mediafile.MediaFile(track)
    file.update({"title": "Lonely", "artist": None, "album": None})
    file.save()
    library("import", "-As", track)
    for flag in ("-v", "-p"):
        said = library("soundtags", "-f", flag, "title:Lonely").stdout
        assert said.startswith("Lonely")


def test_quiet_says_nothing(library: Beet):
    done = library("soundtags", "-q")
    assert done.stdout + done.stderr == ""


def test_any_field_can_be_a_file_tag(library: Beet):
    library.configure(
        soundtags={
            "patches": 2,
            "file_tags": [
                "soundtags",
                "mood_happy",
                "voice_instrumental_score",
            ],
        }
    )
    library("soundtags")
    for item, file in zip(library.items(), tags(library)):
        assert file["soundtags"] == item["soundtags"]
        assert len(item["soundtags"]) == 5
        for name in ("mood_happy", "voice_instrumental_score"):
            assert file[name] == [f"{item[name]:.4f}"]
        assert "danceability" not in file
    assert library("update").stdout == ""


def test_models_of_the_command_line_run_alone(library: Beet):
    library("soundtags", "-m", "msd-vgg-1", "-m", "mtt-vgg-1", "title:Other")
    library("soundtags", "title:Title")
    plans = library.ls("$soundtags_plan")
    assert len(set(plans)) == 2
    library("soundtags", "-f", "-m", "msd-musicnn-1", "title:Other")
    assert library.ls("$danceability", "title:Other") != ["$danceability"]


def test_one_bad_file_does_not_stop_the_rest(library: Beet):
    broken = Path(library.ls("$path", "title:Other")[0])
    broken.write_bytes(b"no music")
    done = library("soundtags")
    assert "1 tagged, 0 already up to date, 1 failed" in done.stdout
    assert done.stdout.endswith("  1 x no audio in it that can be decoded\n")
    assert done.stderr == (
        f"soundtags: {broken}: no audio in it that can be decoded\n"
    )
    assert broken.read_bytes() == b"no music"
    # Still missing, still no reason to fail.
    done = library("soundtags")
    assert "0 tagged, 1 already up to date, 1 failed" in done.stdout


def test_nothing_done_at_all_is_a_failure(library: Beet):
    for path in library.ls("$path"):
        Path(path).unlink()
    done = library("soundtags", status=1)
    assert done.stderr.count("No such file") == 2
    assert done.stderr.endswith("error: no track could be tagged\n")
    assert library("soundtags", "title:none").stdout.startswith("0 tagged")


def test_tags_that_cannot_be_written_are_not_claimed(library: Beet, tmp_path):
    # Sound in a format that has no tags, under the name of one that does.
    path = Path(library.ls("$path", "title:Other")[0])
    encode(tmp_path / "sound.ac3", "ac3", "ac3")
    path.write_bytes((tmp_path / "sound.ac3").read_bytes())
    content = path.read_bytes()
    done = library("soundtags")
    assert "1 tagged, 0 already up to date, 1 failed" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"soundtags: {path}: tags not written: ")
    assert line.endswith("is not a valid FLAC file)")
    assert done.stdout.endswith("\n  1 x tags not written\n")
    item = library.items("title:Other")[0]
    assert "soundtags_plan" not in item
    assert not item["genres"]
    assert path.read_bytes() == content
    # It can still be tagged in the library alone.
    assert "1 tagged, 1 already" in library("soundtags", "-W").stdout


def test_values_that_update_empties_come_back(library: Beet):
    library("soundtags", "-W")
    wanted = [[item[name] for name in OURS] for item in library.items()]
    assert all(danceability for _, danceability, _ in wanted)
    for path in library.ls("$path"):
        os.utime(path, (2e9, 2e9))  # as if another program had written
    library("update")
    assert library.ls("[$mood] [$danceability]") == ["[] []"] * 2
    done = library("soundtags", "-p")
    assert "2 tracks would get back values" in done.stdout
    done = library("soundtags")
    assert "2 tracks will get back values that have been" in done.stdout
    assert "2 tagged, 0 already up to date" in done.stdout
    items = library.items()
    assert [[item[name] for name in OURS] for item in items] == wanted
    for item, file in zip(items, tags(library)):
        assert file["danceability"] == [f"{item['danceability']:.4f}"]
    assert "0 tagged, 2 already up to date" in library("soundtags").stdout
    assert library("update").stdout == ""


def test_what_was_lost_comes_back_and_can_still_be_undone(library: Beet):
    before = library.items()
    library("soundtags", "-W")
    tagged = library.items()
    library("modify", "-yW", "genres=", "danceability=")
    done = library("soundtags", "-W")
    assert "2 tracks will get back values" in done.stdout
    assert library.items() == tagged
    library("soundtags", "-W", "--undo")
    assert library.items() == before


def test_genres_that_are_not_ours_to_set_stay_empty(library: Beet):
    library("soundtags", "-W")
    library("modify", "-yW", "genres=")
    library.configure(soundtags={"patches": 2, "genre": "never"})
    done = library("soundtags", "-W")
    assert done.stdout.startswith("0 tagged, 2 already up to date")


@pytest.mark.skipif(os.name == "nt", reason="pipes are other ones there")
@pytest.mark.parametrize("option", ["-v", "-p", "--undo"])
def test_nobody_reading_on_ends_a_run_quietly(library: Beet, option: str):
    library("soundtags", "-W")
    library.configure(soundtags={"patches": 2, "max_tags": 1})
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "beets", "soundtags", "-W", option],
        env=library.environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_library_that_is_read_only_is_named_once(library: Beet):
    if os.name == "nt" or os.geteuid() == 0:
        pytest.skip("this user may write everything")
    for path in library.folder.glob("library.db*"):
        path.chmod(0o444)
    for options in (["-W"], ["-W", "--undo"]):
        done = library("soundtags", *options, status=1)
        assert "unexpected" not in done.stderr
        assert "attempt to write a readonly database" in done.stderr
        assert " tagged" not in done.stdout.replace("0 tagged", "")


def test_words_that_no_tag_can_have_are_named(library: Beet):
    library.know("früh")
    library.configure(soundtags={"auto": False, "file_tags": ["mood_früh"]})
    done = library("soundtags")
    (line,) = [each for each in done.stderr.splitlines() if "früh" in each]
    assert "mood_früh is not written to files: tag names" in line
    assert "2 tagged" in done.stdout


def test_read_only_files_are_not_claimed(library: Beet):
    if os.name == "nt" or os.geteuid() == 0:
        pytest.skip("this user may write everything")
    path = Path(library.ls("$path", "title:Other")[0])
    path.chmod(0o444)
    assert "tags not written" in library("soundtags").stderr
    path.chmod(0o644)
    assert "1 tagged, 1 already" in library("soundtags").stdout


def test_changes_made_outside_are_still_found_by_update(library: Beet):
    item = library.items("title:Other")[0]
    file = mutagen.File(item["path"])
    file["composer"] = ["Somebody"]
    file.save()
    later = os.path.getmtime(item["path"]) + 10
    os.utime(item["path"], (later, later))
    library("soundtags")
    assert "composers" in library("update").stdout
    assert library.ls("$composers", "title:Other") == ["Somebody"]


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("patches", "many", "'all' or a whole number of at least 1"),
        ("patches", 0, "'all' or a whole number of at least 1"),
        ("resampler", "sox", "one of: sinc, resampy"),
        ("mood_threshold", 1.5, "a number from 0 to 1"),
        ("max_moods", -1, "a whole number of at least 0"),
        ("genre", "yes please", "one of: fill, replace, never"),
        (
            "file_tags",
            ["moods"],
            "a field for file tags, such as mood; did you mean 'mood'?",
        ),
        (
            "file_tags",
            ["soundtags_undo"],
            "a field for file tags, such as mood; did you mean 'soundtags'?",
        ),
        ("engine", "torch", "one of: auto, tensorflow, numpy"),
        ("jobs", 0, "'auto' or a whole number of at least 1"),
        ("session_memory", "much", "a size such as 500MB or 2GB"),
        ("models", 3, "'auto' or a list of ids"),
        ("genre_sources", ["lastfm"], "one of: soundtags, voice_instrumental"),
    ],
)
def test_bad_values_are_named(library: Beet, option, value, allowed):
    library.configure(soundtags={option: value})
    done = library("soundtags", status=1)
    line = done.stderr.splitlines()[-1]
    shown = value[0] if isinstance(value, list) else value
    assert f"soundtags.{option}: {shown!r} is not {allowed}" in line
    assert "soundtags_" not in line.split(" is not ")[1]  # internal fields
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        (
            "thresholds",
            {"happy": "much"},
            "thresholds.happy: 'much' is not a number of at least 0",
        ),
        ("thresholds", ["happy"], "thresholds: ['happy'] is not a mapping"),
        (
            "labels",
            {"happy": 3},
            "labels.happy: 3 is not a name, or null to drop it",
        ),
    ],
)
def test_bad_entries_are_named(library: Beet, option, value, reason):
    library.configure(soundtags={"auto": False, option: value})
    done = library("soundtags", status=1)
    assert f"soundtags.{reason}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("option", "hint"),
    [("patchs", "; did you mean 'patches'?"), ("zebra", "")],
)
def test_unknown_options_are_named(library: Beet, option, hint):
    library.configure(soundtags={"patches": 2, option: 3})
    done = library("soundtags")
    line = f"soundtags.{option}: unknown option{hint}\n"
    assert done.stderr.count(line) == 1
    assert "2 tagged" in done.stdout


@pytest.mark.parametrize(
    ("option", "value", "name", "hint"),
    [
        ("thresholds", {"Hapy": 0.5}, "Hapy", "; did you mean 'happy'?"),
        (
            "labels",
            {"hip hopp": "Rap"},
            "hip hopp",
            "; did you mean 'hip hop'?",
        ),
        ("labels", {80: None}, "80", "; did you mean '80s'?"),
        ("never_genres", ["zebra"], "zebra", ""),
    ],
)
def test_unknown_labels_are_named(library: Beet, option, value, name, hint):
    library.configure(soundtags={option: value})
    done = library("soundtags")
    line = f"soundtags.{option}: no mood, genre or tag is called {name!r}{hint}"
    assert done.stderr.splitlines().count(f"soundtags: {line}") == 1
    assert "2 tagged" in done.stdout


def test_known_labels_are_not_complained_about(library: Beet):
    names = ["HAPPY", "speech", "hip hop", "Ambient", "female vocals"]
    # Of models that are not installed.
    names += ["rhythm and blues", "Punk", "Electronic", "instrumental"]
    library.configure(
        soundtags={
            "thresholds": dict.fromkeys(names, 0.5),
            "labels": dict.fromkeys(names, "x"),
            "never_genres": names,
        }
    )
    assert "is called" not in library("soundtags").stderr


def test_a_bad_auto_is_named_and_means_no(beet: Beet, track):
    beet.configure(soundtags={"auto": "maybe"})
    done = beet("import", "-A", track)
    assert "soundtags.auto: 'maybe' is not yes or no" in done.stderr
    assert len(beet.items()) == 1
    assert "soundtags_plan" not in beet.items()[0]


def test_what_is_analysed_again_is_counted(library: Beet):
    assert "Re-analysing" not in library("soundtags").stdout
    library.configure(soundtags={"patches": 3, "jobs": 1})
    again = library("soundtags").stdout.splitlines()[0]
    assert again == (
        "Re-analysing 2 of 2 tracks: models or settings have changed"
    )
    assert "Re-analysing" not in library("soundtags").stdout


SILENT = {
    "silence": 0 * noise(),
    "constant": 0 * noise() + 0.5,
    "far below": 1e-4 * noise(),
}


def test_nothing_is_said_of_silence(beet: Beet, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, samples in {**SILENT, "soft": 0.02 * noise()}.items():
        soundfile.write(folder / f"{name}.wav", samples, 44100, "FLOAT")
    beet.configure(soundtags={"patches": 2, "auto": False, "jobs": 1})
    beet("import", "-A", "-C", folder)
    assert "4 tagged" in beet("soundtags").stdout
    items = {Path(item["path"]).stem: item for item in beet.items()}
    for name in SILENT:
        assert items[name]["soundtags_plan"]
        for field in ("mood", "genres", "danceability", "soundtags"):
            assert not items[name].get(field), (name, field)
        assert items[name].get("danceability") is None
    assert items["soft"]["danceability"] is not None
    assert items["soft"]["soundtags"]
    (path,) = beet.ls("$path", "danceability:0..")
    assert Path(path).stem == "soft"


def test_unknown_models_are_named(library: Beet):
    done = library("soundtags", "-m", "nonsense", status=1)
    assert done.stderr.startswith("error: no model nonsense here; installed")
    assert str(library.folder / "soundtags-models") in done.stderr


@needs_resampy
@pytest.mark.models
def test_resampy_gives_nearly_the_same(library: Beet):
    library("soundtags", "-q")
    sinc = library.items()
    library.configure(
        soundtags={"patches": 2, "jobs": 1, "resampler": "resampy"}
    )
    assert "2 tagged" in library("soundtags").stdout
    for one, other in zip(sinc, library.items()):
        assert one["danceability"] == pytest.approx(
            other["danceability"], abs=0.1
        )


@pytest.mark.models
def test_jobs_do_not_change_results(library: Beet):
    library("soundtags", "-j", "1")
    one = library.items()
    library("soundtags", "-f", "-j", "2")
    for before, after in zip(one, library.items()):
        for name in ("mood", "soundtags", "genres", "soundtags_plan"):
            assert before[name] == after[name]
        assert before["danceability"] == pytest.approx(
            after["danceability"], abs=1e-4
        )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_terminal_gets_a_bar_and_nothing_of_tensorflow(library: Beet):
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(
            sys.executable,
            [sys.executable, "-m", "beets", "soundtags"],
            {**library.environment(), "TERM": "xterm", "COLUMNS": "100"},
        )
    said = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        said += part
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    text = said.decode()
    assert status == 0
    assert "Artist - " in text  # the name of a track
    assert "ETA" in text
    assert "2/2" in text
    assert "2 tagged, 0 already up to date, 0 failed" in text
    for word in ("oneDNN", "absl", "I0000", "cuda", "WARNING"):
        assert word not in text


@needs_tensorflow
@pytest.mark.slow
def test_native_noise_is_there_when_asked_for(library: Beet):
    settings = {"patches": 2, "jobs": 1, "engine": "tensorflow"}
    library.configure(soundtags=settings)
    loud = library.fresh("-vv", "soundtags").stderr
    assert "Sending event" in loud
    assert re.search(r"oneDNN|absl|cpu_feature", loud)


def test_what_each_model_said_is_shown_when_asked_for(library: Beet):
    said = library("soundtags", "-p", "-v", "title:Title").stdout
    lines = said[said.index("msd-musicnn-1: ") :].splitlines()
    answers = lines[0].split(": ", 1)[1].split(", ")
    assert len(answers) == 5
    strengths = [float(answer.rsplit(" ", 1)[1]) for answer in answers]
    assert strengths == sorted(strengths, reverse=True)
    assert "  mtt-musicnn-1: " in said
    assert "  estimate of danceability: " in said
    assert not library.items("soundtags_plan::.")
    silent = library("soundtags", "-p", "title:Title").stdout
    assert "msd-musicnn-1:" not in silent


def bad_model(beet: Beet, name: str) -> None:
    """Put a model into the folder whose graph is cut off."""
    embedded = ROOT / "models" / "msd-musicnn-1.pb"
    folder = beet.folder / "soundtags-models"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.pb").write_bytes(embedded.read_bytes()[:100_000])


@pytest.mark.models
def test_bad_models_are_left_out_or_named(library: Beet):
    bad_model(library, "mood_happy-musicnn-msd-2")
    bad_model(library, "mood_sad-musicnn-mtt-2")
    done = library("soundtags")
    for name in ("mood_happy-musicnn-msd-2", "mood_sad-musicnn-mtt-2"):
        lines = [line for line in done.stderr.splitlines() if name in line]
        assert len(lines) == 1
        assert "left out" in lines[0]
        assert "not a TensorFlow graph" in lines[0]
    assert "2 tagged, 0 already up to date, 0 failed" in done.stdout
    # Estimates stand in, and nothing is done twice because of it.
    assert all(item["mood_happy"] >= 0 for item in library.items())
    assert "0 tagged, 2 already up to date" in library("soundtags").stdout

    done = library("soundtags", "-m", "mood_happy-musicnn-msd-2", status=1)
    assert "mood_happy-musicnn-msd-2: not a TensorFlow" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.models
def test_an_import_goes_on_whatever_models_there_are(beet: Beet, track: Path):
    bad_model(beet, "mood_happy-musicnn-msd-2")
    done = beet("import", "-A", track.parent)
    assert done.stderr.count("left out") == 1
    assert beet.items("soundtags_plan::.")


def test_models_that_are_not_here_say_how_to_get_them(library: Beet):
    done = library("soundtags", "-m", "mood_sad-musicnn-mtt-2", status=1)
    assert "beet soundmodels fetch mood_sad-musicnn-mtt-2" in done.stderr
    done = library("soundtags", "-m", "mood_sad_musicnn_mtt", status=1)
    assert "beet soundmodels fetch mood_sad-musicnn-mtt-2" in done.stderr


@needs_tensorflow
@pytest.mark.slow
def test_numpy_tags_the_same_without_tensorflow(library: Beet):
    plugins = {
        "plugins": ["soundtags", "loaded"],
        "pluginpath": [str(PLUGINS)],
    }
    found = []
    for engine, loaded in (("tensorflow", "True"), ("numpy", "False")):
        settings = {"patches": 2, "jobs": 1, "engine": engine, "store": engine}
        library.configure(soundtags=settings, **plugins)
        done = library.fresh("soundtags", "-f")
        assert done.stdout.splitlines()[-1] == loaded
        assert done.stderr == ""
        found.append(library.items())
    for theirs, ours in zip(*found):
        assert theirs["danceability"] is not None
        for name in set(theirs) - {"mtime", "soundtags_undo"}:
            assert ours[name] == theirs[name], name


@pytest.mark.slow
def test_tensorflow_is_not_loaded_for_nothing(library: Beet):
    plugins = {
        "plugins": ["soundtags", "loaded"],
        "pluginpath": [str(PLUGINS)],
    }
    library("soundtags")
    library.configure(**plugins)
    summary, loaded = library.fresh("soundtags").stdout.splitlines()
    assert summary.startswith("0 tagged, 2 already up to date")
    assert loaded == "False"
    # Nor where there is nothing that can be read.
    for item in library.items():
        Path(item["path"]).write_text("no music")
    library.configure(soundtags={"patches": 3, "jobs": 1}, **plugins)
    done = library.fresh("soundtags", status=1)
    stale, summary, *_, loaded = done.stdout.splitlines()
    assert stale.startswith("Re-analysing 2 of 2 tracks")
    assert "2 failed" in summary
    assert loaded == "False"
