"""Metadata from anywhere: read as data, or refused in one line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.models import write_metadata

from soundtags.errors import UnusableModel
from soundtags.models import installed, metadata, plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

DEEP = 100_000
WRONG_VALUES: list[Any] = [
    None,
    7,
    True,
    "text",
    [],
    {},
    [None],
    [[]],
    {"x": {}},
    float("nan"),
    -float("inf"),
    10**400,
    "\x1b[2J",
    "\ud800",
    "x" * 1000,
]
PLACES = [
    ("classes",),
    ("classes", 0),
    ("dataset", "metrics"),
    ("dataset", "metrics", "accuracy"),
    ("schema",),
    ("schema", "inputs"),
    ("schema", "inputs", 0),
    ("schema", "inputs", 0, "name"),
    ("schema", "outputs"),
    ("schema", "outputs", 0),
    ("schema", "outputs", 0, "name"),
    ("schema", "outputs", 0, "output_purpose"),
    ("schema", "outputs", 0, "op"),
    ("inference",),
    ("inference", "algorithm"),
    ("inference", "embedding_model"),
    ("inference", "embedding_model", "model_name"),
    ("type",),
]


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """Metadata of a head, as upstream would publish it."""
    write_metadata(tmp_path / "x.pb", ["red", "green"], "msd-musicnn-1")
    content = json.loads((tmp_path / "x.json").read_text())
    content["type"] = "multi-class classifier"
    content["schema"]["outputs"][0]["op"] = "Softmax"
    return content


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_wrong_values_are_read_or_refused(tmp_path, content, place):
    for value in WRONG_VALUES:
        where = content
        for key in place[:-1]:
            where = where[key]
        before, where[place[-1]] = where[place[-1]], value
        path = tmp_path / "wrong.json"
        path.write_text(json.dumps(content))
        try:
            found = metadata.read(path)
        except UnusableModel as exc:
            line = str(exc)
            assert line.startswith("wrong.json: ")
            assert line.isprintable()
            assert len(line) < 200
        else:
            assert all(-1 <= figure <= 100 for _, figure in found.metrics)
            assert all(map(str.isprintable, found.classes))
        where[place[-1]] = before
    path.write_text(json.dumps(content))
    assert metadata.read(path).classes == ("red", "green")


@pytest.mark.parametrize(
    ("figure", "reason"),
    [
        ({}, "not enough values"),
        (10**400, "too large to convert"),
        (float("nan"), "nan is not a figure"),
        (1e300, "1e.300 is not a figure"),
        ([], "must be a string or a real number"),
        (None, "must be a string or a real number"),
    ],
)
def test_figures_that_are_none_are_refused(tmp_path, content, figure, reason):
    content["dataset"]["metrics"] = {"accuracy": figure}
    with pytest.raises(UnusableModel, match=reason):
        metadata.parse(content)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "not in the form upstream publishes"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * DEEP + b"]" * DEEP, "not JSON"),
        (b'{"a":' * DEEP + b"1" + b"}" * DEEP, "not JSON"),
        (b'{"classes": ' + b"9" * 5000 + b"}", "not JSON|not a list"),
        (b" " * 2_000_000, "too large for metadata"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_files_that_are_no_metadata_are_refused(tmp_path, written, reason):
    path = tmp_path / "x.json"
    path.write_bytes(written)
    with pytest.raises(UnusableModel, match=rf"^x\.json: {reason}"):
        metadata.read(path)


def test_enormous_files_are_not_read(tmp_path):
    path = tmp_path / "x.json"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(UnusableModel, match="too large for metadata"):
        metadata.read(path)
    graph = tmp_path / "y.pb"
    with graph.open("wb") as file:
        file.truncate(10**12)
    write_metadata(graph, ["red", "green"])
    with pytest.raises(UnusableModel, match="too large for a model"):
        installed.read_model(graph)


def test_two_classes_cannot_have_one_name(content):
    content["classes"] = ["red", "red"]
    with pytest.raises(
        UnusableModel, match="several classes have the same name"
    ):
        metadata.parse(content)


@pytest.mark.parametrize(
    ("name", "classes", "regression"),
    [
        ("plan-", ["red", "green"], False),
        ("input-x-1", ["red", "green"], False),
        ("written-", ["red", "green"], False),
        ("undo-before-1", ["red", "green"], False),
        ("Plan-x-1", ["red", "green"], False),
        ("x-1", ["a b", "a_b"], True),
    ],
)
def test_no_model_has_a_field_that_is_taken(
    tmp_path, name, classes, regression
):
    graph = tmp_path / f"{name}.pb"
    graph.touch()
    write_metadata(graph, classes)
    if regression:
        path = graph.with_suffix(".json")
        content = json.loads(path.read_text())
        content["schema"]["outputs"][0]["op"] = "Identity"
        path.write_text(json.dumps(content))
    fields = [
        field
        for target in installed.targets(tmp_path).values()
        for field in target.fields
    ]
    assert len(fields) == len(set(fields))
    assert not {"plan", "input", "written", "undo"} & {
        field.removeprefix("soundtags_") for field in fields
    }
    said: list[str] = []
    plan.make_plan(None, tmp_path, Settings(), said.append)
    assert len(said) == 1
    assert f"{name}: its results would be stored in fields" in said[0]


def test_neither_do_two_models_share_one(tmp_path):
    for name in ("tint", "tint_score"):
        write_metadata(tmp_path / f"{name}.pb", [f"{name} 1", f"{name} 2"])
        (tmp_path / f"{name}.pb").touch()
    names = installed.targets(tmp_path).keys()
    assert "soundtags_tint" in names
    assert "soundtags_tint_score" not in names
