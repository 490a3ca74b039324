"""Models are found, read, chosen and run."""

from __future__ import annotations

import os
import re
import shutil
import threading

import confuse
import numpy as np
import pytest
from support.models import NOWHERE, CountingLoader, make, write_model

from beetsplug.soundtags import configuration
from soundtags.audio.mel import mel_bands
from soundtags.errors import UnknownModel, UnusableModel
from soundtags.inference.pipeline import predict_all
from soundtags.inference.predict import plan_nodes, predict
from soundtags.inference.sessions import GraphSpec, SessionPool
from soundtags.labelling.labels import label
from soundtags.labelling.scores import model_means, target_means
from soundtags.models import catalogue, installed, plan
from soundtags.models.settings import Settings
from soundtags.text import printable

EMBEDDED = ["msd-musicnn-1", "msd-vgg-1", "mtt-musicnn-1", "mtt-vgg-1"]
MUSICNN = "TensorflowPredictMusiCNN"


def patches(count: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.gamma(1.5, 0.9, (count, 187, 96)).astype(np.float32)


def activations(
    rows: np.ndarray, made: plan.Plan, pool: SessionPool
) -> dict[str, np.ndarray]:
    """Run a plan of MusiCNN models over the patches of one track."""
    (outputs,) = predict([{MUSICNN: rows}], plan_nodes(made), pool)
    return {model.id: outputs.activations(model) for model in made.models}


def test_the_four_embedded_taggers_run():
    assert sorted(installed.graphs(NOWHERE)) == EMBEDDED
    values = activations(patches(5), make(EMBEDDED), SessionPool(10**9))
    for name in EMBEDDED:
        assert values[name].shape == (5, 50)
        assert 0 < values[name].min() < values[name].max() < 1


def test_names_of_the_announcement_work_too():
    by_alias = make(["MSD_musicnn_frozen_small", "MTT_vgg_frozen_small"])
    assert [m.id for m in by_alias.models] == ["msd-musicnn-1", "mtt-vgg-1"]


def test_activations_of_a_patch_do_not_depend_on_its_batch():
    pool, models = SessionPool(10**9), make(["msd-musicnn-1"])
    many = activations(patches(9), models, pool)["msd-musicnn-1"]
    for index, patch in enumerate(patches(9)):
        one = activations(patch[None], models, pool)["msd-musicnn-1"]
        assert many[index] == pytest.approx(one[0], abs=1e-5)


def test_graphs_are_upstreams(shared):
    theirs = shared / "models" / "msd-musicnn-1.pb"
    ours = installed.graphs(NOWHERE)["msd-musicnn-1"]
    pool = SessionPool(10**9)
    nodes = ("model/Sigmoid", "model/dense_1/BiasAdd", "model/dense/BiasAdd")
    mine, reference = (
        pool.run(GraphSpec(graph, "model/Placeholder", nodes), patches(8))
        for graph in (ours, theirs)
    )
    for node in nodes:
        limit = 1e-5 * max(1, np.abs(reference[node]).max())
        assert np.abs(mine[node] - reference[node]).max() <= limit


def test_classes_are_in_the_order_of_the_metadata(tmp_path):
    # 0.88 for the second class, which is the positive one.
    write_model(tmp_path, "x", ["non_party", "party"], [-2.0, 2.0])
    made = make(["x"], tmp_path)
    values = activations(patches(), made, SessionPool(10**9))
    pooled = {name: values[name].mean(axis=0) for name in values}
    means = target_means(model_means(pooled, made.models), made.models)
    fields = label(means, {}, made.targets, made.settings)
    assert fields["mood_party"] == pytest.approx(0.8808, abs=1e-4)
    assert fields["mood"] == ["party"]


def test_auto_takes_heads_first_then_the_best_accuracy(tmp_path):
    happy, sad = ["happy", "non_happy"], ["non_sad", "sad"]
    write_model(tmp_path, "happy-a", happy, [0, 0], accuracy=0.7)
    write_model(tmp_path, "happy-b", happy, [0, 0], accuracy=0.9)
    write_model(tmp_path, "sad-a", sad, [0, 0], accuracy=0.9)
    write_model(tmp_path, "sad-b", sad, [0, 0], "msd-musicnn-1", 0.8)
    made = make(None, tmp_path)
    assert {m.target: m.id for m in made.models} == {
        "msd": "msd-musicnn-1",
        "mtt": "mtt-musicnn-1",
        "mood_happy": "happy-b",
        "mood_sad": "sad-b",
    }
    assert [m.id for m in made.backbones] == ["msd-musicnn-1"]


def test_auto_leaves_out_what_the_estimates_outdo(tmp_path):
    voice = ["instrumental", "voice"]
    outdone = "voice_instrumental-msd-musicnn-1"
    write_model(tmp_path, outdone, voice, [0, 0], "msd-musicnn-1", 0.98)
    assert outdone not in {m.id for m in make(None, tmp_path).models}
    assert [m.id for m in make([outdone], tmp_path).models] == [outdone]
    write_model(tmp_path, "voice-other", voice, [0, 0], accuracy=0.5)
    assert "voice-other" in {m.id for m in make(None, tmp_path).models}


def test_other_estimates_make_another_plan(tmp_path, monkeypatch):
    before = make(None, tmp_path / "none").digest
    data = tmp_path / "data"
    shutil.copytree(catalogue.data_folder(), data)
    estimates = data / "estimates.json"
    estimates.write_text(estimates.read_text().replace("0.01", "0.02"))
    monkeypatch.setattr(catalogue, "data_folder", lambda: data)
    assert make(None, tmp_path / "none").digest != before


def test_heads_run_on_the_backbones_embedding(shared):
    name = "danceability-msd-musicnn-1"
    made = make([name], shared / "models")
    values = activations(patches(3), made, SessionPool(10**9))
    assert list(values) == [name]
    assert values[name].sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)


