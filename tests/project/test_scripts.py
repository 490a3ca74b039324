"""Every benchmark and trial runs, through all its stages, on a small input."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.audio import noise, write_track
from support.browser import find_browser
from support.models import write_model
from support.needs import needs_tensorflow
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

HEADS = ["moods_mirex-msd-musicnn-1", "mood_happy-msd-musicnn-1"]
CLASSIFIER = "mood_happy-musicnn-msd-2"


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two short tracks."""
    folder = tmp_path_factory.mktemp("music")
    for number, name in enumerate(("rock", "jazz")):
        write_track(folder / f"{name}.flac", name, number)
    return folder


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with stand-ins for two heads."""
    folder = tmp_path_factory.mktemp("heads")
    for name in HEADS:
        facts = catalogue.published()[name].metadata
        write_standin(
            folder / f"{name}.pb",
            facts.algorithm,
            dict(facts.outputs),
            len(facts.classes),
            facts.backbone,
            facts.input,
        )
    return folder


def test_every_script_is_run_here():
    text = Path(__file__).read_text(encoding="utf-8")
    scripts = [
        path
        for folder in ("benchmarks", "trials")
        for path in (ROOT / folder).glob("*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    ]
    assert scripts
    names = {path.relative_to(ROOT).as_posix() for path in scripts}
    assert {name for name in names if f'"{name}"' not in text} == set()


@pytest.mark.parametrize(
    ("script", "options", "expected"),
    [
        (
            "benchmarks/cluster_overhead.py",
            ["--rounds=1", "--copies=1", "--jobs=1", "--engine=numpy"],
            r"ratio \d+\.\d+ +same\n",
        ),
        (
            "benchmarks/cluster_simulation.py",
            ["--tracks=10"],
            r"with tags: .+\n.+\n +1 .+\n(.+\n)+ +1000 ",
        ),
        ("benchmarks/footprint.py", ["--pairs=1"], "all patches: [1-9]"),
        ("benchmarks/proof.py", ["--rounds=1"], r"takes \d+\.\d% of it all"),
        ("benchmarks/readers.py", ["--rounds=1", "--jobs=1"], "2 files, jobs"),
        pytest.param(
            "benchmarks/pressure.py",
            ["--classifiers", CLASSIFIER],
            "2 tracks, 1 models, .+\n.+ 1 loads, .+\n.+ 1 loads,",
            marks=[needs_tensorflow],
        ),
        ("trials/kills.py", ["--times=2", "--full=2"], "2 runs, .+; 2 files"),
    ],
)
def test_scripts_that_take_music(script, options, expected, music):
    assert re.search(expected, run_script(script, music, *options))


@pytest.mark.parametrize(
    ("script", "options", "expected"),
    [
        ("benchmarks/big_library.py", ["--items=24", "--runs=1"], "one stale"),
        (
            "benchmarks/cluster_queue.py",
            ["--tracks=10", "--workers=1"],
            "\n10 tagged, 0 .+, 0 failed",
        ),
        ("trials/fuzz.py", ["--files=10"], "10 files of"),
    ],
)
def test_scripts_that_make_their_music(script, options, expected):
    assert re.search(expected, run_script(script, *options))


def test_everything():
    options = ["--hours=0.02", "--jobs=1"]
    output = run_script("trials/everything.py", *options, decoders=True)
    assert "\npipe: not a regular file\n" in output
    assert "\nquiet music: tagged\n" in output


def test_imports():
    ways = [
        "hardlink, autotag, threaded, not written",
        "incremental",
        "killed and resumed, not threaded",
        "duplicates, merge, as-is",
        "reimport, autotag",
        "reimport of files without our tags",
        "modify, write, update, move",
        "plugins, smartplaylist after ours, as-is",
    ]
    if find_spec("pylast"):
        ways.append("plugins, lastgenre before ours, autotag")
    if find_spec("acoustid"):
        ways.append("plugins, chroma after ours, as-is")
    output = run_script("trials/imports.py", f"^({'|'.join(ways)})$")
    count = f"{len(ways)} ways, 0 of them not as they should be"
    assert output.endswith(f"{count}\n")


def test_edits():
    output = run_script("trials/edits.py", "--runs=1", "--steps=6")
    assert output.endswith("1 runs of 6 steps, 0 with losses\n")


@pytest.mark.parametrize(
    ("script", "options", "models", "expected"),
    [
        (
            "trials/power_cut.py",
            ["^music on", "--times=1"],
            False,
            r"after 1 cuts: [0-3]/[0-3]\n|skipped: ",
        ),
        (
            "trials/sharing.py",
            ["reading .+ a while|two runs", "--timeout=0.2"],
            False,
            "a while: 3 tagged, .+\ntwo runs at a time: .+\n2 .+, 0 wrong",
        ),
        pytest.param(
            "trials/hostile_models.py",
            ["odd-nan|bad-empty|good", "--engine=numpy"],
            True,
            "2 bad models, 1 good .+\n(.+: ok, .+\n)+11 commands, 0 wrong",
            marks=[needs_tensorflow],
        ),
        pytest.param(
            "trials/fetches.py",
            ["of one model$"],
            False,
            "six of one model: 1 fetched in 1 requests",
            marks=[needs_tensorflow],
        ),
    ],
)
def test_situations(script, options, models, expected):
    output = run_script(script, *options, models=models)
    assert re.search(expected, output), output


def test_no_file_is_harmed(music):
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg here to decode with")
    output = run_script(
        "trials/harmless.py", music, "--limit=1", "--modes=copy"
    )
    assert output.endswith("no file was harmed\n")


def test_no_damaged_file_is_harmed(music):
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg here to decode with")
    output = run_script("trials/fuzz_tags.py", music, "--files=10")
    assert "10 files of 2" in output
    assert output.endswith("no file was harmed\n")


def test_a_long_run(music, tmp_path):
    mixed = shutil.copytree(music, tmp_path / "music")
    soundfile.write(mixed / "untagged.wav", noise(), 44100)
    options = ["--tracks=10"]
    if find_spec("matplotlib"):
        options.append(f"--plot={tmp_path / 'plot.png'}")
    output = run_script("benchmarks/long_run.py", mixed, *options)
    assert "10 of 10 tracks" in output
    assert len(list(tmp_path.iterdir())) == len(options)


def test_the_report_in_a_browser():
    if find_browser() is None:
        pytest.skip("no Chromium here")
    output = run_script("benchmarks/report.py", "--items=24", "--runs=1")
    assert "the mouse" in output


@needs_tensorflow
def test_one_model_through_beet(music):
    output = run_script(
        "benchmarks/every_model.py", music / "rock.flac", "--only=fs_loop_ds"
    )
    assert "1 models, 0 failed" in output


@needs_tensorflow
def test_layers_of_one_model():
    graph = ROOT / "models" / "msd-musicnn-1.pb"
    output = run_script("benchmarks/layers.py", graph, "--rounds=4")
    for name in ("as it is", "folded", "in NumPy", "all that multiply"):
        assert name in output


def test_figures_go_to_a_folder_with_the_name_of_the_processor(tmp_path):
    script = "benchmarks/figures.py"
    assert "accuracy: 0." in run_script(script, tmp_path, tmp_path, "accura")
    (file,) = tmp_path.iterdir()
    name, blank, *table = file.read_text(encoding="utf-8").splitlines()
    assert re.search(r"\d cores", name)
    assert not blank
    assert len(table) > 10


def test_one_import(music):
    output = run_script(
        "benchmarks/one_import.py", music / "rock.flac", "--rounds=1"
    )
    assert re.search(r"numpy +\d+\.\d s .+\nratio \d+\.\d+\n", output)


def test_heads_on_a_backbone(music, heads):
    output = run_script(
        "benchmarks/heads.py",
        music / "rock.flac",
        f"--models={heads}",
        "--rounds=1",
    )
    assert "with 15 heads (2 real)" in output


def test_few_patches_beside_all(music, heads):
    output = run_script(
        "benchmarks/patch_counts.py", music, f"--models={heads}", "--scores"
    )
    assert "classifiers: 2 models, 2 tracks" in output
    assert "  mood_happy " in output
    # These tracks are so short that few patches are all patches.
    flips = re.findall(r"(\d+) of [1-9]\d*: ", output)
    assert len(flips) > 2
    assert set(flips) == {"0"}


def test_labels_from_features(tmp_path):
    rng = np.random.default_rng(0)
    tags = rng.uniform(0, 0.3, (2, 3, 50)).astype(np.float32)
    names = ["one", "two", "three"]
    np.savez(tmp_path / "a.npz", id=names, msd_tags=tags[0], mtt_tags=tags[1])
    np.savez(tmp_path / "other.npz", numbers=[1, 2])
    out = tmp_path / "labels.tsv"
    script = "benchmarks/label_predictions.py"
    assert "3 tracks" in run_script(script, tmp_path, out)
    with out.open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["id"] for row in rows] == names
    asked = {"genres", "mood", "voice_instrumental", "mood_happy", "speech"}
    assert asked <= rows[0].keys()
    assert all(0 <= float(row["voice"]) <= 1 for row in rows)


def test_labels_of_tracks_beside_those_of_before(music, tmp_path):
    out = tmp_path / "labels.tsv"
    script = "benchmarks/label_table.py"
    alone = run_script(script, music, out)
    assert "->" not in alone
    beside = run_script(script, music, tmp_path / "2.tsv", f"--before={out}")
    scores = re.findall(r"(\d\.\d\d) -> (\d\.\d\d)", beside)
    assert len(scores) > 10
    assert all(before == now for before, now in scores)


def test_words_from_labels(tmp_path):
    rng = np.random.default_rng(0)
    count = 80
    words = ("techno", "folk", "orchestral", "metal")
    names = [f"t{number}" for number in range(count)]
    groups = [f"g{number // 2}" for number in range(count)]
    features = {
        **{f"{n}_classes": ["one", "two"] for n in ("msd", "mtt")},
        **{f"{n}_tags": rng.random((count, 2)) for n in ("msd", "mtt")},
        **{f"{n}_emb": rng.normal(size=(count, 9)) for n in ("msd", "mtt")},
        "id": names,
    }
    emotions = ["calmness", "power", "joyful_activation", "sadness", "tension"]
    np.savez(tmp_path / "tracks.npz", **features)
    np.savez(
        tmp_path / "emotify.npz",
        group=groups,
        genre=["rock", "pop"] * (count // 2),
        emotions=emotions,
        share=rng.random((count, len(emotions))),
        **features,
    )
    with (tmp_path / "tracks.tsv").open("w", encoding="utf8") as file:
        print("id", "group", "bucket", "voice", sep="\t", file=file)
        for number, name in enumerate(names):
            kind = words[number // 2 % len(words)]
            print(name, groups[number], kind, "voice", sep="\t", file=file)
    output = run_script("benchmarks/teaching.py", tmp_path, "--rounds=1")
    assert re.search(r"techno, 10 examples +[\d.]+ ", output)
    assert re.search(r"mean, 10 examples +[\d.]+ ", output)


def test_ours_beside_rivals(music, tmp_path):
    write_model(tmp_path, CLASSIFIER, ["happy", "non_happy"], [1.0, -1.0])
    options = [f"--models={tmp_path}", "--rounds=1", "--gauge=0", "--only"]
    # Some for each stage, and two that make a ratio.
    options += [
        "product",
        "MusiCNN",
        "default plan",
        "fifteen heads",
    ]
    output = run_script("benchmarks/rivals.py", music, *options)
    assert "2 tracks, 0.1 minutes, 1 rounds" in output
    assert "share of matrix products" in output
    assert "ours, default plan, NumPy / ours, default plan" in output
    assert "2 tracks, 0.1 minutes, once" in output
    assert "With start, 1 rounds" in output
    assert re.search("mel and patches .+\n(.+\n)*scores .+\ntogether", output)


@pytest.mark.parametrize(
    ("module", "script", "asked"),
    [
        (
            "numpy",
            "benchmarks/rival_ours.py",
            {
                "task": "stages",
                "options": {"which": "backbone", "models": ""},
            },
        ),
        (
            "essentia",
            "benchmarks/rival_essentia.py",
            {"task": "extractor", "options": {}},
        ),
        (
            "vibenet",
            "benchmarks/rival_vibenet.py",
            {"task": "seven", "options": {}},
        ),
    ],
)
def test_children_of_rivals(module, script, asked, music):
    if not find_spec(module):
        pytest.skip(f"needs {module}")
    request = {**asked, "files": [str(music / "rock.flac")]}
    answer = json.loads(run_script(script, stdin=json.dumps(request)))
    assert "error" not in answer
    assert answer["seconds"] > 0


def test_the_way_to_three_playlists(shared):
    if not os.environ.get("SOUNDTAGS_DOWNLOADS"):
        pytest.skip("downloads all packages: set SOUNDTAGS_DOWNLOADS")
    output = run_script("benchmarks/newcomer.py", shared / "audio" / "music")
    assert output.count("[playing] #1/") == 3 or "\nNot played: " in output


def test_wheels_for_other_platforms():
    if not shutil.which("uv"):
        pytest.skip("needs uv")
    if not os.environ.get("SOUNDTAGS_DOWNLOADS"):
        pytest.skip("asks a package index: set SOUNDTAGS_DOWNLOADS")
    options = ["--platform=x86_64-unknown-linux-musl", "--python=3.14"]
    output = run_script("trials/wheels.py", *options)
    assert re.search(r"-lite .+ yes +\d+ wheels, +\d+ MB\n", output)


def test_workers_that_share_nothing_but_a_mount(music):
    if not os.environ.get("SOUNDTAGS_NAMESPACES"):
        pytest.skip("needs root and namespaces: set SOUNDTAGS_NAMESPACES")
    output = run_script("trials/cluster_mounts.py", music, models=True)
    assert "both workers: the same" in output
    assert "one of them killed: the same" in output


@pytest.mark.parametrize(
    "script",
    [
        "benchmarks/newcomer.py",
        "docs/estimates.py",
        "docs/soundreport.py",
        pytest.param("models/build.py", marks=[needs_tensorflow]),
        "models/collect.py",
        "models/fit.py",
        "models/speech.py",
        "trials/cluster_mounts.py",
        "trials/installs.py",
        "trials/wheels.py",
    ],
)
def test_scripts_that_need_more_than_is_here_begin(script):
    assert "usage:" in run_script(script, "--help")
