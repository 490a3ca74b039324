"""The distribution with fewer dependencies, and both at once."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.audio import write_track
from support.beet import Beet

from soundtags.version import LITE, PACKAGE, is_lite

if TYPE_CHECKING:
    from pathlib import Path

# What the lite distribution does not install cannot be imported.
WITHOUT = """
import sys

HEAVY = {"tensorflow", "soundfile", "soxr", "resampy", "numba", "samplerate"}

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *args):
        hidden = name.partition(".")[0] in HEAVY
        return None if hidden else self.finder.find_spec(name, *args)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Hiding, sys.meta_path)
"""
ANALYSE = """
import soundtags
from soundtags.audio.features import FeatureSpec, features
audio = soundtags.load(sys.argv[1])
bands = soundtags.mel_bands(audio, "musicnn")
spec = FeatureSpec(["TensorflowPredictMusiCNN"], 2, "sinc")
(chunk,) = features(sys.argv[1], spec)
print(audio.shape, bands.shape, round(chunk.seconds))
"""
RESAMPY = """
import soundtags
from soundtags.errors import NoResampler
try:
    soundtags.load(sys.argv[1], resampler="resampy")
except NoResampler as error:
    print(error)
"""

WHERE_INSTALLED = """
import sys
from importlib import metadata

def version(name):
    if name != sys.argv[1]:
        raise metadata.PackageNotFoundError(name)
    return "0.1.0"

metadata.version = version
from soundtags.version import with_extra
print(with_extra("plot"))
"""


def without_heavy(code: str, path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + code, path],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("kind", ["flac", "mp3", "ogg"])
def test_features_need_none_of_the_heavy_packages(tmp_path, kind):
    path = write_track(tmp_path / f"a.{kind}")
    assert without_heavy(ANALYSE, path) == "(64000,) (251, 96) 4\n"


def test_what_a_resampler_needs_is_said(tmp_path):
    path = write_track(tmp_path / "a.flac")
    text = "resampler 'resampy' is not installed: pip install resampy\n"
    assert without_heavy(RESAMPY, path) == text


def pretend_to_install(folder: Path, *names: str) -> None:
    for name in names:
        info = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n"
        )


@pytest.mark.skipif(is_lite(), reason=f"needs {PACKAGE}")
@pytest.mark.parametrize(
    ("names", "said"), [([LITE, PACKAGE], 1), ([PACKAGE], 0)]
)
def test_both_at_once_are_mentioned_when_tracks_are_analysed(
    tmp_path, monkeypatch, names, said
):
    pretend_to_install(tmp_path, *names)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    beet = Beet.new(tmp_path / "beets")
    assert LITE not in beet("ls").stderr
    text = beet("soundtags", status=None).stderr
    assert text.count(f"pip uninstall {LITE}, then pip install") == said


@pytest.mark.parametrize("name", [PACKAGE, LITE])
def test_extras_are_those_of_what_is_installed(name):
    done = subprocess.run(
        [sys.executable, "-c", WHERE_INSTALLED, name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f'"{name}[plot]"\n'
