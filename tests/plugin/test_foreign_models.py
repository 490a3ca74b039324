"""Models from anywhere: whatever they are, beet works and the others run."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import hostile
from support.audio import write_track
from support.models import write_metadata, write_model

if TYPE_CHECKING:
    from pathlib import Path

    from support.beet import Beet

BAD_GRAPHS = [
    "crash-recursion",
    "big-fill",
    "hang-tree",
    "odd-count",
    "odd-nan",
]
ESCAPE = "\x1b]0;owned\x07\x1b[2J"
COMMANDS = [
    ("ls",),
    ("fields",),
    ("soundtags",),
    ("soundtags", "-v", "-f", "-p"),
    ("soundtags", "--stats"),
    ("soundmodels",),
    ("soundmodels", "--json"),
    ("soundmodels", "info", "good-1"),
    ("soundmodels", "verify"),
    ("soundstore",),
    ("soundlike", "title:Title"),
    ("soundreport", "-o", "report.html"),
    ("soundtags", "--undo"),
]


def models(beet: Beet) -> Path:
    folder = beet.folder / "soundtags-models"
    folder.mkdir(exist_ok=True)
    return folder


def write_hostile(folder: Path) -> set[str]:
    """Fill a folder with bad models and a good one; return the bad ones."""
    for name in BAD_GRAPHS:
        build, _ = hostile.GRAPHS[name]
        hostile.write_graph(folder, name, build)
    broken = hostile.write_broken_metadata(folder)
    for name in ("plan-", "written-"):
        write_model(folder, name, [name, "other"], [0, 1])
    write_model(folder, f"bad{ESCAPE}\nname-1", ["strange", "other"], [0, 1])
    write_model(folder, "bad-classes-1", [ESCAPE, "other"], [0, 1])
    write_model(folder, "good-1", ["red", "green"], [0, 1])
    odd = {"plan-", "written-", "bad?", "bad-classes-1"}
    return {*BAD_GRAPHS, *broken, *odd}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.models
@pytest.mark.slow
def test_every_command_works_with_bad_models_about(beet: Beet, track: Path):
    bad = write_hostile(models(beet))
    done = beet("import", "-A", track.parent)
    named = [
        line.split("left out: ")[1]
        for line in done.stderr.splitlines()
        if "left out: " in line
    ]
    assert len(named) == len(bad)
    for name in bad:
        assert sum(line.startswith(name) for line in named) == 1, name
    (item,) = beet.items()
    assert item["soundtags_good"] == "green"
    assert item["danceability"] >= 0
    assert "soundtags_odd" not in item
    for command in COMMANDS:
        done = beet(*command, cwd=beet.folder)
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert "owned\x07" not in done.stdout + done.stderr


@pytest.mark.models
@pytest.mark.slow
def test_a_model_that_is_named_says_why_it_cannot_run(beet: Beet, track: Path):
    build, _ = hostile.GRAPHS["crash-recursion"]
    hostile.write_graph(models(beet), "loop-1", build)
    beet("import", "-A", track.parent)
    for command in (
        ("soundtags", "-f", "-m", "loop-1"),
        ("soundfeatures", "-m", "loop-1", "-o", "features.npz"),
    ):
        done = beet(*command, cwd=beet.folder, status=1)
        (line,) = done.stderr.splitlines()
        assert "loop-1: the function loop calls itself" in line
    assert not (beet.folder / "features.npz").exists()


@pytest.mark.models
@pytest.mark.slow
def test_a_model_is_tried_once(beet: Beet, track: Path):
    write_model(models(beet), "good-1", ["red", "green"], [0, 1])
    first = beet("import", "-A", track.parent)
    kept = beet.folder / "soundtags-trials.json"
    assert kept.is_file()
    assert "left out" not in first.stderr
    before = kept.stat().st_mtime_ns
    again = beet("soundtags", "-f")
    assert "1 tagged" in again.stdout
    assert "trying" not in again.stderr
    assert kept.stat().st_mtime_ns == before


@pytest.mark.models
def test_embedded_models_need_no_trial(beet: Beet, track: Path):
    done = beet("import", "-A", track.parent)
    assert "trying" not in done.stderr
    assert not (beet.folder / "soundtags-trials.json").exists()


@pytest.mark.models
@pytest.mark.slow
def test_nothing_that_is_not_finite_is_stored(beet: Beet, tmp_path: Path):
    def build(fed, scores):
        tf = hostile.tensorflow()
        loud = tf.reduce_max(fed, axis=[1, 2]) > 0
        return tf.where(loud, scores * np.nan, scores)

    hostile.write_graph(models(beet), "moody-1", build, classes=["a", "b"])
    folder = tmp_path / "in"
    folder.mkdir()
    write_track(folder / "loud.flac", "Loud")
    done = beet("import", "-A", folder)
    assert "moody-1: gives values that are not finite" in done.stderr
    assert "loud.flac" in done.stderr
    (item,) = beet.items()
    assert item["title"] == "Loud"
    assert not any(name.startswith("soundtags_") for name in item)


NO_AVX = """
import numpy._core._multiarray_umath as numpy
numpy.__cpu_features__["AVX"] = False
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "content"),
    [
        ("tensorflow", "raise TypeError('descriptors cannot be created')"),
        ("tensorflow", "raise MemoryError"),
        ("tensorflow", "import os; os.abort()"),
        ("sitecustomize", NO_AVX),
    ],
    ids=["type", "memory", "abort", "avx"],
)
def test_imports_go_on_where_tensorflow_cannot_run(
    beet: Beet, track: Path, tmp_path: Path, module: str, content: str
):
    if content is NO_AVX and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("only on these processors, TensorFlow needs AVX")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / f"{module}.py").write_text(content)
    write_track(track.parent / "other.flac", "Other")
    before = {digest(path) for path in track.parent.iterdir()}
    environment = beet.environment()
    paths = [str(broken), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    beet.configure(soundtags={"engine": "tensorflow"})
    done = beet.fresh("import", "-A", track.parent, env=environment)
    assert done.stderr.count("importing without analysis: TensorFlow") == 1
    assert "Traceback" not in done.stderr
    items = beet.items()
    assert [item["title"] for item in items] == ["Other", "Title"]
    assert {digest_of(item["path"]) for item in items} == before


KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("raise TypeError('mixed')", "does not load: mixed"),
        (KILLED, "is stopped from outside (SIGKILL) when it is loaded"),
    ],
    ids=["type", "killed"],
)
def test_numpy_tries_and_runs_models_where_tensorflow_is_broken(
    beet: Beet, track: Path, tmp_path: Path, content: str, reason: str
):
    write_model(models(beet), "good-1", ["red", "green"], [0, 1])
    build, _ = hostile.GRAPHS["odd-nan"]
    hostile.write_graph(models(beet), "odd-1", build)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "tensorflow.py").write_text(content)
    environment = beet.environment()
    paths = [str(broken), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    done = beet.fresh("-v", "import", "-A", track.parent, env=environment)
    told = f"models run on NumPy: TensorFlow {reason}"
    assert done.stderr.count(told) == 1
    assert done.stderr.count("left out: odd-1: model/Sigmoid gives") == 1
    (item,) = beet.items()
    assert item["soundtags_good"] == "green"
    assert item["danceability"] is not None


def digest_of(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def test_names_from_outside_do_nothing_to_a_terminal(beet: Beet):
    path = models(beet) / f"x{ESCAPE}\n\x9b2Jy-1.pb"
    path.touch()
    write_metadata(path, ["red", "green"])
    orphan = models(beet) / "orphan-1.pb"
    orphan.touch()
    write_metadata(orphan, ["red", "green"], "base\u202e")
    for command in (
        ("list",),
        ("list", "--json"),
        ("verify",),
        ("remove", "orphan-1"),
    ):
        done = beet("soundmodels", *command)
        said = done.stdout + done.stderr
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(said)
        assert all(line.count("2Jy") <= 1 for line in said.splitlines())
    assert json.loads(beet("soundmodels", "--json").stdout)
