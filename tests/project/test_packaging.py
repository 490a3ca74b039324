"""What is built carries the models, and finds them from anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from support.paths import ROOT

EMBEDDED = ["msd-musicnn-1", "msd-vgg-1", "mtt-musicnn-1", "mtt-vgg-1"]
DATA = [
    "soundtags/audio/band_edge_gain.csv",
    "soundtags/collection/report/report.html",
    "soundtags/collection/report/report.css",
    "soundtags/collection/report/report.js",
    "soundtags/models/data/catalogue.json",
    "soundtags/py.typed",
]
FIND = """
import json, pathlib
from soundtags.models import catalogue, installed
print(json.dumps([
    sorted(installed.graphs(pathlib.Path("none"))),
    len(catalogue.published()), len(catalogue.rules()),
    str(catalogue.data_folder()),
]))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from it, in a copy of the checkout."""
    folder = tmp_path_factory.mktemp("built")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
    copy = shutil.copytree(ROOT, folder / "copy", ignore=ignored)
    subprocess.run(
        [sys.executable, "-m", "build", "-o", folder / "dist", copy],
        check=True,
        capture_output=True,
    )
    return folder / "dist"


def installed_from(folder: Path) -> list:
    """Ask a fresh interpreter what a copy of the package finds."""
    done = subprocess.run(
        [sys.executable, "-c", FIND],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def check(folder: Path) -> None:
    models, published, rules, where = installed_from(folder)
    assert models == EMBEDDED
    assert published >= 100
    assert rules >= 10
    assert Path(where).is_relative_to(folder)


@pytest.mark.slow
def test_wheel(built: Path, tmp_path: Path):
    (wheel,) = built.glob("*.whl")
    assert wheel.stat().st_size < 15 * 2**20
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
        names = archive.namelist()
    assert "beetsplug/__init__.py" not in names  # other plugins live there
    for name in DATA:
        assert name in names, name
    assert any(name.endswith("licenses/NOTICE") for name in names)
    check(tmp_path)


@pytest.mark.slow
def test_sdist(built: Path, tmp_path: Path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    for name in ("NOTICE", "LICENSE", "models/build.py", "README.rst"):
        assert (folder / name).exists(), name
    check(folder)


def test_checkout():
    # Also what an editable install leads to.
    check(ROOT)
