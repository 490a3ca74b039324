"""Many files through the pipeline, in order, whatever fails."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

import confuse
import numpy as np
import pytest
import soundfile
from support.audio import noise, write_track
from support.beet import Beet
from support.models import make, outcome, write_model
from support.needs import tensorflow

from beetsplug.soundtags import configuration
from soundtags.audio import track
from soundtags.errors import BrokenModels, UnexpectedFailure, UnreadableAudio
from soundtags.inference import pipeline
from soundtags.inference.pipeline import predict_all
from soundtags.inference.pooling import TrackPredictions
from soundtags.inference.sessions import SessionPool
from soundtags.labelling.interpret import Interpretation

if TYPE_CHECKING:
    from pathlib import Path

EFFNET_BATCH = 64


@pytest.fixture(scope="module")
def tracks(tmp_path_factory) -> list[Path]:
    """Seven files of different lengths."""
    folder = tmp_path_factory.mktemp("tracks")
    paths = [folder / f"{number}.flac" for number in range(7)]
    for number, path in enumerate(paths):
        soundfile.write(path, noise(3 + 2 * number, seed=number), 44100)
    return paths


def run(paths, made, jobs=2):
    pairs = [(number, str(path)) for number, path in enumerate(paths)]
    done = list(predict_all(pairs, made, SessionPool(10**9), jobs))
    assert [result.key for result in done] == list(range(len(paths)))
    return [outcome(result, made) for result in done]


def write_effnet(folder: Path) -> None:
    """Write a model that takes 64 patches at a time, no fewer."""
    tf = tensorflow()
    with tf.Graph().as_default() as graph:
        shape = (EFFNET_BATCH, 128, 96)
        fed = tf.placeholder(tf.float32, shape, name="fed")
        level = tf.reduce_mean(fed, [1, 2], keepdims=True)[:, 0]
        tf.sigmoid(level * [[1.0, -1.0]] - 1.0, name="out")
        path = folder / "whole.pb"
        path.write_bytes(graph.as_graph_def().SerializeToString())
    outputs = [{"name": "out", "output_purpose": "predictions"}]
    metadata = {
        "classes": ["happy", "non_happy"],
        "dataset": {"metrics": {"accuracy": 0.5}},
        "schema": {"inputs": [{"name": "fed"}], "outputs": outputs},
        "inference": {"algorithm": "TensorflowPredictEffnetDiscogs"},
    }
    path.with_suffix(".json").write_text(json.dumps(metadata))


def test_results_are_the_same_whatever_the_number_of_jobs(tracks):
    made = make(["msd-musicnn-1", "mtt-musicnn-1"])
    one, five = (run(tracks, made, jobs=jobs) for jobs in (1, 5))
    seconds = [outcome.predictions.seconds for outcome in one]
    assert seconds == pytest.approx([3, 5, 7, 9, 11, 13, 15], abs=0.01)
    # To the last bit.
    assert [o.model_means for o in one] == [o.model_means for o in five]
    assert len({str(outcome.model_means) for outcome in one}) == len(tracks)


def test_short_tracks_share_the_calls_of_models(tracks, tmp_path, monkeypatch):
    write_effnet(tmp_path)
    made = make(["whole"], tmp_path)
    alone = [run([track], made, jobs=1)[0] for track in tracks]
    calls = []
    session = tensorflow().Session
    call = session.run

    def counted(self, outputs, fed, *options):
        calls.extend(len(batch) for batch in fed.values())
        return call(self, outputs, fed, *options)

    monkeypatch.setattr(session, "run", counted)
    together = run(tracks, made, jobs=2)
    # 57 patches, from 2 to 14 of a track.
    assert calls == [EFFNET_BATCH]
    assert [o.model_means for o in together] == [o.model_means for o in alone]


def test_long_tracks_go_through_in_chunks(tracks, tmp_path, monkeypatch):
    write_effnet(tmp_path)
    made = make(["msd-musicnn-1", "whole"], tmp_path)
    whole = run(tracks, made)
    monkeypatch.setattr("soundtags.audio.features.CHUNK_SIZE", 2)
    monkeypatch.setattr(
        "soundtags.audio.features.open_seekable", lambda *_: nullcontext()
    )
    # Not every chunk has patches for both.
    parts = run(tracks, made, jobs=2)
    for one, other in zip(whole, parts):
        for name, means in one.model_means.items():
            assert other.model_means[name] == pytest.approx(means, abs=1e-6)


def test_errors_come_in_order(tracks, tmp_path):
    bad = tmp_path / "bad.mp3"
    bad.write_text("no music")
    missing = tmp_path / "missing.flac"
    found = run([bad, *tracks[:2], missing, tracks[2]], make(["msd-musicnn-1"]))
    kinds = [
        UnreadableAudio,
        Interpretation,
        Interpretation,
        UnreadableAudio,
        Interpretation,
    ]
    assert [type(outcome) for outcome in found] == kinds


def test_a_file_that_fails_midway_fails_alone(tracks, monkeypatch):
    segment = track.Track.segment
    failing = soundfile.info(tracks[3]).duration

    def fail_late(track, start, stop):
        if track.seconds == pytest.approx(failing) and start > 3 * 16000:
            raise RuntimeError("made to fail")
        return segment(track, start, stop)

    monkeypatch.setattr(track.Track, "segment", fail_late)
    monkeypatch.setattr(
        "soundtags.audio.features.open_seekable", lambda *_: nullcontext()
    )
    monkeypatch.setattr("soundtags.audio.features.CHUNK_SIZE", 1)
    found = run(tracks, make(["msd-musicnn-1"]), jobs=2)
    assert isinstance(found.pop(3), UnexpectedFailure)
    assert all(isinstance(outcome, Interpretation) for outcome in found)


def test_no_model_is_loaded_before_a_file_is_decoded(tmp_path, monkeypatch):
    monkeypatch.delattr(SessionPool, "check")
    bad = tmp_path / "bad.mp3"
    bad.write_text("no music")
    (outcome,) = run([bad], make(["msd-musicnn-1"]))
    assert isinstance(outcome, UnreadableAudio)


@pytest.mark.parametrize(("cores", "jobs"), [(1, 1), (2, 2), (8, 8), (32, 16)])
def test_there_is_a_job_for_each_core_up_to_sixteen(monkeypatch, cores, jobs):
    config = confuse.Configuration("soundtagstest", read=False)
    config.set(configuration.DEFAULTS)
    may_use = set(range(cores))
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda _: may_use, raising=False
    )
    assert configuration.jobs(config) == jobs
    monkeypatch.delattr(os, "sched_getaffinity")
    assert configuration.jobs(config) == jobs
    config["jobs"] = 3
    assert configuration.jobs(config) == 3


def test_broken_graphs_are_reported_before_anything_runs(tracks, tmp_path):
    for name in ("good", "bad", "worse"):
        write_model(tmp_path, name, ["happy", "non_happy"], [0, 1])
    (tmp_path / "bad.pb").write_bytes(b"\xff" * 100)
    (tmp_path / "worse.pb").write_bytes(b"")
    for memory in (10**9, 1):
        pairs = [(0, str(tracks[0]))]
        made = make(["good", "bad", "worse"], tmp_path)
        with pytest.raises(BrokenModels) as caught:
            list(predict_all(pairs, made, SessionPool(memory), jobs=1))
        assert set(caught.value.faults) == {"bad", "worse"}
        assert "remove it and fetch it again" in str(caught.value)


def test_only_a_few_tracks_are_decoded_ahead(tracks):
    before = set(threading.enumerate())
    taken = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield number, str(tracks[0])

    made, pool = make(["msd-musicnn-1"]), SessionPool(10**9)
    results = predict_all(endless(), made, pool, jobs=2)
    for number in range(3):
        assert next(results).key == number
    assert len(taken) < 3 + (pipeline.PREFETCH + 2) * 2 + 2
    results.close()
    assert set(threading.enumerate()) <= before


def test_recalled_tracks_do_not_wait_for_others(tracks, monkeypatch):
    monkeypatch.delattr(SessionPool, "check")
    found = TrackPredictions({}, 4.0, 0.5, {}, {})
    pairs = ((number, str(tracks[0])) for number in itertools.count())
    made, pool = make(["msd-musicnn-1"]), SessionPool(10**9)
    results = predict_all(pairs, made, pool, 2, recall=lambda *_: found)
    assert next(results).predictions is found
    results.close()


@pytest.mark.skipif(
    not hasattr(signal, "pthread_kill"),
    reason="no signals to single threads here",
)
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_stops_decoding(tracks, monkeypatch):
    started = threading.Event()

    def endless(source, _resampler):
        while True:
            yield np.zeros(16000, np.float32)
            started.set()

    monkeypatch.setattr("soundtags.audio.track.resampled_blocks", endless)
    monkeypatch.setattr(
        "soundtags.audio.features.open_seekable", lambda *_: nullcontext()
    )
    pairs = [(0, str(tracks[0]))]

    def interrupt():
        started.wait()
        # As the terminal does: the main thread is woken up.
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    made, pool = make(["msd-musicnn-1"]), SessionPool(10**9)
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        list(predict_all(pairs, made, pool, jobs=2))


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_keeps_what_is_finished(beet: Beet, tmp_path):
    if sys.platform == "win32":
        pytest.skip("Windows has no signal like Ctrl-C to send to a process")
    (tmp_path / "in").mkdir()
    for number in range(12):
        write_track(tmp_path / "in" / f"{number}.flac", f"T{number}", number)
    settings = {"auto": False, "engine": "numpy", "patches": 2, "jobs": 2}
    beet.configure(soundtags=settings)
    beet("import", "-A", tmp_path / "in")
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "beets", "soundtags"],
        env=beet.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    first = process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    lines = [line for line in [first, *rest.splitlines()] if "Artist -" in line]
    done = beet.ls("$title", "soundtags_plan::.")
    assert 1 <= len(lines) == len(done)
    assert f"{len(lines)} tagged, " in rest
    beet("soundtags")
    assert len(beet.ls("$title", "soundtags_plan::.")) == 12
