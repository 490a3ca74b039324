"""The option `engine`: which engine runs the graphs, in real processes."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.needs import needs_tensorflow
from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

RUN = f"""
import json, sys
import numpy as np
from pathlib import Path
from soundtags.errors import NoTensorFlow
from soundtags.inference.engine_choice import EngineChoice
from soundtags.inference.sessions import GraphSpec, SessionPool

said = []
choice = EngineChoice(sys.argv[1], said.append)
graph = Path({str(ROOT / "models" / "msd-musicnn-1.pb")!r})
spec = GraphSpec(graph, "model/Placeholder", ("model/Sigmoid",), 1)
shape = None
try:
    for _ in range(2):
        pool = SessionPool(10**9, choice)
        (values,) = pool.run(spec, np.ones((2, 187, 96), np.float32)).values()
        shape = values.shape
except NoTensorFlow as exc:
    said.append(f"error: {{exc}}")
print(json.dumps({{
    "shape": shape,
    "said": said,
    "engine": choice.expected.name,
    "loaded": sys.modules.get("tensorflow") is not None,
}}))
"""
MISSING = """
import sys
sys.modules["tensorflow"] = None
"""
NO_AVX = """
import numpy._core._multiarray_umath as numpy
numpy.__cpu_features__["AVX"] = False
"""
OLD = """
import logging
from types import SimpleNamespace
get_logger = logging.getLogger
compat = SimpleNamespace(v1=SimpleNamespace())
"""
UNSPEAKABLE = """
class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError
raise Unspeakable
"""
# What is wrong with TensorFlow: a module that says so, and what is said of it.
BROKEN = {
    "missing": ("sitecustomize", MISSING, "TensorFlow is not installed"),
    "broken": (
        "tensorflow",
        "raise TypeError('mixed')",
        "does not load: mixed",
    ),
    "empty": ("tensorflow", "", "has no attribute 'get_logger'"),
    "old": ("tensorflow", OLD, "does not load: 'types.SimpleNamespace' object"),
    "exiting": ("tensorflow", "raise SystemExit(7)", "does not load: 7"),
    "unspeakable": ("tensorflow", UNSPEAKABLE, "does not load: Unspeakable"),
    "without AVX": ("sitecustomize", NO_AVX, "a processor with AVX"),
}


def run(engine: str, folder: Path, module: str = "", content: str = ""):
    if module:
        (folder / f"{module}.py").write_text(content)
    done = subprocess.run(
        [sys.executable, "-c", RUN, engine],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@needs_tensorflow
def test_tensorflow_is_the_default(tmp_path):
    assert run("auto", tmp_path) == {
        "shape": [2, 50],
        "said": [],
        "engine": "tensorflow",
        "loaded": True,
    }


def test_numpy_needs_nothing_of_tensorflow(tmp_path):
    assert run("numpy", tmp_path) == {
        "shape": [2, 50],
        "said": [],
        "engine": "numpy",
        "loaded": False,
    }


@pytest.mark.parametrize("what", BROKEN)
def test_where_tensorflow_cannot_run_numpy_does(tmp_path, what):
    module, content, reason = BROKEN[what]
    if what == "without AVX" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("only on these processors, TensorFlow needs AVX")
    found = run("auto", tmp_path, module, content)
    assert found["shape"] == [2, 50]
    assert found["engine"] == "numpy"
    (line,) = found["said"]
    assert line.startswith("models run on NumPy: ")
    assert reason in line


@pytest.mark.parametrize("what", BROKEN)
def test_who_wants_tensorflow_is_told_why_it_cannot_run(tmp_path, what):
    module, content, reason = BROKEN[what]
    if what == "without AVX" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("only on these processors, TensorFlow needs AVX")
    found = run("tensorflow", tmp_path, module, content)
    assert found["shape"] is None
    (line,) = found["said"]
    assert line.startswith("error: TensorFlow")
    assert reason in line
