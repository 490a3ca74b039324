"""`beet soundtags --stats`: histograms of scores, and how often names occur."""

from __future__ import annotations

import json

import pytest
from support.audio import write_track
from support.beet import Beet
from support.paths import PLUGINS

TEMPO = {
    "classes": ["bpm"],
    "inference": {"algorithm": "TensorflowPredictMusiCNN"},
    "schema": {
        "inputs": [{"name": "model/Placeholder"}],
        "outputs": [
            {
                "name": "model/Identity",
                "op": "Identity",
                "output_purpose": "predictions",
            }
        ],
    },
}
HAPPY = [0.0, 0.1, 0.5, 0.58, 0.7, 1.0]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of tracks with known values, and of one with none."""
    folder = tmp_path_factory.mktemp("in")
    for title in ("new", *(f"t{number}" for number, _ in enumerate(HAPPY))):
        write_track(folder / f"{title}.flac", title)
    home = tmp_path_factory.mktemp("home") / "beets"
    beet = Beet.new(home, soundtags={"auto": False})
    beet("import", "-A", folder)
    for number, score in enumerate(HAPPY):
        beet(
            "modify",
            "-yW",
            f"title:t{number}",
            f"genres={'Jazz; Blues' if number % 2 else ''}",
            f"mood_happy={score}",
            "danceability=0.25",
            f"voice_instrumental={'voice' if number else 'instrumental'}",
            f"mood={'happy; sad' if number > 3 else 'happy'}",
            "soundtags_plan=any",
        )
    return beet


@pytest.fixture
def library(beet: Beet, filled: Beet) -> Beet:
    """The same tracks, for a test that changes something."""
    beet.begin_with(filled)
    return beet


def blocks(beet: Beet, *args: str) -> dict[str, list[str]]:
    """Return what is printed: by field, the lines below its name."""
    printed = beet("soundtags", "--stats", *args).stdout
    _, *found = printed.split("\n\n")
    return {
        first.split(":")[0]: [first, *rest]
        for first, *rest in (block.splitlines() for block in found)
    }


def test_every_score_has_a_histogram(filled: Beet):
    lines = blocks(filled)["danceability"]
    assert lines[0] == "danceability: 6 tracks"
    rows = [line[10:] for line in lines[1:5]]
    # All are in one bin of 50, and fill it.
    assert {row.index("█") for row in rows} == {12}
    assert {row.count("█") for row in rows} == {1}
    assert lines[1].split()[0] == "6"
    assert lines[5].split() == ["0", "1"]
    assert len(lines) == 6  # nothing depends on this score


def test_thresholds_cut_where_moods_hold(library: Beet):
    lines = blocks(library)["mood_happy"]
    assert lines[1] == "  threshold 0.5: 2 (33%) below, 4 (67%) at or above"
    assert lines[-1].strip() == "^ 0.5"
    # The mark is below the first bin from there on.
    assert lines[-1].index("^") == 10 + 25
    filled = [place for place, cell in enumerate(lines[5]) if cell == "█"]
    assert [place - 10 for place in filled] == [0, 5, 25, 29, 35, 49]

    for threshold, below in ((0.58, 3), (0.7, 4)):
        library.configure(soundtags={"thresholds": {"Happy": threshold}})
        lines = blocks(library)["mood_happy"]
        assert lines[1].startswith(f"  threshold {threshold}: {below} (")
        assert lines[-1].index("^") == 10 + round(threshold * 50)


def test_names_are_counted(filled: Beet):
    found = blocks(filled)
    for field, total, expected in (
        ("mood", 6, ["happy 6 100%", "sad 2 33%"]),
        ("genres", 3, ["Jazz 3 100%", "Blues 3 100%"]),
        ("voice_instrumental", 6, ["voice 5 83%", "instrumental 1 17%"]),
    ):
        first, *lines = found[field]
        assert first == f"{field}: {total} tracks"
        assert [" ".join(line.split()[:3]) for line in lines] == expected


def test_only_what_the_query_lists_counts(filled: Beet):
    done = filled("soundtags", "--stats", "mood_happy:0.55..")
    assert done.stdout.startswith("3 tracks, 0 of them not analysed\n")
    assert "danceability: 3 tracks" in done.stdout
    done = filled("soundtags", "--stats")
    assert done.stdout.startswith("7 tracks, 1 of them not analysed; run: ")
    done = filled("soundtags", "--stats", "title:new")
    assert done.stdout == (
        "1 track, 1 of them not analysed; run: beet soundtags\n"
    )
    done = filled("soundtags", "--stats", "title:nobody")
    assert done.stdout == "0 tracks, 0 of them not analysed\n"


def test_what_is_printed_fits_any_terminal_or_file(library: Beet):
    name = "Drum \x1b[31m& " + "ドラムンベース" * 5
    changes = [f"genres={name}", "energy=0.725", "valence=0.45"]
    library("modify", "-yW", *changes, "title:t1")
    printed = library("soundtags", "--stats").stdout
    assert "Drum ?[31m& ドラム" in printed
    assert all(each.isprintable() for each in printed.replace("\n", ""))
    assert max(map(len, printed.splitlines())) <= 80

    environment = {**library.environment(), "PYTHONIOENCODING": "ascii"}
    done = library.fresh("soundtags", "--stats", env=environment)
    assert done.stderr == ""
    assert "#####" in done.stdout
    assert " |???" not in done.stdout  # no blocks that it lacks


def test_numbers_that_are_no_shares_have_a_scale_of_their_own(library: Beet):
    folder = library.folder / "soundtags-models"
    folder.mkdir()
    (folder / "tempo.pb").write_bytes(b"not needed to show numbers")
    (folder / "tempo.json").write_text(json.dumps(TEMPO))
    for number, tempo in enumerate(("2.5", "7.25", "nan")):
        change = f"soundtags_tempo_bpm={tempo}"
        library("modify", "-yW", change, f"title:t{number}")
    lines = blocks(library)["soundtags_tempo_bpm"]
    assert lines[0] == "soundtags_tempo_bpm: 2 tracks"
    assert lines[-1].split() == ["2", "8"]


def test_no_more_names_than_one_can_read(library: Beet):
    names = "; ".join(f"genre {number:02}" for number in range(25))
    library("modify", "-yW", f"genres={names}", "title:t0")
    _, *lines = blocks(library, "title:t0")["genres"]
    assert len(lines) == 21
    assert lines[-1] == "  and 5 more"


def test_nothing_is_analysed_and_tensorflow_stays_out(library: Beet):
    library.configure(
        plugins=["soundtags", "loaded"], pluginpath=[str(PLUGINS)]
    )
    done = library.fresh("soundtags", "--stats")
    assert done.stdout.splitlines()[-1] == "False"
    assert "mood: 6 tracks" in done.stdout


def test_bad_settings_are_named(library: Beet):
    library.configure(soundtags={"mood_threshold": 2})
    done = library("soundtags", "--stats", status=1)
    assert "mood_threshold: 2 is not a number from 0 to 1" in done.stderr
    assert "Traceback" not in done.stderr
