"""The Python API, on made-up audio, and beside the reference."""

from __future__ import annotations

import doctest
import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from support.paths import ROOT

import soundtags
from soundtags import errors

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "python.rst"
CLASSIFIER = "genre_rosamerica-musicnn-msd-2"  # of the page
MODULES = [
    "soundtags.api.analysis",
    "soundtags.api.audio",
    "soundtags.api.model",
]
BACKBONE = "msd-musicnn-1"
HEADS = [
    "danceability-msd-musicnn-1",
    "mood_happy-msd-musicnn-1",
    "voice_instrumental-msd-musicnn-1",
]
TRACKS = [
    "ambient.ogg",
    "jazz.ogg",
    "pop_female_vocals_11s.mp3",
    "speech_female_8khz.wav",
]
SHORTEST = TRACKS[2]  # whole files take long; `test_parity` has more of them


@pytest.fixture(scope="module")
def song(pieces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that examples read, in a folder of its own."""
    folder = tmp_path_factory.mktemp("examples")
    return shutil.copy(pieces / "techno.flac", folder / "song.flac")


@pytest.fixture(scope="module")
def audio(song: Path) -> np.ndarray:
    return soundtags.load(song)


@pytest.fixture(scope="module")
def model() -> soundtags.Model:
    return soundtags.Model(BACKBONE)


def noise(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    samples = 0.1 * rng.standard_normal(round(seconds * 16000))
    return samples.astype(np.float32)


def copy_backbone(path: Path) -> Path:
    """Copy the embedded model, and return the file with its metadata."""
    embedded = ROOT / "models" / f"{BACKBONE}.pb"
    shutil.copy(embedded, path)
    return shutil.copy(embedded.with_suffix(".json"), path.with_suffix(".json"))


def run_examples(text: str, name: str) -> doctest.TestResults:
    """Run the examples in a text, in the working folder."""
    test = doctest.DocTestParser().get_doctest(text, {}, name, name, 0)
    assert test.examples
    return doctest.DocTestRunner().run(test)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_right(name, song, monkeypatch):
    monkeypatch.chdir(song.parent)
    done = doctest.testmod(import_module(name))
    assert done.attempted
    assert not done.failed


def test_examples_of_the_page_are_right(song, monkeypatch):
    monkeypatch.chdir(song.parent)
    text = PAGE.read_text(encoding="utf-8")
    before, heading, rest = text.partition("Classification\n----")
    _, latent, after = rest.partition("Latent features\n----")
    assert heading
    assert latent
    assert not run_examples(before + after, PAGE.name).failed


def test_example_with_a_classifier_is_right(shared, song, monkeypatch):
    folder = song.parent / "soundtags-models"
    folder.mkdir(exist_ok=True)
    for ending in (".pb", ".json"):
        shutil.copy(shared / "models" / f"{CLASSIFIER}{ending}", folder)
    monkeypatch.chdir(song.parent)
    text = PAGE.read_text(encoding="utf-8")
    _, _, rest = text.partition("Classification\n----")
    section, _, _ = rest.partition("Latent features\n----")
    before = ">>> import soundtags\n>>> audio = soundtags.load('song.flac')\n\n"
    assert not run_examples(before + section, PAGE.name).failed


def test_the_picture_is_drawn(song, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "picture.png"
    script = ROOT / "docs" / "latent_features.py"
    subprocess.run([sys.executable, script, song, "-o", picture], check=True)
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import soundtags", "numpy"),
        ("import soundtags, soundtags.audio, soundtags.inference", "beets"),
        ("import soundtags; soundtags.analyse; soundtags.Model", "beets"),
        ("import soundtags; soundtags.analyse; soundtags.Model", "tensorflow"),
        ("import soundtags; soundtags.load", "soundtags.inference.sessions"),
    ],
)
def test_nothing_is_loaded_before_it_is_needed(code, loaded):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}; import sys; print({loaded!r} in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout == "False\n"


def test_names_are_listed_and_others_are_unknown():
    assert dir(soundtags) == sorted(soundtags.__all__)
    for name in soundtags.__all__:
        assert getattr(soundtags, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'portray'"):
        _ = soundtags.portray


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_file_is_loaded_whole(rate, tmp_path):
    path = tmp_path / "tone.wav"
    time = np.arange(21 * rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, np.stack([tone, tone], axis=1), rate, "FLOAT")
    for name in (path, str(path), os.fsencode(path)):
        audio = soundtags.load(name)
        assert audio.dtype == np.float32
        assert audio.shape == (21 * 16000,)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(audio)) / 16000)
    inside = slice(1000, -1000)
    assert np.abs(audio - expected)[inside].max() < 1e-3


def test_a_file_that_is_shorter_than_the_filter_is_loaded(tmp_path):
    path = tmp_path / "click.wav"
    soundfile.write(path, np.ones(100), 44100)
    assert len(soundtags.load(path)) == 36


def test_whatever_was_loaded_is_not_too_loud(tmp_path):
    path = tmp_path / "loud.wav"
    # The filter overshoots the most where each of its taps adds to the sum.
    signs = np.sign(np.sinc((np.arange(44100) - 22050) * 16000 / 44100))
    soundfile.write(path, 1e9 * signs, 44100, "FLOAT")
    audio = soundtags.load(path)
    assert np.abs(audio).max() > 100
    assert np.isfinite(soundtags.mel_bands(audio, "musicnn")).all()


@pytest.mark.parametrize("call", [soundtags.load, soundtags.analyse])
def test_files_that_cannot_be_read_are_named(call, tmp_path):
    with pytest.raises(errors.UnreadableAudio, match=r"nowhere\.wav: cannot"):
        call(tmp_path / "nowhere.wav")


@pytest.mark.parametrize("name", ["linear", ["sinc"], np.array(["sinc"])])
def test_an_unknown_resampler_is_refused(song, name):
    with pytest.raises(errors.ParameterError, match="'sinc', 'resampy'"):
        soundtags.load(song, resampler=name)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("musicnn", (188, 96)), ("effnet", (187, 96)), ("vggish", (299, 64))],
)
def test_mel_bands_have_a_frame_per_hop(kind, shape):
    bands = soundtags.mel_bands(noise(2.98), kind)
    assert bands.shape == shape
    assert bands.dtype == np.float32


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        ([0.0] * 16000, "must be a NumPy array, not list"),
        (np.zeros((16000, 2), np.float32), r"not \(16000, 2\)"),
        (np.zeros(16000, np.int16), "not int16"),
        (np.zeros(0, np.float32), "empty"),
        (np.full(16000, np.nan, np.float32), "NaN"),
        (np.full(16000, -1e30, np.float32), "it has samples beyond 1000"),
    ],
)
def test_audio_of_another_kind_is_refused(audio, message, model):
    with pytest.raises(errors.ParameterError, match=message):
        soundtags.mel_bands(audio, "musicnn")
    with pytest.raises(errors.ParameterError, match=message):
        model.predict(audio)


@pytest.mark.parametrize("kind", [["musicnn"], {}, b"musicnn", None])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(errors.ParameterError, match="unknown kind of mel"):
        soundtags.mel_bands(noise(1), kind)


def test_misuse_is_one_of_our_errors_and_a_value_error():
    with pytest.raises(errors.SoundtagsError, match="'effnet'"):
        soundtags.mel_bands(noise(1), "openl3")
    with pytest.raises(ValueError, match="'effnet'"):
        soundtags.mel_bands(noise(1), "openl3")


def test_audio_shorter_than_a_patch_is_refused(model):
    with pytest.raises(errors.ParameterError, match=r"0\.50 s.*takes 2\.98 s"):
        model.predict(noise(0.5))
    # 187 frames, the first one centred on sample 0.
    assert len(model.predict(noise(3)[: 185 * 256 + 1])) == 1
    with pytest.raises(errors.ParameterError, match="too short"):
        model.predict(noise(3)[: 185 * 256])


@pytest.mark.parametrize("name", [BACKBONE, "MSD_musicnn_frozen_small"])
def test_a_model_is_found_by_id_and_alias(name):
    model = soundtags.Model(name)
    assert model.id == BACKBONE
    assert len(model.classes) == 50
    assert repr(model) == f"<soundtags.Model {BACKBONE}>"


def test_any_node_can_be_asked_for(model):
    audio = noise(5)
    predictions = model.predict(audio)
    logits = model.predict(audio, output="model/dense_1/BiasAdd")
    embedding = model.predict(audio, output="embedding")
    assert predictions.shape == logits.shape == (2, 50)
    assert embedding.shape == (2, 200)
    assert np.allclose(predictions, 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_predictions_are_one_for_each_class(tmp_path):
    metadata = copy_backbone(tmp_path / "x.pb")
    content = json.loads(metadata.read_text())
    content["classes"].pop()
    metadata.write_text(json.dumps(content))
    model = soundtags.Model(tmp_path / "x.pb")
    for output in ("predictions", "model/Sigmoid"):
        with pytest.raises(errors.UnusableModel, match="for 49 classes"):
            model.predict(noise(3), output)
    assert model.predict(noise(3), "embedding").shape == (1, 200)


def test_outputs_that_a_model_lacks_are_named(model):
    with pytest.raises(errors.ParameterError, match="model/dense_1/BiasAdd"):
        model.predict(noise(3), output="model/dense_9/BiasAdd")
    for odd in (5, ["embedding"], b"embedding", None):
        with pytest.raises(errors.ParameterError, match="name of a node"):
            model.predict(noise(3), output=odd)
    vgg = soundtags.Model("msd-vgg-1")
    with pytest.raises(errors.ParameterError, match="has no embedding"):
        vgg.predict(noise(3), output="embedding")


@pytest.mark.parametrize("name", ["openl3", "danceability-musicnn-msd-2"])
def test_models_that_are_not_installed_are_unknown(name, tmp_path):
    for folder in (None, tmp_path):
        with pytest.raises(errors.UnknownModel, match=name):
            soundtags.Model(name, folder)


def test_a_path_to_nothing_is_refused(tmp_path):
    with pytest.raises(errors.UnusableModel, match="nothing"):
        soundtags.Model(tmp_path / "nothing.pb")


@pytest.mark.parametrize("ending", [".pb", ".json"])
def test_pipes_are_not_waited_for(ending, tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs on this system")
    copy_backbone(tmp_path / "x.pb")
    (tmp_path / f"x{ending}").unlink()
    os.mkfifo(tmp_path / f"x{ending}")
    with pytest.raises(
        errors.UnusableModel, match=rf"x\{ending}: not a regular file"
    ):
        soundtags.Model(tmp_path / "x.pb")


def test_top_classes_are_ranked_by_their_means(model):
    activations = np.zeros((2, 50), np.float32)
    activations[:, 3] = 0.25, 0.75
    activations[:, 7] = 0.5, 0.25
    top = model.top(activations, 2)
    assert top == [("indie", 0.5), ("00s", 0.375)]
    assert len(model.top(activations)) == 50


@pytest.mark.parametrize("shape", [(50,), (0, 50), (2, 49)])
def test_top_refuses_other_shapes(shape, model):
    with pytest.raises(errors.ParameterError, match=r"\(patches, 50\)"):
        model.top(np.zeros(shape))


@pytest.mark.parametrize("n", [0, -1, 2.5, "3", [1]])
def test_top_refuses_other_counts(n, model):
    with pytest.raises(errors.ParameterError, match="positive whole number"):
        model.top(np.zeros((2, 50)), n)
    assert len(model.top(np.zeros((2, 50)), np.int64(3))) == 3


@pytest.mark.parametrize(
    "activations", [np.full((2, 50), "x"), [[1.0], [1.0, 2.0]], "abc", {}]
)
def test_top_refuses_what_are_no_numbers(activations, model):
    with pytest.raises(errors.ParameterError, match="must be numbers"):
        model.top(activations)


def test_analysis_is_that_of_the_same_patches(song, audio, model):
    # 24 seconds have 15 patches, fewer than are taken by default.
    track = soundtags.analyse(song)
    means = dict(model.top(model.predict(audio)))
    for name, mean in track.predictions[BACKBONE].items():
        assert mean == pytest.approx(means[name], abs=0.002)
    assert track.fields["mood"] == track.moods
    assert track.fields["soundtags"] == track.tags
    assert track.scores["danceability"] == track.fields["danceability"]
    assert not {"soundtags_plan", "soundtags_input"} & track.fields.keys()


def test_silence_has_predictions_but_no_labels(tmp_path):
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(5 * 16000), 16000)
    track = soundtags.analyse(path)
    assert track.genres == track.moods == track.tags == []
    assert track.scores == {}
    assert track.predictions.keys() == {BACKBONE, "mtt-musicnn-1"}


@pytest.mark.parametrize("track", TRACKS)
def test_the_same_samples_agree_with_the_reference(shared, track, model):
    reference = np.load(shared / "reference" / f"{track.split('.')[0]}.npz")
    head = reference["samples_head"]
    for kind, tolerance in {"musicnn": 1e-4, "vggish": 3e-4}.items():
        # Where the last frames see zeros, the reference's go on.
        expected = reference[f"{kind}_mel_head"][:-3]
        bands = soundtags.mel_bands(head, kind)[: len(expected)]
        assert np.abs(bands - expected).max() <= tolerance
    for output, name in {
        "predictions": BACKBONE,
        "embedding": "embedding",
    }.items():
        values = model.predict(head, output)
        assert len(values) == 5
        difference = np.abs(values - reference[name][:5]).max()
        assert difference <= (1e-4 if output == "predictions" else 1e-3)


def test_the_means_of_a_file_agree_with_the_reference(shared):
    piece = SHORTEST.split(".")[0]
    reference = np.load(shared / "reference" / f"{piece}.npz")
    audio = soundtags.load(shared / "audio" / "music" / SHORTEST)
    for name in (BACKBONE, *HEADS):
        values = soundtags.Model(name, shared / "models").predict(audio)
        assert values.shape == reference[name].shape
        means = values.mean(axis=0) - reference[name].mean(axis=0)
        assert np.abs(means).max() <= 0.005, name


def test_a_head_by_its_path_finds_its_backbone(shared):
    head = soundtags.Model(shared / "models" / f"{HEADS[0]}.pb")
    assert head.classes == ("danceable", "not_danceable")
    assert head.predict(noise(3)).shape == (1, 2)
