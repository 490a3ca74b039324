"""The command `beet soundteach`: words that users teach."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from contextlib import closing
from pathlib import Path

import mutagen
import numpy as np
import pytest
from beets.library import Item, Library
from support.audio import write_track
from support.beet import Beet
from support.made_up import MUSICAL

from soundtags.inference.cache import PredictionCache
from soundtags.inference.pooling import TrackPredictions
from soundtags.models.plan import make_plan
from soundtags.models.settings import Settings

ALBUMS, TRACKS = 12, 5
SOFT = 4  # of the albums
EXAMPLES = ["album::^album [0-2]$"]  # 15 of the 20 soft tracks
NOWHERE = Path("nowhere")
SECRET = "A title to be kept"


def predictions(soft: bool, number: int) -> TrackPredictions:
    """Return what taggers could make of a track; soft ones are alike."""
    plan = make_plan(None, NOWHERE, Settings(), print)
    (front_end,) = plan.front_ends
    rng = np.random.default_rng(number)
    activations = {}
    for model in plan.models:
        names = model.metadata.classes
        values = rng.uniform(0.02, 0.1, len(names))
        values[:7] += 0.4 * soft
        values[[name in MUSICAL for name in names]] = 0.8  # it is no speech
        activations[model.id] = values.astype(np.float32)
    embeddings = {
        model.id: (rng.normal(size=200) + soft).astype(np.float32)
        for model in plan.fed
    }
    inputs = {front_end: f"audio{number}"}
    return TrackPredictions(inputs, 60.0, 0.1, activations, embeddings)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of analysed tracks of twelve albums; four are soft."""
    beet = Beet.new(tmp_path_factory.mktemp("home") / "beets")
    beet.configure(**{"import": {"write": False, "quiet": True}})
    library = Library(str(beet.folder / "library.db"), str(beet.folder))
    plan = make_plan(None, NOWHERE, Settings(patches=2), print)
    with closing(PredictionCache(beet.folder / "soundtags.db")) as cache:
        for number in range(ALBUMS * TRACKS):
            album = number // TRACKS
            cache.save(predictions(album < SOFT, number), plan)
            item = Item(
                title=f"track {number}" if number else SECRET,
                artist="artist",
                album=f"album {album}",
                path=os.fsencode(f"/music/{number}.mp3"),
            )
            item["soundtags_input"] = f"audio{number}"
            library.add(item)
    beet("soundtags", "-q")
    return beet


@pytest.fixture
def library(beet: Beet, filled: Beet) -> Beet:
    """The same tracks; files, which there are none of, are not written."""
    beet.begin_with(filled)
    beet.configure(**{"import": {"write": False, "quiet": True}})
    return beet


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, filled: Beet) -> Beet:
    """The same library, with the word soft."""
    beet = Beet.new(tmp_path_factory.mktemp("home") / "beets")
    beet.begin_with(filled)
    beet.configure(**{"import": {"write": False, "quiet": True}})
    beet("soundteach", "Soft", *EXAMPLES)
    return beet


@pytest.fixture
def with_word(beet: Beet, taught: Beet) -> Beet:
    beet.begin_with(taught)
    beet.configure(**{"import": {"write": False, "quiet": True}})
    return beet


def teach(beet: Beet, *args: str, status: int = 0) -> list[str]:
    """Teach, and return the lines that are printed."""
    done = beet("soundteach", *args, status=status)
    return (done.stderr if status else done.stdout).splitlines()


def word_file(beet: Beet, word: str = "soft") -> Path:
    return beet.folder / "soundtags-words" / f"{word}.json"


def state(beet: Beet) -> tuple:
    """Return all that must not change."""
    words = sorted((beet.folder / "soundtags-words").glob("*"))
    return beet.items(), [path.read_text() for path in words]


def test_a_word_is_a_mood_like_any_other(taught: Beet):
    found = {item["album"] for item in taught.items("mood:=soft")}
    assert found == {f"album {n}" for n in range(SOFT)}  # one was not taught
    items = taught.items()
    soft = [each["mood_soft"] for each in items if each["album"] in found]
    rest = [each["mood_soft"] for each in items if each["album"] not in found]
    assert min(soft) >= 0.5 > max(rest)
    assert len(taught.ls("$title", "mood_soft:0.5..")) == SOFT * TRACKS
    best, *_ = taught.ls("$mood_soft", "mood_soft-")
    assert float(best) == max(soft)
    stats = taught("soundtags", "--stats").stdout
    assert "mood_soft: 60 tracks\n  threshold 0.5: 40 (67%) below" in stats
    done = taught("soundtags").stdout
    assert done == "0 tagged, 60 already up to date, 0 failed\n"


def test_the_report_and_the_playlists_know_the_word(with_word: Beet):
    page = with_word.folder / "report.html"
    with_word("soundreport", "-o", page)
    assert '"taught":["soft"]' in page.read_text(encoding="utf-8")
    lines = with_word("soundlists", "--list").stdout.splitlines()
    assert [line for line in lines if line.startswith("mood-soft ")]


