"""What is known of models, targets and rules: data, and where it lies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UnknownModel, UnusableModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Upstream's names of what computes a model's input.
MEL_INPUT = "TensorflowPredictMusiCNN"
EMBEDDING_INPUT = "TensorflowPredict2D"

SCORE, TEXT, TAGS = "score", "text", "tags"  # kinds of targets


@dataclass(frozen=True)
class Target:
    """A question that models answer, and how its answers read.

    Attributes
    ----------
    name
        Also the name of the library field.
    kind
        ``score`` (probability of the positive class), ``text`` (the top
        class) or ``tags`` (the vocabulary of an auto-tagger).
    classes
        Class, as in models' metadata, to its name for people.
    positive
        The class whose probability a ``score`` is.
    """

    name: str
    kind: str
    classes: Mapping[str, str]
    positive: str | None = None

    @property
    def mood(self) -> str | None:
        """The mood that the target is about, if it is about one."""
        is_mood = self.name.startswith("mood_")
        return self.name.removeprefix("mood_") if is_mood else None


@dataclass(frozen=True)
class Rule:
    """Estimates one class (or genre) from auto-tags.

    Attributes
    ----------
    tags
        Tags that speak for the class, each as ``vocabulary:tag``.
    threshold
        The sum of their mean activations that makes the class's strength 1.
    """

    tags: tuple[str, ...]
    threshold: float


@dataclass(frozen=True)
class Model:
    """A frozen graph and what its metadata says of it.

    Attributes
    ----------
    id
        The file's name without its ending.
    graph
        The file.
    sha256
        Digest of the file.
    target
        Name of the target whose classes the model has.
    classes
        In the order of the model's output.
    input, output
        Nodes of the graph: what is fed, and the activations.
    embedding
        The node with the embedding that heads start from, if it has one.
    backbone
        Id of the model whose embedding is the input; None if patches are.
    metrics
        Published figures, best first by importance.
    """

    id: str
    graph: Path
    sha256: str
    target: str
    classes: tuple[str, ...]
    input: str
    output: str
    embedding: str | None
    backbone: str | None
    metrics: tuple[float, ...]


def data_folder() -> Path:
    """Return the folder with the embedded models and the catalogue.

    An installed package carries it inside; in a checkout, and so in an
    editable install, it lies at the top.
    """
    inside = Path(__file__).parent / "models"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "models"


@cache
def targets() -> dict[str, Target]:
    """Return all targets by name."""
    return {
        name: Target(name=name, **entry)
        for name, entry in _read_json(data_folder() / "targets.json").items()
    }


@cache
def rules() -> dict[str, dict[str, Rule]]:
    """Return per target, and for ``genres``, the rule of each class."""
    return {
        target: {
            name: Rule(tuple(entry["tags"]), entry["threshold"])
            for name, entry in classes.items()
        }
        for target, classes in _read_json(data_folder() / "rules.json").items()
    }


def rules_digest() -> str:
    """Return the digest of the rules and of how classes are named."""
    names = ("targets.json", "rules.json")
    content = b"".join((data_folder() / name).read_bytes() for name in names)
    return sha256(content)


def sha256(content: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal digits."""
    import hashlib  # costs more than all else that beets would load for us

    return hashlib.sha256(content).hexdigest()


def installed(folder: Path) -> dict[str, Path]:
    """Return the graphs that can be used, embedded ones included.

    Parameters
    ----------
    folder
        The user's model folder, which need not exist.

    Returns
    -------
    dict
        Model id to graph, for every ``.pb`` with a ``.json`` beside it.
    """
    graphs = [*data_folder().glob("*.pb"), *folder.glob("*.pb")]
    return {
        graph.stem: graph
        for graph in sorted(graphs, key=lambda path: path.stem)
        if graph.with_suffix(".json").is_file()
    }


def find(names: Iterable[str], folder: Path) -> list[Model]:
    """Read the models that the user named.

    Raises
    ------
    UnknownModel
        If there is none of that name.
    UnusableModel
        If its metadata does not describe a model we can run.
    """
    graphs = installed(folder)
    found = []
    for name in names:
        graph = graphs.get(name) or _find_alias(name, graphs.values())
        if graph is None:
            raise UnknownModel(
                f"no model {name} here; installed are: {', '.join(graphs)}."
                f" Put {name}.pb and {name}.json into {folder}"
            )
        found.append(read_model(graph))
    return found


def _find_alias(name: str, graphs: Iterable[Path]) -> Path | None:
    for graph in graphs:
        try:
            if name in _read_json(graph.with_suffix(".json"))["aliases"]:
                return graph
        except (KeyError, TypeError, UnusableModel):
            continue  # no aliases
    return None


def read_model(graph: Path) -> Model:
    """Read the metadata beside a graph, in the form upstream publishes.

    Raises
    ------
    UnusableModel
        If it cannot be read or does not describe a model we can run.
    """
    path = graph.with_suffix(".json")
    try:
        metadata = _read_json(path)
        inference = metadata["inference"]
        purposes = {
            output["output_purpose"]: output["name"]
            for output in metadata["schema"]["outputs"]
        }
        classes = tuple(metadata["classes"])
        backbone = None
        if inference["algorithm"] == EMBEDDING_INPUT:
            backbone = inference["embedding_model"]["model_name"]
        elif inference["algorithm"] != MEL_INPUT:
            raise UnusableModel(
                f"{path.name}: needs the front end {inference['algorithm']},"
                " which is not supported"
            )
        return Model(
            id=graph.stem,
            graph=graph,
            sha256=sha256(graph.read_bytes()),
            target=_target_of(classes, path),
            classes=classes,
            input=metadata["schema"]["inputs"][0]["name"],
            output=purposes["predictions"],
            embedding=purposes.get("embeddings"),
            backbone=backbone,
            metrics=_metrics(metadata),
        )
    except (KeyError, IndexError, TypeError, AttributeError) as exc:
        raise UnusableModel(
            f"{path.name}: not in the form upstream publishes: {exc!r}"
        ) from exc
    except OSError as exc:
        raise UnusableModel(f"{graph}: {exc.strerror}") from exc


def _target_of(classes: tuple[str, ...], path: Path) -> str:
    # File names vary; the set of classes is what makes a target.
    for target in targets().values():
        if set(target.classes) == set(classes):
            return target.name
    raise UnusableModel(f"{path.name}: no known target has its classes")


def _metrics(metadata: dict[str, Any]) -> tuple[float, ...]:
    metrics = metadata.get("dataset", {}).get("metrics", {}).values()
    return tuple(m for m in metrics if isinstance(m, float))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UnusableModel(f"{path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise UnusableModel(f"{path}: not JSON: {exc}") from exc
    return content
