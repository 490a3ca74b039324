"""More models than the memory for sessions can hold: they take turns."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
from conftest import Beet, noise, write_track
from standins import write_standin
from test_models import CountingLoader, make, outcome

from beetsplug.soundtags import catalogue, pipeline
from beetsplug.soundtags.analysis import Analysis
from beetsplug.soundtags.errors import UnreadableAudio
from beetsplug.soundtags.sessions import SessionPool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from beetsplug.soundtags.analysis import Outcome

# Runs a command and prints its peak memory in bytes. On Linux, a process starts
# with the peak of the one that starts it, and that of pytest is large.
MEASURE = """\
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(peak if sys.platform == "darwin" else 1024 * peak)
sys.exit(status)
"""

# Whole VGGish classifiers, 288 MB each, alike but for what their classes mean.
LARGE = [
    model
    for model in catalogue.published().values()
    if model.family == "vggish-audioset"
    and catalogue.targets()[str(model.target)].kind == catalogue.SCORE
]


@dataclass
class Tagged:
    """What came of a run of `beet soundtags`."""

    items: list[dict[str, Any]]
    peak: int | None  # bytes, where it can be measured


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one graph under the names of several models."""
    folder = tmp_path_factory.mktemp("models")
    if shutil.disk_usage(folder).free < 10**9:
        pytest.skip("less than 1 GB of free disk space for a large model")
    first, *others = [folder / f"{model.id}.pb" for model in LARGE]
    facts = LARGE[0].metadata
    write_standin(first, facts.algorithm, dict(facts.outputs), classes=2)
    for other in others:
        try:
            os.link(first, other)
        except OSError:
            if shutil.disk_usage(folder).free < 10**9:
                pytest.skip("no hard links, and too little disk for copies")
            shutil.copy(first, other)
    return folder


@pytest.fixture(scope="module")
def tagged(large: Path, tmp_path_factory: pytest.TempPathFactory) -> Tagged:
    """Three tracks that went through all large models."""
    folder = tmp_path_factory.mktemp("library")
    tracks = folder / "in"
    tracks.mkdir()
    for seed in range(3):
        write_track(tracks / f"{seed}.flac", f"Track {seed}", seed)
    beet = Beet(folder)
    beet.configure(
        soundtags={
            "auto": False,
            "models": [model.id for model in LARGE],
            "model_dir": str(large),
            "session_memory": "2GB",
        }
    )
    beet("import", "-A", tracks)
    command = [sys.executable, "-m", "beets", "soundtags", "-q"]
    measurable = importlib.util.find_spec("resource")
    if measurable:
        command = [sys.executable, "-c", MEASURE, *command]
    done = subprocess.run(
        command,
        env=beet.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Tagged(beet.items(), int(done.stdout) if measurable else None)


def test_models_that_do_not_fit_all_run(large: Path, tagged: Tagged):
    assert sum(graph.stat().st_size for graph in large.iterdir()) > 2 * 10**9
    assert len(tagged.items) == 3
    for item in tagged.items:
        # One graph: it says the same of the first class of every target.
        first, *others = [_share_of_first(item, model) for model in LARGE]
        assert 0 < first < 1
        assert others == pytest.approx([first] * len(others), abs=2e-4)


def _share_of_first(item: dict[str, Any], model: catalogue.Published) -> float:
    target = catalogue.targets()[str(model.target)]
    score = item[target.name]
    is_first = model.metadata.classes[0] == target.positive
    return score if is_first else 1 - score


def test_sessions_keep_to_their_memory(tagged: Tagged):
    if tagged.peak is None:
        pytest.skip("no module resource here: memory is not measured")
    # Five sessions fit, 325 MB each. TensorFlow and loading take the rest.
    assert 1.6e9 < tagged.peak < 3.5e9


# Small models, in the order in which they run, and memory for one of them.
SMALL = ["msd-musicnn-1", "msd-vgg-1", "mtt-musicnn-1"]
FOR_ONE = 5_000_000


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five files, each longer than the one before."""
    folder = tmp_path_factory.mktemp("tracks")
    paths = [folder / f"{number}.wav" for number in range(5)]
    for number, path in enumerate(paths):
        samples = noise(seconds=4 + number, seed=number)
        soundfile.write(path, samples, 44100)
    return paths


def analyse(
    paths: Sequence[Path], memory: int
) -> tuple[list[Path], list[Outcome]]:
    """Return the keys and the outcomes, as they come."""
    pairs, pool = zip(paths, paths), SessionPool(memory)
    made = make(SMALL)
    done = list(pipeline.hear_all(pairs, made, pool, jobs=2))
    return [key for key, _ in done], [outcome(found, made) for _, found in done]


def said(outcomes: Sequence[Outcome]) -> list[Any]:
    """Return what models say of each track, and what follows."""
    return [(outcome.answers, outcome.fields) for outcome in outcomes]


@pytest.fixture(scope="module")
def roomy(tracks: list[Path]) -> list[Any]:
    """What is said of the tracks where all models fit."""
    _, outcomes = analyse(tracks, 10**9)
    return said(outcomes)


def test_each_model_is_loaded_once_for_all_tracks(tracks, roomy, monkeypatch):
    loader = CountingLoader(monkeypatch)
    keys, outcomes = analyse(tracks, FOR_ONE)
    assert loader.loaded == SMALL
    assert loader.closed == SMALL[:2]
    assert keys == tracks
    seconds = [outcome.heard.seconds for outcome in outcomes]
    assert seconds == pytest.approx([4, 5, 6, 7, 8])
    answers = [outcome.answers for outcome in outcomes]
    assert all(answers.count(each) == 1 for each in answers)
    assert said(outcomes) == roomy


def test_groups_do_not_throw_out_each_others_models(tracks, roomy, monkeypatch):
    loader = CountingLoader(monkeypatch)
    monkeypatch.setattr(pipeline, "GROUP", 2)
    keys, outcomes = analyse(tracks, FOR_ONE)
    assert loader.loaded == 3 * SMALL
    assert keys == tracks
    assert said(outcomes) == roomy


def test_a_turn_begins_where_patches_take_too_much(tracks, roomy, monkeypatch):
    loader = CountingLoader(monkeypatch)
    monkeypatch.setattr(pipeline, "GROUP_MEMORY", 1)
    _, outcomes = analyse(tracks, FOR_ONE)
    assert loader.loaded == 5 * SMALL
    assert said(outcomes) == roomy


def test_a_bad_file_of_a_group_fails_alone(
    tracks, roomy, tmp_path, monkeypatch
):
    loader = CountingLoader(monkeypatch)
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"this is not audio")
    keys, outcomes = analyse([*tracks[:2], bad, *tracks[2:]], FOR_ONE)
    assert keys == [*tracks[:2], bad, *tracks[2:]]
    assert isinstance(outcomes.pop(2), UnreadableAudio)
    assert all(isinstance(outcome, Analysis) for outcome in outcomes)
    assert said(outcomes) == roomy
    assert loader.loaded == SMALL
