"""Benchmarks and trials run, with a small input, or are named as left out."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from support.audio import write_track
from support.browser import find_browser
from support.paths import ROOT
from support.scripts import run_script
from support.standins import write_standin

from soundtags.models import catalogue

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="scripts are for Linux"
    ),
]

# Parts of other scripts, what is not at hand, and what is still to do.
LEFT_OUT = {
    "benchmarks/cluster_queue.py": "has no smoke run yet",
    "benchmarks/heads.py": "has no smoke run yet",
    "benchmarks/long_run.py": "has no smoke run yet",
    "benchmarks/patch_counts.py": "has no smoke run yet",
    "benchmarks/readers.py": "has no smoke run yet",
    "trials/everything.py": "has no smoke run yet",
    "trials/imports.py": "has no smoke run yet",
    "trials/kills.py": "has no smoke run yet",
    "benchmarks/newcomer.py": "downloads all packages",
    "benchmarks/pressure.py": "writes 4.3 GB of models",
    "benchmarks/rival_child.py": "part of rivals.py",
    "benchmarks/rival_essentia.py": "needs essentia-tensorflow",
    "benchmarks/rival_vibenet.py": "needs vibenet",
    "benchmarks/tree_memory.py": "part of other scripts",
    "trials/cluster_mounts.py": "needs root, and namespaces",
}


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two short tracks."""
    folder = tmp_path_factory.mktemp("music")
    for number, name in enumerate(("rock", "jazz")):
        write_track(folder / f"{name}.flac", name, number)
    return folder


def test_every_script_is_tested_here_or_named():
    text = Path(__file__).read_text(encoding="utf-8")
    scripts = {
        path.relative_to(ROOT).as_posix()
        for name in ("benchmarks", "trials")
        for path in (ROOT / name).glob("*.py")
    }
    assert scripts >= LEFT_OUT.keys()
    assert {each for each in scripts if f'"{each}"' not in text} == set()


@pytest.mark.parametrize(
    ("script", "options", "expected"),
    [
        ("benchmarks/cluster_overhead.py", ["--copies=1", "--jobs=1"], "same"),
        ("benchmarks/cluster_simulation.py", ["--tracks=10"], "with tags"),
        ("benchmarks/footprint.py", ["--pairs=1"], "all patches"),
    ],
)
def test_scripts_that_take_music(script, options, expected, music):
    if "overhead" in script:
        options = [*options, "--rounds=1"]
    assert expected in run_script(script, music, *options)


@pytest.mark.parametrize(
    ("script", "options", "expected"),
    [
        ("benchmarks/big_library.py", ["--items=24", "--runs=1"], "one stale"),
        ("trials/fuzz.py", ["--files=20"], "20 files of"),
    ],
)
def test_scripts_that_make_their_music(script, options, expected):
    assert expected in run_script(script, *options)


def test_the_report_in_a_browser():
    if find_browser() is None:
        pytest.skip("no Chromium here")
    run_script("benchmarks/report.py", "--items=24", "--runs=1")


def test_one_model_through_beet(music):
    said = run_script(
        "benchmarks/every_model.py", music / "rock.flac", "--only=fs_loop_ds"
    )
    assert "1 models, 0 failed" in said


def test_layers_of_one_model():
    graph = ROOT / "models" / "msd-vgg-1.pb"
    said = run_script("benchmarks/layers.py", graph, "--rounds=4")
    assert "all that multiply" in said


def test_rules_beside_classifiers(music, tmp_path):
    for name in ("moods_mirex-msd-musicnn-1", "mood_happy-msd-musicnn-1"):
        facts = catalogue.published()[name].metadata
        write_standin(
            tmp_path / f"{name}.pb",
            facts.algorithm,
            dict(facts.outputs),
            len(facts.classes),
            facts.backbone,
            facts.input,
        )
    said = run_script("benchmarks/rule_agreement.py", tmp_path, music)
    assert re.search("mood_happy +classifiers", said)
    assert "genres by the rules" in said


def test_ours_beside_rivals(music, tmp_path):
    (tmp_path / "mood_happy-musicnn-msd-2.pb").touch()  # is not run
    options = ["--models", tmp_path, "--rounds=1", "--only", "ours, default"]
    said = run_script("benchmarks/rivals.py", music, *options)
    assert "2 tracks, 0.1 minutes, 1 rounds" in said


def test_the_child_that_is_ours(music, tmp_path):
    options = {"which": "backbone", "models": str(tmp_path)}
    request = {
        "task": "stages",
        "options": options,
        "files": [str(music / "rock.flac")],
    }
    said = run_script("benchmarks/rival_ours.py", stdin=json.dumps(request))
    stages = json.loads(said)["stages"]
    assert {"decode", "resample", "mel and patches", "scores"} <= stages.keys()


@pytest.mark.parametrize(
    "script",
    [
        "benchmarks/newcomer.py",
        "benchmarks/pressure.py",
        "models/build.py",
        "models/collect.py",
    ],
)
def test_scripts_that_need_more_than_is_here(script):
    assert "usage:" in run_script(script, "--help")


def test_workers_that_share_nothing_but_a_mount(music):
    if not os.environ.get("SOUNDTAGS_NAMESPACES"):
        pytest.skip("needs root and namespaces: set SOUNDTAGS_NAMESPACES")
    run_script("trials/cluster_mounts.py", music)
