"""More models than the memory for sessions can hold: they take turns."""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from support.audio import noise, write_track
from support.beet import Beet
from support.models import CountingLoader, make, outcome
from support.needs import tensorflow
from support.paths import PLUGINS
from support.standins import PATCHES, Weights, dense_layers, frozen

from soundtags.errors import UnreadableAudio
from soundtags.inference import pipeline
from soundtags.inference.sessions import SessionPool
from soundtags.labelling.interpret import Interpretation
from soundtags.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from support.standins import Tensor

    from soundtags.labelling.interpret import Outcome

# Classifiers that are a whole VGGish each, alike but for what their classes
# mean. In place of its 288 MB, they get one layer, large enough for the system
# to take its memory back as soon as it is freed.
LARGE = [
    model
    for model in catalogue.published().values()
    if model.family == "vggish-audioset"
    and catalogue.targets()[str(model.target)].kind == catalogue.SCORE
][:6]
SIZES = {"vggish/fc2": 1536, "fully_connected": 100, "logits": 2}
LIMIT = 110_000_000  # bytes: two sessions fit, 45 MB each
PLENTY = 10**9
TRACKS = 2


@dataclass
class Tagged:
    """The outcome of a run of `beet soundtags`."""

    items: list[dict[str, Any]]
    peak: int  # bytes; 0 where it cannot be measured


def classifier(rng: np.random.Generator, x: Tensor) -> None:
    tf = tensorflow()
    x = tf.reshape(x, [-1, math.prod(x.shape[1:])])
    x = dense_layers(Weights(rng), x, SIZES)
    tf.sigmoid(x, name="model/Sigmoid")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one graph under the names of several models."""
    folder = tmp_path_factory.mktemp("models")
    first, *others = [folder / f"{model.id}.pb" for model in LARGE]
    shape = (None, *PATCHES[LARGE[0].metadata.algorithm])
    rng = np.random.default_rng(0)
    first.write_bytes(frozen(classifier, shape, "model/Placeholder", rng))
    for other in others:
        try:
            os.link(first, other)
        except OSError:
            shutil.copy(first, other)
    return folder


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library that has not been analysed."""
    folder = tmp_path_factory.mktemp("library")
    tracks = folder / "in"
    tracks.mkdir()
    for seed in range(TRACKS):
        write_track(tracks / f"{seed}.flac", f"Track {seed}", seed)
    beet = Beet.new(folder / "beets", soundtags={"auto": False})
    beet("import", "-A", tracks)
    return beet


def tag(
    imported: Beet,
    folder: Path,
    large: Path,
    models: Sequence[catalogue.Published],
    memory: int,
) -> Tagged:
    """Analyse a copy of a library, with so much memory for sessions."""
    measurable = importlib.util.find_spec("resource") is not None
    beet = Beet.new(
        folder,
        plugins=["soundtags", *(["peak"] if measurable else [])],
        pluginpath=[str(PLUGINS)],
        soundtags={
            "patches": 2,
            "jobs": 1,
            "models": [model.id for model in models],
            "model_dir": str(large),
            "session_memory": f"{memory // 10**6}MB",
        },
    )
    beet.models = True
    beet.begin_with(imported)
    output = beet("soundtags", "-q").stdout
    return Tagged(beet.items(), int(output) if measurable else 0)


@pytest.fixture(scope="module")
def tagged(
    imported: Beet, large: Path, tmp_path_factory: pytest.TempPathFactory
) -> Tagged:
    """Tracks that went through all large models."""
    folder = tmp_path_factory.mktemp("limited") / "beets"
    return tag(imported, folder, large, LARGE, LIMIT)


@pytest.mark.models
def test_models_that_do_not_fit_together_all_run(large: Path, tagged: Tagged):
    assert sum(graph.stat().st_size for graph in large.iterdir()) > 2 * LIMIT
    assert len(tagged.items) == TRACKS
    for item in tagged.items:
        # One graph: its first class has the same mean for every target.
        first, *others = [_share_of_first(item, model) for model in LARGE]
        assert 0 < first < 1
        assert others == pytest.approx([first] * len(others), abs=2e-4)