def test_a_threshold_of_the_word_counts(with_word: Beet):
    with_word.configure(
        **{"import": {"write": False}},
        soundtags={"patches": 2, "thresholds": {"soft": 1.0}},
    )
    with_word("soundtags", "-q")
    assert with_word.items("mood:=soft") == []


def test_the_word_is_kept_where_there_are_many_moods(with_word: Beet):
    with_word.configure(
        **{"import": {"write": False}},
        soundtags={"patches": 2, "max_moods": 1, "mood_threshold": 0.0},
    )
    with_word("soundtags", "-q")
    assert len(with_word.items("mood:=soft")) == ALBUMS * TRACKS


def test_what_is_said_is_what_was_measured(library: Beet):
    first, second, *rest = teach(library, "-p", "soft", *EXAMPLES)
    assert first.startswith("soft, from 15 examples: finds about 10 of 10 (8 ")
    # Five more are right, but nobody has said so.
    assert first.endswith(", and at least 8 of 10 it names are right")
    assert second == (
        "it also names 5 of 45 tracks that you have said nothing about (11%)"
    )
    assert rest[0] == "least sure of these:"
    assert len([line for line in rest if "(id:" in line]) == 10
    assert "is_soft=yes" in rest[-1]


def test_what_it_says_to_do_can_be_done(library: Beet):
    *_, said = teach(library, "-p", "soft", *EXAMPLES)
    for _ in range(2):
        _, answer, again = re.split("(?:to answer|then): ", said)
        library(*shlex.split(answer.partition(" (")[0])[1:], "-y")
        *_, said, count = teach(library, *shlex.split(again)[2:])
        assert " tracks with the mood soft: " in count
        # Its own field is asked for once, however often it was taught.
        assert said.count("is_soft:=yes") == 1


def test_counter_examples_tell_how_many_are_right(library: Beet):
    line, *_ = teach(
        library, "-p", "soft", *EXAMPLES, "--not", "'album:album 4'"
    )
    assert line.endswith("and 10 of 10 it names are right")


def test_examples_that_sound_no_different_teach_nothing(library: Beet):
    before = state(library)
    query = "title::[13579]$"
    (line,) = teach(library, "odd", query, status=1)
    assert line.endswith("odd was not taught, as it would be noise")
    assert state(library) == before
    lines = teach(library, "-p", "odd", query)
    assert lines[2].startswith("this is little better than chance")
    assert lines[3].startswith("what would help: more examples")


def test_one_album_tells_nothing_of_others(library: Beet):
    first, second, *_ = teach(library, "-p", "soft", "album:album 0")
    assert first == (
        "soft, from 5 examples of one album: no way to tell how good it is"
    )
    assert second == "what would help: examples from other albums"


def test_pretending_changes_nothing(with_word: Beet):
    before = state(with_word)
    teach(with_word, "-p", "other", *EXAMPLES)
    teach(with_word, "-p", "--forget", "soft")
    assert state(with_word) == before


def test_the_users_own_mood_stays(library: Beet):
    library("modify", "-yW", "mood=mine", "id:1")
    teach(library, "soft", *EXAMPLES)
    (item,) = library.items("id:1")
    assert item["mood"] == ["mine"]
    assert item["mood_soft"] >= 0.5


def test_what_was_learned_is_no_example(with_word: Beet):
    done = with_word("soundteach", "soft", "mood:=soft", status=1)
    assert done.stdout == (
        "20 tracks of those that match have soft from this plugin, and are not"
        " used as examples\n"
    )
    # What the user says does count.
    with_word("modify", "-yW", "mood=soft", *EXAMPLES)
    lines = teach(with_word, "soft", "mood:=soft")
    assert "5 tracks of those that match have soft" in lines[0]
    assert lines[1].startswith("soft, from 15 examples")


def test_forgetting_takes_the_word_out(with_word: Beet):
    assert teach(with_word, "--forget", "SOFT")[-1] == (
        "soft is forgotten; 20 tracks had it"
    )
    assert not word_file(with_word).exists()
    assert all("soft" not in item["mood"] for item in with_word.items())
    assert all("mood_soft" not in item for item in with_word.items())
    done = with_word("soundtags").stdout
    assert done == "0 tagged, 60 already up to date, 0 failed\n"
    with_word("soundtags", "--undo", "-q")
    assert len(with_word.items("mood:=soft")) == SOFT * TRACKS


def test_teaching_can_be_undone(with_word: Beet):
    with_word("soundtags", "--undo", "-q")
    assert all("mood_soft" not in item for item in with_word.items())
    assert all("soft" not in item["mood"] for item in with_word.items())


def test_words_are_listed(with_word: Beet):
    (line,) = teach(with_word, "--list")
    assert line == "soft: 20 tracks; from 15 examples: finds about 10 of 10"
    shutil.rmtree(with_word.folder / "soundtags-words")
    (line,) = teach(with_word, "--list")
    assert line == "no words yet; teach one: beet soundteach NAME QUERY"


