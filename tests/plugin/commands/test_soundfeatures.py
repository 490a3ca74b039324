"""The command `beet soundfeatures`: latent features as arrays."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.audio import copy_into, noise, write_track
from support.beet import Beet
from support.standins import write_standin

from soundtags.models import catalogue


def configure(beet: Beet) -> None:
    beet.configure(soundtags={"auto": False, "patches": "all"})


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Beet:
    """A library of two tracks of four seconds."""
    folder = tmp_path_factory.mktemp("in")
    for seed, title in enumerate("ab"):
        write_track(folder / f"{title}.flac", title, seed)
    beet = Beet(tmp_path_factory.mktemp("beets"))
    configure(beet)
    beet("import", "-A", folder)
    return beet


@pytest.fixture
def library(beet: Beet, imported: Beet) -> Beet:
    """A copy of that library."""
    beet.begin_with(imported)
    configure(beet)
    return beet


def exported(beet: Beet, *args: str) -> dict[str, np.ndarray]:
    path = beet.folder / "features.npz"
    beet("soundfeatures", "-o", path, *args)
    with np.load(path) as file:
        return dict(file)


@pytest.mark.models
def test_the_embedding_of_every_patch_by_default(library: Beet):
    data = exported(library)
    ids = data["ids"].tolist()
    assert [str(number) for number in ids] == library.ls("$id")
    assert data["paths"].tolist() == library.ls("$path")
    assert set(data) == {
        "ids",
        "paths",
        *(f"features/{number}" for number in ids),
        *(f"times/{number}" for number in ids),
    }
    for number in ids:
        # 4 s are 251 frames: a patch of 187 has room for one.
        assert data[f"features/{number}"].shape == (1, 200)
        assert data[f"times/{number}"].tolist() == [0]
    first, second = (data[f"features/{number}"] for number in ids)
    assert not np.allclose(first, second)


def test_times_are_when_patches_begin(library: Beet, tmp_path: Path):
    long = np.concatenate([noise(seed=seed) for seed in range(5)])
    soundfile.write(tmp_path / "long.flac", long, 44100)
    library("import", "-A", copy_into(tmp_path / "in2", tmp_path / "long.flac"))
    data = exported(library, "length:10..")
    (number,) = data["ids"]
    # 20 s are 1251 frames of 16 ms, and patches begin every 93.
    times = np.arange(12) * 93 * 0.016
    assert data[f"times/{number}"] == pytest.approx(times)
    assert data[f"features/{number}"].shape == (12, 200)

    mean = exported(library, "--mean", "length:10..")[f"features/{number}"]
    assert mean.shape == (1, 200)
    expected = data[f"features/{number}"].mean(axis=0)
    assert mean[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.models
def test_any_layer_that_the_metadata_names(library: Beet):
    layers = catalogue.published()["mtt-musicnn-1"].metadata.outputs
    sizes = {"model/Sigmoid": 50, "model/dense_1/BiasAdd": 50}
    for layer, _purpose in layers:
        data = exported(library, "-m", "mtt-musicnn-1", "-l", layer, "title:a")
        (number,) = data["ids"]
        found = data[f"features/{number}"]
        assert found.shape == (1, sizes.get(layer, 200))
    # Without an embedding, it is the layer before the activations.
    data = exported(library, "-m", "msd-vgg-1", "title:a")
    assert data[f"features/{number}"].shape == (1, 50)
    assert data[f"features/{number}"].min() < 0  # logits


@pytest.mark.models
def test_layers_of_heads_start_from_the_embedding(library: Beet):
    name = "danceability-msd-musicnn-1"
    facts = catalogue.published()[name].metadata
    folder = library.folder / "soundtags-models"
    folder.mkdir()
    write_standin(
        folder / f"{name}.pb",
        facts.algorithm,
        dict(facts.outputs),
        2,
        facts.backbone,
    )
    data = exported(library, "-m", name, "title:a")
    (number,) = data["ids"]
    assert data[f"features/{number}"].shape == (1, 100)
    data = exported(library, "-m", name, "-l", "model/Softmax", "title:a")
    assert data[f"features/{number}"].sum() == pytest.approx(1, abs=1e-5)


def test_bad_files_are_left_out(library: Beet):
    (item,) = library.items("title:a")
    Path(item["path"]).write_bytes(b"no music")
    path = library.folder / "features.npz"
    done = library("soundfeatures", "-o", path)
    assert os.path.basename(item["path"]) in done.stderr
    assert done.stdout.startswith("1 track,")
    with np.load(path) as file:
        assert len(file["ids"]) == 1


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ([], "-o FILE"),
        (["-o", "x.npz", "-m", "nonsense"], "no model nonsense here"),
        (
            ["-o", "x.npz", "-l", "nonsense"],
            "no layer nonsense; it has: model/Sigmoid, model/dense_1/BiasAdd",
        ),
        (["-o", "x.npz", "title:nonsense"], "no track matches"),
        (["-o", "not/there/x.npz"], "not/there/x.npz: No such file"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_left(
    library: Beet, args, reason, tmp_path: Path
):
    before = sorted(tmp_path.rglob("*"))
    done = library("soundfeatures", *args, status=1, cwd=tmp_path)
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_an_older_export_stays_until_the_new_one_is_complete(library: Beet):
    path = library.folder / "features.npz"
    path.write_bytes(b"older")
    library("soundfeatures", "-o", path, "title:nonsense", status=1)
    assert path.read_bytes() == b"older"
    library("soundfeatures", "-o", path)
    assert path.read_bytes() != b"older"