def _share_of_first(item: dict[str, Any], model: catalogue.Published) -> float:
    target = catalogue.targets()[str(model.target)]
    score = item[target.name]
    is_first = model.metadata.classes[0] == target.positive
    return score if is_first else 1 - score


@pytest.mark.models
@pytest.mark.slow
def test_sessions_keep_to_their_memory(
    imported: Beet, large: Path, tagged: Tagged, tmp_path: Path
):
    if not tagged.peak:
        pytest.skip("no module resource here: memory is not measured")
    one = tag(imported, tmp_path / "one", large, LARGE[:1], LIMIT)
    all_open = tag(imported, tmp_path / "all", large, LARGE, PLENTY)
    size = (large / f"{LARGE[0].id}.pb").stat().st_size
    # Two sessions of six are open. All peaks include what loading takes.
    assert tagged.peak > one.peak + size
    assert tagged.peak < all_open.peak - 3 * size


# Small models, in the order in which they run, and memory for one of them.
SMALL = ["msd-musicnn-1", "msd-vgg-1", "mtt-musicnn-1"]
FOR_ONE = 5_000_000


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three files, each longer than the one before."""
    folder = tmp_path_factory.mktemp("tracks")
    paths = [folder / f"{number}.wav" for number in range(3)]
    for number, path in enumerate(paths):
        samples = noise(seconds=4 + number, seed=number)
        soundfile.write(path, samples, 44100)
    return paths


def analyse(
    paths: Sequence[Path], memory: int
) -> tuple[list[Path], list[Outcome]]:
    """Return the keys and the outcomes, in the order of the results."""
    pairs, pool = zip(paths, paths), SessionPool(memory)
    made = make(SMALL)
    done = list(pipeline.predict_all(pairs, made, pool, jobs=2))
    return [each.key for each in done], [outcome(each, made) for each in done]


def results(outcomes: Sequence[Outcome]) -> list[Any]:
    """Return the means of the models for each track, and its labels."""
    return [(outcome.model_means, outcome.fields) for outcome in outcomes]


@pytest.fixture(scope="module")
def roomy(tracks: list[Path]) -> list[Any]:
    """The results where all models fit into memory."""
    _, outcomes = analyse(tracks, 10**9)
    return results(outcomes)


def test_each_model_is_loaded_once_for_all_tracks(tracks, roomy, monkeypatch):
    loader = CountingLoader(monkeypatch)
    keys, outcomes = analyse(tracks, FOR_ONE)
    assert loader.loaded == SMALL
    assert loader.closed == SMALL[:2]
    assert keys == tracks
    seconds = [outcome.predictions.seconds for outcome in outcomes]
    assert seconds == pytest.approx([4, 5, 6])
    answers = [outcome.model_means for outcome in outcomes]
    assert all(answers.count(each) == 1 for each in answers)
    assert results(outcomes) == roomy


def test_groups_run_one_after_the_other(tracks, roomy, monkeypatch):
    loader = CountingLoader(monkeypatch)
    monkeypatch.setattr(pipeline, "GROUP_SIZE", 2)
    keys, outcomes = analyse(tracks, FOR_ONE)
    assert loader.loaded == 2 * SMALL
    assert keys == tracks
    assert results(outcomes) == roomy


def test_a_group_ends_where_its_patches_take_too_much_memory(
    tracks, roomy, monkeypatch
):
    loader = CountingLoader(monkeypatch)
    monkeypatch.setattr(pipeline, "GROUP_MEMORY", 1)
    _, outcomes = analyse(tracks, FOR_ONE)
    assert loader.loaded == 3 * SMALL
    assert results(outcomes) == roomy


def test_a_bad_file_of_a_group_fails_alone(
    tracks, roomy, tmp_path, monkeypatch
):
    loader = CountingLoader(monkeypatch)
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"this is not audio")
    keys, outcomes = analyse([*tracks[:2], bad, *tracks[2:]], FOR_ONE)
    assert keys == [*tracks[:2], bad, *tracks[2:]]
    assert isinstance(outcomes.pop(2), UnreadableAudio)
    assert all(isinstance(outcome, Interpretation) for outcome in outcomes)
    assert results(outcomes) == roomy
    assert loader.loaded == SMALL