def test_unusable_models_are_left_out_with_a_warning(tmp_path):
    write_model(tmp_path, "b", ["happy", "non_happy"], [0, 0], "missing-1")
    (tmp_path / "c.pb").write_bytes(b"")
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "d.pb").write_bytes(b"")
    (tmp_path / "d.json").write_text('{"classes": []}')
    (tmp_path / "e.pb").write_bytes(b"")
    (tmp_path / "e.json").write_text('"' + 2_000_000 * "x" + '"')
    other = write_model(tmp_path, "f", ["happy", "non_happy"], [0, 0])
    other = other.with_suffix(".json")
    other.write_text(other.read_text().replace("PredictMusiCNN", "PredictX"))
    (tmp_path / "no-json.pb").write_bytes(b"")
    warnings: list[str] = []
    made = plan.make_plan(None, tmp_path, Settings(), warnings.append)
    assert [m.id for m in made.models] == ["msd-musicnn-1", "mtt-musicnn-1"]
    expected = [
        r"b: needs missing-1, which is not installed; get it: .*",
        r"c\.json: not JSON: .*",
        r"d\.json: not in the form upstream publishes: KeyError.*",
        r"e\.json: too large for metadata",
        r"f: needs the front end TensorflowPredictX, which is not supported",
    ]
    assert len(warnings) == len(expected)
    for pattern in expected:
        assert any(re.fullmatch(f"left out: {pattern}", s) for s in warnings), (
            warnings
        )


@pytest.mark.parametrize("kind", ["file", "pipe", "loop", "a\0b"])
def test_a_model_folder_that_is_none_is_named(tmp_path, kind):
    folder = tmp_path / kind
    if kind == "file":
        folder.touch()
    elif kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no FIFOs on this system")
        os.mkfifo(folder)
    elif kind == "loop":
        folder.symlink_to(folder)
    said: list[str] = []
    made = plan.make_plan(None, folder, Settings(), said.append)
    assert len(made.models) == 2
    (line,) = said
    assert line.endswith(f"{printable(kind)} is not a folder")
    with pytest.raises(
        UnknownModel, match="openl3 is not installed; model_dir: "
    ):
        installed.find(["openl3"], folder)


def test_unknown_and_unusable_models_are_named(tmp_path):
    with pytest.raises(
        UnknownModel, match=r"no model nonsense here.*msd-vgg-1"
    ):
        make(["nonsense"])
    path = write_model(tmp_path, "x", ["happy", "non_happy"], [0, 0])
    path.write_bytes(b"this is not a graph")
    with pytest.raises(UnusableModel, match=r"x\.pb: not a TensorFlow graph"):
        activations(patches(), make(["x"], tmp_path), SessionPool(10**9))


@pytest.mark.parametrize("what", ["model/Sigmoid", "model/Placeholder"])
def test_missing_nodes_are_named(tmp_path, what):
    path = write_model(tmp_path, "x", ["happy", "non_happy"], [0, 0])
    metadata = path.with_suffix(".json")
    metadata.write_text(metadata.read_text().replace(what, "model/Other"))
    with pytest.raises(UnusableModel, match=r"x\.pb: .*model/Other"):
        activations(patches(), make(["x"], tmp_path), SessionPool(10**9))


def test_the_digest_depends_on_models_and_settings(tmp_path):
    path = write_model(tmp_path, "x", ["happy", "non_happy"], [0, 0])
    digests = {
        make(["x"], tmp_path).digest,
        make(["msd-musicnn-1"], tmp_path).digest,
        make(["x", "msd-musicnn-1"], tmp_path).digest,
        plan.make_plan(["x"], tmp_path, Settings(patches=None), print).digest,
        plan.make_plan(
            ["x"], tmp_path, Settings(mood_threshold=0.6), print
        ).digest,
    }
    assert len(digests) == 5
    assert make(["x"], tmp_path).digest in digests
    os.utime(path, (0, 0))
    assert make(["x"], tmp_path).digest in digests
    write_model(tmp_path, "x", ["happy", "non_happy"], [0, 1])
    assert make(["x"], tmp_path).digest not in digests


