"""The metadata of a model, as upstream publishes it beside each graph."""

from __future__ import annotations

import json
import unicodedata
from reprlib import repr as shortened
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, NamedTuple

from soundtags.errors import UnusableModel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Upstream's name for what feeds an embedding to a head.
EMBEDDING_INPUT = "TensorflowPredict2D"

MAX_BYTES = 10**6  # upstream's longest file has 15 kB
MAX_CLASSES = 10_000  # upstream's largest model has 519
MAX_TEXT = 255  # characters of a name
CONTROL, SURROGATE = "Cc", "Cs"  # as Unicode calls them


class Metadata(NamedTuple):
    """What a model takes as input, and what it predicts.

    Attributes
    ----------
    classes
        In the order of the model's output; none for an extractor.
    algorithm
        Upstream's name for what computes the input: a front end, or
        :data:`EMBEDDING_INPUT`.
    backbone
        Id of the model whose embedding is the input; None if patches are.
    input
        Node that the input is fed to.
    outputs
        Pairs of a node and its purpose: "predictions", "embeddings" or "".
    multi_label
        Whether several classes can hold at once.
    regression
        Whether the outputs are plain numbers.
    metrics
        Pairs of a published figure's name and its value, shares as 0 to 1.
    """

    classes: tuple[str, ...]
    algorithm: str
    backbone: str | None
    input: str
    outputs: tuple[tuple[str, str], ...]
    multi_label: bool
    regression: bool
    metrics: tuple[tuple[str, float], ...]

    @property
    def predictions(self) -> str | None:
        """The node with the activations of the classes, if there is one."""
        return self._node("predictions")

    @property
    def embedding(self) -> str | None:
        """The node with the embedding that heads start from, if any."""
        return self._node("embeddings")

    def _node(self, wanted: str) -> str | None:
        nodes = (node for node, purpose in self.outputs if purpose == wanted)
        return next(nodes, None)


def parse(content: Mapping[str, Any]) -> Metadata:
    """Read a model's metadata from upstream's JSON.

    Raises
    ------
    UnusableModel
        If the JSON is not in the form that upstream publishes.
    """
    try:
        inference, schema = content["inference"], content["schema"]
        algorithm = _text(inference["algorithm"])
        backbone = None
        if algorithm == EMBEDDING_INPUT:
            backbone = _text(inference["embedding_model"]["model_name"])
        outputs = schema["outputs"]
        operations = {output.get("op") for output in outputs}
        return Metadata(
            # One of upstream's extractors has an empty text here.
            classes=_classes(content["classes"] or []),
            algorithm=algorithm,
            backbone=backbone,
            input=_text(schema["inputs"][0]["name"]),
            outputs=tuple(
                (_text(output["name"]), _text(output["output_purpose"]))
                for output in outputs
            ),
            multi_label="Sigmoid" in operations
            and "multi-class" not in _text(content.get("type", "")),
            regression="Identity" in operations,
            metrics=_metrics(content.get("dataset", {}).get("metrics", {})),
        )
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as exc:
        raise UnusableModel(
            f"not in the form upstream publishes: {exc!r}"
        ) from exc


def read(path: Path) -> Metadata:
    """Read a file with upstream's JSON.

    Raises
    ------
    UnusableModel
        If it cannot be read, or is not in the form that upstream publishes.
    """
    try:
        return parse(read_json(path))
    except UnusableModel as exc:
        raise UnusableModel(f"{path.name}: {exc}") from exc


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that is no larger than metadata can be.

    Raises
    ------
    UnusableModel
        If it cannot be read, or is not such a file.
    """
    try:
        if not S_ISREG(path.stat().st_mode):
            raise UnusableModel("not a regular file")  # a pipe never ends
        with path.open("rb") as file:
            read = file.read(MAX_BYTES + 1)
        if len(read) > MAX_BYTES:
            raise UnusableModel("too large for metadata")
        content = json.loads(read.decode("utf-8"))
    except OSError as exc:
        raise UnusableModel(str(exc.strerror)) from exc
    except (ValueError, RecursionError) as exc:
        raise UnusableModel(f"not JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise UnusableModel("not in the form upstream publishes")
    return content


def _classes(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list):
        raise TypeError(f"{shortened(names)} is not a list of classes")
    if len(names) > MAX_CLASSES:
        raise ValueError(f"{len(names)} classes")
    classes = tuple(map(_text, names))
    if len(set(classes)) < len(classes):
        raise ValueError("several classes have the same name")
    return classes


def _metrics(figures: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    result = []
    for name, figure in figures.items():
        if isinstance(figure, dict):
            # Regressions have several per class; the first is a correlation.
            figure, *_ = figure.values()
        if isinstance(figure, str):  # one is "NA"
            continue
        number = float(figure)
        if not -1 <= number <= 100:
            raise ValueError(f"{shortened(figure)} is not a figure of a model")
        # Some are percentages.
        result.append((_text(name), number / 100 if number > 1 else number))
    return tuple(result)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{shortened(value)} is not text")
    if len(value) > MAX_TEXT:
        raise ValueError(f"{shortened(value)} is too long")
    if any(unicodedata.category(c) in (CONTROL, SURROGATE) for c in value):
        raise ValueError(f"{shortened(value)} cannot be printed")
    return value
