"""What is built carries the models, and finds them from anywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from support.paths import ROOT

EMBEDDED = ["msd-musicnn-1", "msd-vgg-1", "mtt-musicnn-1", "mtt-vgg-1"]
DATA = [
    "soundtags/collection/ready_made/party.yaml",
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
    len(catalogue.published()), len(catalogue.estimates()),
    str(catalogue.data_folder()),
]))
"""


BUILD = [sys.executable, "-m", "build"]
VARIABLE = "SOUNDTAGS_DISTRIBUTION"
FULL, LITE = "beets-soundtags", "beets-soundtags-lite"


@pytest.fixture(scope="module", params=[FULL, LITE])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def built(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an sdist in a copy of the checkout, and the wheel from it.

    The sdist itself knows which distribution it is.
    """
    folder = tmp_path_factory.mktemp("built")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
    copy = shutil.copytree(ROOT, folder / "copy", ignore=ignored)
    run([*BUILD, "--sdist", "-o", folder / "dist", copy], {VARIABLE: name})
    (sdist,) = (folder / "dist").iterdir()
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.glob("beets_*")
    run([*BUILD, "--wheel", "-o", folder / "dist", source], {VARIABLE: FULL})
    return folder / "dist"


def run(words: list[str | Path], variables: dict[str, str]) -> None:
    environment = {**os.environ, **variables}
    subprocess.run(words, env=environment, check=True, capture_output=True)


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
    models, published, estimates, where = installed_from(folder)
    assert models == EMBEDDED
    assert published >= 100
    assert estimates >= 10
    assert Path(where).is_relative_to(folder)


@pytest.mark.slow
def test_wheel(built: Path, name: str, tmp_path: Path):
    (wheel,) = built.glob("*.whl")
    assert wheel.name.startswith(f"{name.replace('-', '_')}-")
    assert wheel.stat().st_size < 15 * 2**20
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
        names = archive.namelist()
        (path,) = (n for n in names if n.endswith("/METADATA"))
        page = archive.read(path).decode()
    assert "/docs/installing.rst>" in page
    assert "<docs/" not in page  # an index has no such folder
    assert ":: docs/" not in page
    assert "beetsplug/__init__.py" not in names  # other plugins live there
    for path in DATA:
        assert path in names, path
    assert any(each.endswith("licenses/NOTICE") for each in names)
    check(tmp_path)


@pytest.mark.slow
def test_requirements(built: Path, name: str):
    (wheel,) = built.glob("*.whl")
    found = wheel_requirements(wheel)
    assert {"beets", "numpy", "av", "protobuf"} <= found.keys()
    heavy = {"tensorflow", "resampy", "soundfile", "soxr", "numba"}
    if name == LITE:
        assert not heavy & found.keys()
        return
    needed = found["tensorflow"]
    assert needed.evaluate(place("linux", "x86_64", "3.13"))
    assert needed.evaluate(place("darwin", "arm64", "3.10"))
    assert needed.evaluate(place("win32", "AMD64", "3.12"))
    assert not needed.evaluate(place("linux", "x86_64", "3.14"))
    assert not needed.evaluate(place("darwin", "x86_64", "3.12"))
    assert not needed.evaluate(place("win32", "ARM64", "3.12"))
    assert not needed.evaluate(place("linux", "armv7l", "3.12"))


def wheel_requirements(wheel: Path) -> dict[str, Marker | None]:
    """Return what a wheel requires without extras, and where."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (n for n in archive.namelist() if n.endswith("/METADATA"))
        metadata = message_from_bytes(archive.read(path))
    found = map(Requirement, metadata.get_all("Requires-Dist"))
    return {
        each.name: each.marker
        for each in found
        if "extra ==" not in str(each.marker)
    }


def place(system: str, machine: str, python: str) -> dict[str, str]:
    return {
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": python,
    }


@pytest.mark.slow
def test_sdist(built: Path, tmp_path: Path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    for path in ("NOTICE", "LICENSE", "models/build.py", "README.rst"):
        assert (folder / path).exists(), path
    check(folder)


def test_checkout():
    # Also what an editable install leads to.
    check(ROOT)
