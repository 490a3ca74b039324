"""The analysis beside the outputs of the reference implementation."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from soundtags.audio.decoding import decode
from soundtags.audio.mel import mel_bands
from soundtags.audio.patches import FRONT_ENDS, cut_patches, patch_starts
from soundtags.audio.resampling import resample
from soundtags.inference.predict import graph_spec, plan_nodes, predict
from soundtags.inference.sessions import SessionPool
from soundtags.models import installed, metadata, plan
from soundtags.models.settings import Settings

OURS = ["msd-musicnn-1"]
THEIRS = [
    "danceability-musicnn-msd-2",
    "danceability-musicnn-mtt-2",
    "voice_instrumental-musicnn-msd-2",
    "genre_rosamerica-musicnn-msd-2",
    "mood_happy-musicnn-msd-2",
    "genre_dortmund_musicnn_msd",
    "danceability-msd-musicnn-1",
    "mood_happy-msd-musicnn-1",
    "voice_instrumental-msd-musicnn-1",
]
# An untrained VGGish of the classifiers' shape, which comes without metadata.
VGGISH = "small_vggish_init"
VGGISH_METADATA = {
    "classes": ["one", "other"],
    "schema": {
        "inputs": [{"name": "model/Placeholder"}],
        "outputs": [{"name": "model/Sigmoid", "output_purpose": "predictions"}],
    },
    "inference": {"algorithm": "TensorflowPredictVGGish"},
}
TRACKS = [
    "ambient.ogg",
    "blues.ogg",
    "chiptune.ogg",
    "folk_celtic.ogg",
    "hip_hop.mp3",
    "jazz.ogg",
    "metal_female_vocals.ogg",
    "orchestral.ogg",
    "pop_female_vocals_11s.mp3",
    "speech_female_8khz.wav",
]
# Whole files take long. These have all formats and rates.
WHOLE = [
    "chiptune.ogg",
    "hip_hop.mp3",
    "metal_female_vocals.ogg",
    "pop_female_vocals_11s.mp3",
    "speech_female_8khz.wav",
]
# Classifiers take longer, so they are checked on the shortest track only.
SHORTEST = "pop_female_vocals_11s.mp3"


@pytest.fixture(scope="module")
def pool():
    made = SessionPool(2 * 10**9)
    yield made
    made.close()


@pytest.fixture(scope="module")
def all_models(shared, tmp_path_factory) -> plan.Plan:
    folder = tmp_path_factory.mktemp("models")
    for file in (shared / "models").glob("*.*"):
        (folder / file.name).symlink_to(file)
    (folder / f"{VGGISH}.json").write_text(json.dumps(VGGISH_METADATA))
    return plan.make_plan([*OURS, *THEIRS, VGGISH], folder, Settings(), print)


@pytest.fixture(scope="module")
def tagger() -> plan.Plan:
    return plan.make_plan(OURS, Path("none"), Settings(), print)


def reference_of(shared: Path, track: str) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "reference" / f"{Path(track).stem}.npz"))


def run(
    signal: np.ndarray,
    models: plan.Plan,
    pool: SessionPool,
    most: int | None = None,
):
    patches = {}
    for name in models.front_ends:
        kind = FRONT_ENDS[name]
        bands = mel_bands(signal, kind.mel)
        starts = patch_starts(len(bands), kind, most)
        patches[name] = cut_patches(bands, kind, starts)
    (outputs,) = predict([patches], plan_nodes(models), pool)
    return {model.id: outputs.activations(model) for model in models.models}


@pytest.mark.parametrize("track", TRACKS)
def test_same_samples_give_the_same_activations(
    shared, track, all_models, pool
):
    reference = reference_of(shared, track)
    # The first ten seconds hold five whole patches: 626 frames, but the last
    # frame is padded here while the reference's goes on. Of VGGish's shorter
    # ones they hold ten.
    head = reference["samples_head"]
    for name, values in run(head, all_models, pool).items():
        assert len(values) == (10 if name == VGGISH else 5)
        difference = np.abs(values - reference[name][: len(values)]).max()
        assert difference <= 1e-4, name


@pytest.mark.parametrize("track", TRACKS)
def test_heads_agree_on_the_same_embedding(shared, track, all_models, pool):
    reference = reference_of(shared, track)
    (backbone,) = all_models.backbones
    heads = all_models.heads(backbone)
    assert len(heads) == 3
    for head in heads:
        (values,) = pool.run(
            graph_spec(head, plan_nodes(all_models)[head]),
            reference["embedding"],
        ).values()
        assert np.abs(values - reference[head.id]).max() <= 1e-4, head.id


@pytest.mark.parametrize("track", WHOLE)
def test_files_give_the_same_track_means(
    shared, track, tagger, all_models, pool
):
    reference = reference_of(shared, track)
    models = all_models if track == SHORTEST else tagger
    path = os.fspath(shared / "audio" / "music" / track)
    ours = run(resample(decode(path)), models, pool)
    for name, values in ours.items():
        theirs = reference[name].mean(axis=0)
        mine = values.mean(axis=0)
        assert len(values) == len(reference[name])
        assert np.abs(mine - theirs).max() <= 0.005, name
        second, first = np.sort(theirs)[-2:]
        if first - second > 0.01:
            assert mine.argmax() == theirs.argmax(), name


def test_our_graph_has_the_tags_that_upstream_lists(shared):
    # By position: a different order would call every track wrong names.
    embedded = installed.graphs(Path("none"))
    upstream = {
        "msd-musicnn-1": shared / "models" / "msd-musicnn-1.json",
        "mtt-musicnn-1": shared / "models" / "metadata" / "mtt-musicnn-1.json",
    }
    for name, path in upstream.items():
        ours = installed.read_model(embedded[name])
        listed = metadata.read(path).classes
        assert ours.metadata.classes == listed
        vgg = installed.read_model(embedded[name.replace("musicnn", "vgg")])
        assert vgg.metadata.classes == listed


def test_vgg_agrees_with_musicnn_about_real_music(shared, pool):
    # No reference output of the VGGs is at hand. Trained on the same tags,
    # they must rank them alike; with the pools of the other VGG, the MSD one
    # comes to 0.69 on this track.
    names = ["msd-musicnn-1", "msd-vgg-1", "mtt-musicnn-1", "mtt-vgg-1"]
    models = plan.make_plan(names, Path("none"), Settings(), print)
    path = os.fspath(shared / "audio" / "music" / "folk_celtic.ogg")
    values = run(resample(decode(path)), models, pool, most=32)
    means = {name: value.mean(axis=0) for name, value in values.items()}
    for dataset in ("msd", "mtt"):
        pair = [means[f"{dataset}-musicnn-1"], means[f"{dataset}-vgg-1"]]
        assert np.corrcoef(pair)[0, 1] > 0.9
