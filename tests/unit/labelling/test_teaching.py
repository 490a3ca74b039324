"""Learning a word from examples, and how good it is said to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from soundtags.collection.teaching import Lesson, teach
from soundtags.errors import UnteachableWord, UnusableWord
from soundtags.labelling.taught_scores import Block, scores
from soundtags.models.taught_words import read_words, spelled, write_word

ALBUMS, TRACKS, CLASSES, DIMENSIONS = 40, 5, 8, 30


def make_lesson(likeness: float, own: float = 0.0, seed: int = 0) -> Lesson:
    """Return a lesson with examples of the first eight albums.

    Parameters
    ----------
    likeness
        How alike these are.
    own
        How alike the tracks of each album are.
    """
    rng = np.random.default_rng(seed)
    albums = np.repeat(np.arange(ALBUMS), TRACKS)
    examples = albums < 8
    count = len(albums)
    common = rng.normal(size=DIMENSIONS) * likeness
    style = rng.normal(size=(ALBUMS, DIMENSIONS))[albums] * own
    embeddings = rng.normal(size=(count, DIMENSIONS)) + style
    embeddings[examples] += common
    block = Block.of(
        "model 1",
        tuple(f"class {n}" for n in range(CLASSES)),
        rng.random((count, CLASSES)),
        embeddings,
    )
    return Lesson([block], examples, np.zeros(count, bool), albums)


def test_unlike_tracks_are_told_apart():
    lesson = make_lesson(likeness=1.0)
    learned = teach("word", lesson)
    assert (learned.scores[lesson.examples] > 0.5).mean() > 0.95
    assert (learned.scores[~lesson.examples] < 0.5).mean() > 0.95
    assert learned.word.check.found >= 36  # of 40
    assert learned.advantage > 0.85


def test_what_only_an_album_has_does_not_count():
    """It would if tracks of an album were on both sides of the check."""
    lesson = make_lesson(likeness=0.0, own=3.0, seed=2)
    apart = replace(lesson, albums=np.arange(len(lesson.albums)))
    together, alone = (
        teach("word", each).word.check.found for each in (lesson, apart)
    )
    assert together < 10 < 20 < alone  # of 40


def test_no_more_is_announced_than_found_on_new_albums():
    """Averaged, as a single library can be lucky."""
    announced, true = [], []
    for seed in range(8):
        lesson = make_lesson(likeness=0.45, seed=seed)
        new = np.isin(lesson.albums, (0, 1, 2, 3))
        (block,) = lesson.blocks
        learned = teach(
            "word",
            Lesson(
                [replace(block, values=block.values[~new])],
                lesson.examples[~new],
                lesson.refused[~new],
                lesson.albums[~new],
            ),
        )
        announced.append(learned.word.check.found / learned.word.examples)
        unseen = replace(block, values=block.values[new])
        true.append((scores(learned.word, [unseen]) >= 0.5).mean())
    # A little less, as albums are left out to check.
    assert np.mean(true) - 0.25 < np.mean(announced) < np.mean(true) + 0.05


def test_counter_examples_count_more_than_the_rest():
    lesson = make_lesson(likeness=0.6)
    before = teach("word", lesson).scores
    refused = ~lesson.examples & (before > 0.4)
    after = teach("word", replace(lesson, refused=refused)).scores
    assert after[refused].mean() < before[refused].mean() - 0.05


def test_an_answer_helps_most_where_the_score_is_at_the_threshold():
    lesson = make_lesson(likeness=0.6)
    learned = teach("word", lesson, doubts=5)
    distances = abs(learned.scores - 0.5)
    doubtful = distances[learned.doubtful]
    assert (np.diff(doubtful) >= 0).all()
    assert not lesson.examples[learned.doubtful].any()
    assert len(set(lesson.albums[learned.doubtful])) == 5
    assert doubtful[0] == distances[~lesson.examples].min()


def test_order_and_repetition_change_nothing():
    lesson = make_lesson(likeness=0.6)
    assert teach("word", lesson).word == teach("word", lesson).word


def test_too_few_tracks_are_refused():
    lesson = make_lesson(likeness=1.0)
    few = np.arange(len(lesson.examples)) < 4
    with pytest.raises(UnteachableWord, match="4 examples are too few"):
        teach("word", replace(lesson, examples=few))
    with pytest.raises(UnteachableWord, match="200 of 200 analysed"):
        teach("word", replace(lesson, examples=np.ones(200, bool)))


def test_inputs_that_never_change_do_no_harm():
    lesson = make_lesson(likeness=1.0)
    (block,) = lesson.blocks
    block.values[:, :3] = 1.0
    learned = teach("word", lesson)
    assert np.isfinite(learned.scores).all()
    assert [*learned.word.models["model 1"].activations.values()][:3] == [0] * 3


def test_files_keep_all_of_a_word(tmp_path):
    word = teach("word", make_lesson(likeness=1.0)).word
    write_word(word, tmp_path / "new")
    (read,) = read_words(tmp_path / "new")
    assert read == word
    assert read.digest == word.digest
    assert read_words(tmp_path / "none") == ()


def test_scores_are_those_of_the_cache():
    """It has embeddings as half floats."""
    lesson = make_lesson(likeness=0.6)
    (block,) = lesson.blocks
    word = teach("word", lesson).word
    rng = np.random.default_rng(1)
    embedding = rng.normal(size=DIMENSIONS).astype(np.float32)
    activations = rng.random(CLASSES).astype(np.float32)
    ways = [
        Block.of("model 1", block.classes, activations, each)
        for each in (embedding, embedding.astype(np.float16).astype(np.float32))
    ]
    one, other = (scores(word, [way]) for way in ways)
    assert one == other


def test_other_inputs_are_refused():
    lesson = make_lesson(likeness=1.0)
    (block,) = lesson.blocks
    word = teach("word", lesson).word
    for other in (
        replace(block, model="model 2"),
        replace(block, classes=("other", *block.classes[1:])),
        replace(block, values=block.values[:, :-1]),
    ):
        with pytest.raises(UnusableWord):
            scores(word, [other])


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Focus", "focus"),
        (" Sunday  Morning ", "sunday-morning"),
        ("e\u0301te\u0301", "\u00e9t\u00e9"),
        ("90s", "90s"),
    ],
)
def test_names_become_words(name, word):
    assert spelled(name) == word


@pytest.mark.parametrize(
    "name", ["", "-x", "a/b", "a.b", "a:b", "x" * 41, "happy", "Happy", "_x"]
)
def test_names_that_cannot_be_words(name):
    with pytest.raises(UnusableWord):
        spelled(name)