def test_settings_default_to_what_the_configuration_does(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDTAGSTESTDIR", str(tmp_path))
    config = confuse.Configuration("soundtagstest", read=False)
    config.set(configuration.DEFAULTS)
    assert configuration.settings(config) == Settings()


def test_front_ends_and_backbones_run_once_per_track(
    tmp_path, monkeypatch, track
):
    happy, sad = ["happy", "non_happy"], ["non_sad", "sad"]
    party = ["non_party", "party"]
    for name, classes in {"a": happy, "b": sad, "c": party}.items():
        write_model(tmp_path, name, classes, [0, 1], "msd-musicnn-1")
    write_model(tmp_path, "d", happy, [0, 1])
    made = make([*"abcd", "msd-musicnn-1", "mtt-musicnn-1"], tmp_path)
    runs: list[str] = []
    mels: list[str] = []

    class Counting(SessionPool):
        def run(self, spec, rows, map_fn):
            runs.append(spec.graph.stem)
            return super().run(spec, rows, map_fn)

    def counted(signal, name):
        mels.append(name)
        return mel_bands(signal, name)

    monkeypatch.setattr("soundtags.audio.features.mel_bands", counted)
    (result,) = predict_all([(0, str(track))], made, Counting(10**9), 1)
    assert mels == ["TensorflowInputMusiCNN"]
    assert sorted(runs) == [*"abcd", "msd-musicnn-1", "mtt-musicnn-1"]
    assert result.unwrap().activations.keys() == {m.id for m in made.models}


def test_models_of_one_target_are_averaged(tmp_path):
    happy = ["happy", "non_happy"]
    write_model(tmp_path, "a", happy, [2, -2])
    write_model(tmp_path, "b", happy[::-1], [2, -2])
    made = make(["a", "b"], tmp_path)
    values = activations(patches(), made, SessionPool(10**9))
    pooled = {name: values[name].mean(axis=0) for name in values}
    means = target_means(model_means(pooled, made.models), made.models)
    assert means["mood_happy"] == {
        "happy": pytest.approx(0.5, abs=1e-6),
        "non_happy": pytest.approx(0.5, abs=1e-6),
    }


def test_wrong_numbers_of_classes_are_named(tmp_path):
    write_model(tmp_path, "x", ["happy", "non_happy"], [0, 0, 0])
    with pytest.raises(UnusableModel, match=r"x: gives .*3.* 2 classes"):
        activations(patches(), make(["x"], tmp_path), SessionPool(10**9))


def test_a_model_with_other_classes_for_a_target_is_left_out(tmp_path):
    write_model(tmp_path, "x-one-1", ["red", "green"], [0, 0])
    write_model(tmp_path, "x-two-1", ["blue", "green"], [0, 0])
    warnings: list[str] = []
    made = plan.make_plan(None, tmp_path, Settings(), warnings.append)
    assert "x-one-1" in [m.id for m in made.models]
    (line,) = warnings
    assert "x-two-1: another model gives soundtags_x other classes" in line


def test_feature_extractors_do_not_run_alone(tmp_path):
    write_model(tmp_path, "x", [], [0, 0])
    with pytest.raises(
        UnusableModel, match="predicts nothing by itself; use a h"
    ):
        make(["x"], tmp_path)
    made = make(None, tmp_path)
    assert "x" not in [m.id for m in made.models]


def test_threads_share_one_session_per_graph(tmp_path, monkeypatch):
    loader = CountingLoader(monkeypatch)
    write_model(tmp_path, "x", ["happy", "non_happy"], [0, 1])
    made, pool = make(["x"], tmp_path), SessionPool(10**9)
    results: list[np.ndarray] = []

    def work() -> None:
        results.append(activations(patches(9), made, pool)["x"])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(np.array_equal(result, results[0]) for result in results)
    assert loader.loaded == ["x"]


def test_beyond_the_memory_the_least_recently_used_closes(
    tmp_path, monkeypatch
):
    loader = CountingLoader(monkeypatch)
    classes = ["happy", "non_happy"]
    for name in "abc":
        write_model(tmp_path, name, classes, [0, 1], size=250_000)
    pool = SessionPool(2_500_000)  # two graphs of 1 MB, and some
    for name in "abacbaa":
        activations(patches(), make([name], tmp_path), pool)
    # c takes b's place, b takes a's, a takes c's.
    assert loader.loaded == ["a", "b", "c", "b", "a"]
    assert loader.closed == ["b", "a", "c"]
    pool.close()
    assert sorted(loader.closed[3:]) == ["a", "b"]


def test_one_session_larger_than_the_memory_still_runs(tmp_path):
    write_model(tmp_path, "x", ["happy", "non_happy"], [0, 1])
    values = activations(patches(), make(["x"], tmp_path), SessionPool(1))
    assert values["x"].shape == (2, 2)
