"""The catalogue agrees with the announcement, upstream's metadata, itself."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

import pytest
from support.paths import ROOT

from soundtags.audio.patches import FRONT_ENDS
from soundtags.errors import UnusableModel
from soundtags.models import catalogue, metadata

ROW = re.compile(
    r"^\| *(?P<source>\S+) *\| *(?P<task>\S+) *\| *(?P<parameters>\S+) *"
    r"\| *(?P<figures>[\d. |]+?) *\| \[.*\]\((?P<url>.*)\) *\|$",
    re.MULTILINE,
)
BASE = "https://essentia.upf.edu/models/"


@pytest.fixture(scope="module")
def announced(shared) -> list[re.Match]:
    (file,) = (shared / "seed").iterdir()
    return list(ROW.finditer(file.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def collect() -> Any:
    """The script that collects the catalogue."""
    spec = importlib.util.spec_from_file_location(
        "collect", ROOT / "models" / "collect.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["collect"] = module
    spec.loader.exec_module(module)
    return module


def by_path(path: str) -> catalogue.Published:
    (model,) = (
        model
        for model in catalogue.published().values()
        if path in [file.path for file in model.files]
    )
    return model


def test_every_row_of_the_announcement_is_there(announced):
    assert len(announced) == 49
    found = set()
    for row in announced:
        path = row["url"].removeprefix(BASE)
        model = by_path(path)
        found.add(model.id)
        # The announcement's folder is the last to try, and its name an alias.
        assert model.files[-1].path == path
        assert catalogue.names()[PurePosixPath(path).stem] == model.id
        figures = [float(each) for each in row["figures"].split("|")]
        parameters, *published = model.announced.values()
        assert parameters == row["parameters"]
        assert published == figures, model.id
        if len(figures) == 1:
            assert model.target == row["task"]
            source = row["source"].lower()
            assert model.family == source
        else:
            assert model.target == row["task"].lower()
            assert row["source"].lower() in model.id
    assert found == set(catalogue.groups()["announcement"])
    assert len(found) == 49


def test_groups_have_the_models_that_they_should():
    groups = {name: len(ids) for name, ids in catalogue.groups().items()}
    assert groups["announcement"] == 49
    assert groups["auto-taggers"] == 4
    for family in ("musicnn-msd", "musicnn-mtt", "vggish-audioset"):
        assert groups[family] == 15
    assert groups["heads"] == sum(
        groups[family]
        for family in ("msd-musicnn", "audioset-vggish", "discogs-effnet")
    )
    assert groups["feature-extractors"] == 2
    assert groups["mood_happy"] == 6


def test_entries_agree_with_upstreams_metadata(shared):
    folder = shared / "models" / "metadata"
    compared = 0
    for model in catalogue.published().values():
        path = folder / f"{model.id}.json"
        if not path.exists():
            assert model.id in ("msd-vgg-1", "mtt-vgg-1")
            continue
        compared += 1
        content = json.loads(path.read_text(encoding="utf-8"))
        assert list(model.metadata.classes) == list(content["classes"])
        schema = content["schema"]
        assert model.metadata.input == schema["inputs"][0]["name"]
        assert dict(model.metadata.outputs) == {
            output["name"]: output["output_purpose"]
            for output in schema["outputs"]
        }
        inference = content["inference"]
        assert model.metadata.algorithm == inference["algorithm"]
        backbone = inference.get("embedding_model", {}).get("model_name")
        assert model.metadata.backbone == backbone
        assert content["link"] == BASE + model.files[0].path
    assert compared == len(catalogue.published()) - 2


def test_all_heads_of_upstream_on_our_backbones_are_there(shared):
    backbones = {"msd-musicnn-1", "audioset-vggish-3", "discogs-effnet-bs64-1"}
    listed = set()
    for path in (shared / "models" / "metadata").glob("*.json"):
        facts = metadata.read(path)
        if facts.backbone in backbones:
            listed.add(path.stem)
    assert listed == set(catalogue.groups()["heads"])


def test_known_digests_are_in_the_catalogue(shared):
    known = {}
    for line in (shared / "models" / "SHA256SUMS").read_text().splitlines():
        sha256, name = line.split()
        known[name] = sha256, (shared / "models" / name).stat().st_size
    compared = 0
    for model in catalogue.published().values():
        for file in model.files:
            name = PurePosixPath(file.path).name
            if name in known:
                compared += 1
                assert (file.sha256, file.size) == known[name]
    assert compared >= len(known)


def test_collecting_again_gives_the_same_files(shared, collect, monkeypatch):
    kept = {
        name: (ROOT / "models" / name).read_bytes()
        for name in ("catalogue.json", "allowed_operations.json")
    }
    written = {}
    monkeypatch.setattr(
        type(ROOT), "write_text", lambda p, text, **_: written.update({p: text})
    )
    monkeypatch.setattr(sys, "argv", ["collect.py"])
    collect.main()
    assert {p.name: text.encode() for p, text in written.items()} == kept


def test_classes_are_in_the_order_that_was_corrected():
    # Older metadata and the announcement have these the other way round.
    for target, classes in {
        "mood_party": ("non_party", "party"),
        "mood_relaxed": ("non_relaxed", "relaxed"),
        "mood_sad": ("non_sad", "sad"),
        "tonal_atonal": ("atonal", "tonal"),
        "voice_instrumental": ("instrumental", "voice"),
    }.items():
        for name in catalogue.groups()[target]:
            assert catalogue.published()[name].metadata.classes == classes


def test_every_entry_can_be_used():
    targets = catalogue.targets()
    names = Counter(
        name
        for model in catalogue.published().values()
        for name in (model.id, *model.aliases)
    )
    assert max(names.values()) == 1
    for model in catalogue.published().values():
        facts = model.metadata
        assert model.licence == (
            "ISC" if model.family == "auto-taggers" else "CC BY-NC-SA 4.0"
        )
        if model.target:
            assert set(targets[model.target].classes) == set(facts.classes)
            assert facts.predictions
        else:
            assert facts.embedding
        if facts.backbone:
            backbone = catalogue.published()[facts.backbone].metadata
            assert backbone.embedding
            assert backbone.algorithm in FRONT_ENDS
        else:
            assert facts.algorithm in FRONT_ENDS
        for _, figure in facts.metrics:
            assert 0 <= figure <= 1, model.id
        for file in model.files:
            path = PurePosixPath(file.path)
            assert path.suffix == ".pb"
            assert not path.is_absolute()
            assert ".." not in path.parts


def test_targets_read_well():
    for target in catalogue.targets().values():
        assert (target.positive is None) == (target.kind != catalogue.SCORE)
        for name in target.classes.values():
            assert name.strip() == name
            assert "_" not in name
    assert catalogue.targets()["genre_rosamerica"].classes["rhy"] == (
        "rhythm and blues"
    )
    assert catalogue.targets()["genre_dortmund"].classes["folkcountr"] == (
        "folk and country"
    )


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"classes": "", "schema": {}, "inference": {}},
        {"classes": [1], "schema": {"inputs": [], "outputs": []}},
        {
            "classes": [],
            "schema": {"inputs": [{"name": ["x"]}], "outputs": []},
            "inference": {"algorithm": "TensorflowPredictMusiCNN"},
        },
        {
            "classes": ["a"],
            "schema": {"inputs": [{"name": "x"}], "outputs": "y"},
            "inference": {"algorithm": "TensorflowPredictMusiCNN"},
        },
        {
            "classes": ["a"],
            "schema": {"inputs": [{"name": "x"}], "outputs": []},
            "inference": {"algorithm": "TensorflowPredict2D"},
        },
    ],
)
def test_other_metadata_is_refused_in_one_line(content):
    with pytest.raises(UnusableModel, match="not in the form upstream publ"):
        metadata.parse(content)


def test_figures_in_percent_and_in_words_are_made_comparable():
    def figures(**metrics: Any) -> list[float]:
        content = {
            "classes": ["a"],
            "schema": {"inputs": [{"name": "x"}], "outputs": []},
            "inference": {"algorithm": "A"},
            "dataset": {"metrics": metrics},
        }
        return [figure for _, figure in metadata.parse(content).metrics]

    assert figures(accuracy=0.93) == [0.93]
    assert figures(accuracy=83.5) == [0.835]
    assert figures(accuracy="NA") == []
    assert figures(arousal={"CCC": 0.6, "R^2": 589}) == [0.6]