def test_a_file_is_all_that_another_library_needs(taught: Beet, library: Beet):
    text = word_file(taught).read_text()
    for told in (SECRET, "album", "artist", "/music", "audio"):
        assert told not in text
    word_file(library).parent.mkdir()
    shutil.copy(word_file(taught), word_file(library))
    library("soundtags", "-q")
    scores = [item["mood_soft"] for item in library.items()]
    assert scores == [item["mood_soft"] for item in taught.items()]


DAMAGES = [
    (lambda _: "{", "not JSON"),
    (lambda c: json.dumps({**c, "format": 99}), "another version of this"),
    (lambda c: json.dumps({**c, "bias": "much"}), "is damaged"),
    (lambda c: json.dumps({**c, "bias": float("nan")}), "is damaged"),
    (lambda c: json.dumps({**c, "models": []}), "is damaged"),
    (lambda c: json.dumps({**c, "word": "b"}), "its name must be b.json"),
    (lambda c: json.dumps({**c, "models": _other(c)}), "version of other-1"),
]


def _other(content: dict) -> dict:
    return {"other-1 0123": next(iter(content["models"].values()))}


def test_files_that_cannot_be_used_are_left_out(with_word: Beet):
    content = json.loads(word_file(with_word).read_text())
    for number, (damage, _) in enumerate(DAMAGES):
        word = f"word{number}"
        text = damage({**content, "word": word})
        word_file(with_word, word).write_text(text)
    done = with_word("soundtags")
    lines = [n for n in done.stderr.splitlines() if "left out" in n]
    assert len(lines) == len(DAMAGES)
    for number, (_, complaint) in enumerate(DAMAGES):
        (line,) = (each for each in lines if f"word{number}" in each)
        assert complaint in line
    assert len(with_word.items("mood:=soft")) == SOFT * TRACKS
    assert with_word.ls("$title", "mood:word") == []


def test_a_file_cannot_take_the_name_of_a_mood(with_word: Beet):
    content = json.loads(word_file(with_word).read_text())
    scores = [item["mood_happy"] for item in with_word.items()]
    word_file(with_word, "happy").write_text(
        json.dumps({**content, "word": "happy"})
    )
    done = with_word("soundtags", "-q")
    assert "happy is a mood already" in done.stderr
    assert [item["mood_happy"] for item in with_word.items()] == scores


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ([], "name a word and tracks that are examples of it"),
        (["soft"], "name a word and tracks that are examples of it"),
        (["soft", "nothing"], "no matching track"),
        (["soft", "id:1..3"], "3 examples are too few; give at least 5"),
        (["soft", "id:1.."], "60 of 60 analysed tracks are examples"),
        (
            ["soft", "id:1..9", "--not", "id:9..20"],
            "1 track both among the examples and in --not, such as artist",
        ),
        (["happy", *EXAMPLES], "happy is a mood already"),
        (["a/b", *EXAMPLES], "'a/b' cannot be a word"),
        (["soft", "id:x"], "id:x"),
        (["soft", "id:1..9", "--not", "title:it's"], '--not: "title:it\'s"'),
        (["--forget", "loud"], "the word 'loud' has not been taught"),
        (["--forget", "../config"], "the word '../config' has not been taught"),
    ],
)
def test_what_cannot_be_done_is_said(library: Beet, args, complaint):
    before = state(library)
    (line,) = teach(library, *args, status=1)
    assert complaint in line
    assert state(library) == before
    assert (library.folder / "config.yaml").exists()


def test_words_can_have_spaces_and_any_letters(library: Beet):
    lines = teach(library, "Früh Morgens", *EXAMPLES)
    assert lines[-1] == (
        "20 tracks with the mood früh-morgens: beet ls mood:=früh-morgens"
        " mood_früh-morgens-"
    )
    assert len(library.items("mood_früh-morgens:0.5..")) == SOFT * TRACKS


def test_new_examples_are_analysed_and_files_written(
    library: Beet, tmp_path: Path
):
    path = write_track(tmp_path / "new.flac", "new")
    settings = {"patches": 2, "jobs": 1, "auto": False}
    library.configure(soundtags=settings)
    library("import", "-A", path)
    library.configure(
        soundtags={
            **settings,
            "file_tags": ["mood", "mood_any"],
            "thresholds": {"any": 0.01},
        }
    )
    done = library("soundteach", "any", *EXAMPLES, ",", "title:new")
    assert "1 track not analysed yet: analysing these first" in done.stdout
    assert "any, from 16 examples" in done.stdout
    (item,) = library.items("title:new")
    tags = mutagen.File(item["path"])
    assert tags["mood_any"] == [f"{item['mood_any']:.4f}"]
    assert "any" in tags["mood"]
    assert library("update", "-p", "title:new").stdout == ""
    done = library("soundteach", "--forget", "any")
    assert re.search("the word for mood_any has not been taught", done.stderr)
    tags = mutagen.File(item["path"])
    assert "mood_any" not in tags
    assert "any" not in tags.get("mood", [])
