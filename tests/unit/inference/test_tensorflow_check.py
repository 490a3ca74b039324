"""A TensorFlow that ends the process that loads it ends none of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

RUN = """
import json, os, sys
from pathlib import Path
from soundtags.errors import NoTensorFlow
from soundtags.inference.engine_choice import EngineChoice
from soundtags.inference.tensorflow_check import LoadingCheck

said = []
choice = EngineChoice(sys.argv[1], said.append, LoadingCheck(Path("kept")))
try:
    for _ in range(2):
        choice.load()
except NoTensorFlow as exc:
    said.append(f"error: {exc}")
print(json.dumps([os.getpid(), choice.expected.name, said]))
"""
# Stands in for TensorFlow, and says which processes load it.
FAKE = """
import os
with open("loaded", "a") as file:
    file.write(f"{os.getpid()}\\n")
"""
ENDS = {
    "os.abort()": "crashes (SIGABRT)",
    "os._exit(0)": "crashes (status 0)",
}


class Home:
    """A folder with a TensorFlow, and what is kept about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = folder / "kept"

    def install(self, content: str) -> None:
        (self.folder / "tensorflow.py").write_text(FAKE + content)

    def run(self, engine: str = "auto") -> tuple[str, list[str], list[bool]]:
        """Load an engine in a new process.

        Return its name, what is said, and for each process in which the
        stand-in was loaded, whether it is the one that asked.
        """
        done = subprocess.run(
            [sys.executable, "-c", RUN, engine],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(self.folder), *sys.path]),
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        pid, name, said = json.loads(done.stdout.splitlines()[-1])
        loaded = self.folder / "loaded"
        pids = loaded.read_text().split() if loaded.exists() else []
        loaded.unlink(missing_ok=True)
        return name, said, [int(each) == pid for each in pids]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize("end", ENDS)
def test_numpy_stands_in_for_what_would_end_the_process(home: Home, end: str):
    home.install(end)
    told = f"TensorFlow {ENDS[end]} when it is loaded"
    assert home.run() == (
        "numpy",
        [f"models run on NumPy: {told}"],
        [False],
    )


def test_who_has_stopped_the_process_may_not_do_it_again(home: Home):
    home.install("os.kill(os.getpid(), 9)")
    _, (line,), _ = home.run("tensorflow")
    assert line.startswith("error: TensorFlow is stopped from outside")
    assert not home.kept.exists()


def test_a_crash_is_found_out_once_for_each_tensorflow(home: Home):
    home.install("os.abort()")
    name, said, _ = home.run()
    assert home.run() == (name, said, [])
    kept = json.loads(home.kept.read_bytes())
    kept["loading"]["versions"][0] = "0.1"
    home.kept.write_text(json.dumps(kept))
    assert home.run() == (name, said, [False])


def test_what_is_no_crash_is_left_to_those_who_load_it(home: Home):
    home.install("raise ImportError('mixed')")
    name, (line,), loaded = home.run()
    assert name == "numpy"
    assert "does not load: mixed" in line
    assert loaded == [False, True]
    assert home.run() == (name, [line], [True])


def test_nothing_is_tried_for_numpy(home: Home):
    home.install("os.abort()")
    assert home.run("numpy") == ("numpy", [], [])
    assert not home.kept.exists()


@pytest.mark.parametrize("content", [b'{"loading": 1}', None])
def test_where_nothing_is_kept_it_is_found_out_again(
    home: Home, content: bytes | None
):
    home.install("os.abort()")
    if content is None:
        home.kept.mkdir()
    else:
        home.kept.write_bytes(content)
    name, _, loaded = home.run()
    assert name == "numpy"
    assert loaded == [False]
