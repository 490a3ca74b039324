"""Features without libsndfile: those that there are with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from support.audio import MADE

from soundtags.audio import sndfile
from soundtags.audio.features import FeatureSpec, features
from soundtags.audio.patches import FRONT_ENDS
from soundtags.errors import UnreadableAudio

if TYPE_CHECKING:
    from pathlib import Path

PATCHES = [4, None]
# In the logarithm of mel bands. Decoders of lossy formats round in other ways,
# which shows where a band is almost empty.
LOSSY = {".mp3": 2e-3, ".ogg": 2e-3, ".opus": 2e-3}
LOSSLESS, MEAN = 1e-6, 1e-5
SALVAGES = int(av.__version__.split(".")[0]) >= 18  # what is damaged


def patches_of(path: Path, patches: int | None) -> dict[str, np.ndarray]:
    spec = FeatureSpec([*FRONT_ENDS], patches, "sinc")
    chunks = list(features(str(path), spec))
    return {
        name: np.concatenate([each.patches[name] for each in chunks])
        for name in FRONT_ENDS
    }


def compare(path: Path, patches: int | None, monkeypatch) -> None:
    """Compare the patches of a file, read in both ways."""
    expected = patches_of(path, patches)
    with monkeypatch.context() as patched:
        patched.setattr(sndfile, "installed", lambda: False)
        found = patches_of(path, patches)
    tolerance = LOSSY.get(path.suffix, LOSSLESS)
    for name, values in expected.items():
        assert found[name].shape == values.shape, path.name
        difference = np.abs(found[name] - values)
        assert difference.max() <= tolerance, path.name
        assert difference.mean() <= MEAN, path.name


@pytest.mark.parametrize("patches", PATCHES)
@pytest.mark.parametrize("name", MADE)
def test_of_every_format(tmp_path, name, patches, monkeypatch):
    path = tmp_path / f"a.{name}"
    MADE[name](path)
    compare(path, patches, monkeypatch)


@pytest.mark.parametrize("patches", PATCHES)
def test_of_real_files(shared, patches, monkeypatch):
    for path in sorted((shared / "audio" / "formats").iterdir()):
        if SALVAGES or path.suffix != ".ape":
            compare(path, patches, monkeypatch)


def test_of_real_music(shared, monkeypatch):
    for path in sorted((shared / "audio" / "music").iterdir()):
        compare(path, 16, monkeypatch)


def is_readable(path: Path) -> bool:
    try:
        patches_of(path, 4)
    except UnreadableAudio:
        return False
    return True


@pytest.mark.filterwarnings("error")
@pytest.mark.skipif(not SALVAGES, reason="PyAV 18 can salvage more of them")
def test_damaged_files_are_read_by_both_or_by_neither(shared, monkeypatch):
    paths = sorted((shared / "audio" / "bad").iterdir())
    expected = {path.name: is_readable(path) for path in paths}
    monkeypatch.setattr(sndfile, "installed", lambda: False)
    assert {path.name: is_readable(path) for path in paths} == expected
