"""The catalogue: published models, targets and estimates, all as data."""

from __future__ import annotations

from collections import UserDict, defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from soundtags.errors import UnknownModel
from soundtags.models.metadata import Metadata, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Kinds of targets.
SCORE, TEXT, TAGS = "score", "text", "tags"
LIST, STYLES, NUMBERS = "list", "styles", "numbers"

MOOD_FIELD = "mood_"  # begins the name of the field with a mood's score
SPLIT = "---"  # between the genre and the style in a class's name

PLAN_FIELD = "soundtags_plan"
INPUT_FIELD = "soundtags_input"
WRITTEN_FIELD = "soundtags_written"
UNDO_FIELD = "soundtags_undo"
OWN_FIELDS = (PLAN_FIELD, INPUT_FIELD, WRITTEN_FIELD, UNDO_FIELD)
TAGS_FIELD = "soundtags"  # the field that auto-taggers' tags are pooled in
STYLE = "_style"  # ends the field with the styles of a target's genres
# What the names of a target's fields end with, by its kind.
ENDINGS = {SCORE: ("",), TEXT: ("", "_score"), LIST: ("",), STYLES: ("", STYLE)}


class Target(NamedTuple):
    """A question that models answer, and what the answers are called.

    Attributes
    ----------
    name
        Name of the target, and of its library field.
    kind
        ``score`` (probability of the positive class), ``text`` (the top
        class), ``tags`` (the vocabulary of an auto-tagger, pooled with
        others), ``list`` (the top classes), ``styles`` (classes are styles
        of a genre) or ``numbers`` (a number for each class).
    classes
        Class, as in models' metadata, to its readable name or, for
        ``numbers``, to its field.
    positive
        The class whose probability a ``score`` is.
    scale
        For ``numbers``, the values that become 0 and 1; None for no change.
    outdone
        Ids of models that estimates outdo, judged by listeners' labels.
    taught
        Whether it is a word that the user has taught.
    """

    name: str
    kind: str
    classes: Mapping[str, str]
    positive: str | None = None
    scale: tuple[float, float] | None = None
    outdone: frozenset[str] = frozenset()
    taught: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """The library fields that the answers go to."""
        if self.kind == NUMBERS:
            return tuple(self.classes.values())
        return tuple(self.name + each for each in ENDINGS.get(self.kind, ()))

    @property
    def mood(self) -> str | None:
        """The mood that the target is about, if it is about one."""
        is_mood = self.name.startswith(MOOD_FIELD)
        return self.name.removeprefix(MOOD_FIELD) if is_mood else None


class Term(NamedTuple):
    """A part of an estimate.

    Attributes
    ----------
    weight
        Weight of the logarithm of the sum of the tags' mean activations.
    tags
        Vocabulary and name of each tag.
    """

    weight: float
    tags: tuple[tuple[str, str], ...]


class Estimate(NamedTuple):
    """Estimates one class (or genre) from auto-tags: a logistic regression.

    Attributes
    ----------
    floor
        Added to each sum before its logarithm is taken.
    bias
        Log-odds of the class, to which the terms add.
    terms
        What speaks for the class or, with negative weights, against it.
    unless
        Estimate of what rules the class out: one minus it is a factor; or None.
    """

    floor: float
    bias: float
    terms: tuple[Term, ...]
    unless: Estimate | None = None


class Estimates(UserDict[str, dict[str, Estimate]]):
    """The estimates of classes, by target or ``genres``.

    Two of them are never taken for each other, so that what is made of them can
    be cached.
    """

    def __hash__(self) -> int:
        return id(self)


class File(NamedTuple):
    """A file that can be fetched.

    Attributes
    ----------
    path
        Path below the source.
    sha256, size
        Its digest and its size in bytes, where they are known.
    """

    path: str
    sha256: str | None = None
    size: int | None = None


class Published(NamedTuple):
    """A model that upstream has published.

    Attributes
    ----------
    id
        Upstream's current base name.
    aliases
        Its other names, among them the announcement's.
    family
        The architecture and what it was trained on, as in the id.
    target
        Name of the target; None for extractors without classes.
    announced
        Parameters and accuracy (for auto-taggers, ROC-AUC and PR-AUC) as in
        the announcement's tables; empty if the model came later.
    licence
        Licence of the weights.
    metadata
        What it takes as input, and what it predicts.
    files
        Files that it may be fetched from, in the order in which to try them.
    """

    id: str
    aliases: tuple[str, ...]
    family: str
    target: str | None
    announced: Mapping[str, Any]
    licence: str
    metadata: Metadata
    files: tuple[File, ...]


def data_folder() -> Path:
    """Return the folder with the embedded models and the catalogue.

    An installed package carries it inside; in a checkout, and so in an
    editable install, it lies at the top.
    """
    inside = Path(__file__).parent / "data"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "models"


@cache
def published() -> dict[str, Published]:
    """Return all models of the catalogue by id."""
    return {name: _published(name, entry) for name, entry in _entries().items()}


@cache
def names() -> dict[str, str]:
    """Return the names of all models, each with the id it stands for."""
    found = {}
    for name, entry in _entries().items():
        found.update(dict.fromkeys([name, *entry["aliases"]], name))
    return found


@cache
def groups() -> dict[str, list[str]]:
    """Return the ids of the models in each group that has a name.

    Groups are the heads, the models of the announcement, those of a target
    and those of a family.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for model in published().values():
        found[model.family].append(model.id)
        if model.target:
            found[model.target].append(model.id)
        if model.metadata.backbone:
            found["heads"].append(model.id)
        if model.announced:
            found["announcement"].append(model.id)
    return dict(found)


def resolve(asked: Iterable[str]) -> list[str]:
    """Return the ids that names of models and groups stand for.

    Raises
    ------
    UnknownModel
        If there is no model or group of that name.
    """
    ids: list[str] = []
    for name in asked:
        if name in names():
            ids.append(names()[name])
        elif name in groups():
            ids.extend(groups()[name])
        else:
            raise UnknownModel(
                f"no model or group {name} in the catalogue; groups are:"
                f" {', '.join(sorted(groups()))}"
            )
    return list(dict.fromkeys(ids))


def with_backbones(ids: Iterable[str]) -> list[Published]:
    """Return models, each after the backbone that it needs."""
    models = published()
    found: dict[str, Published] = {}
    for name in ids:
        backbone = models[name].metadata.backbone
        for each in filter(None, (backbone, name)):
            found[each] = models[each]
    return list(found.values())


def known_digests() -> dict[str, set[str]]:
    """Return the digests that the catalogue knows, by file name."""
    known: dict[str, set[str]] = defaultdict(set)
    for model in published().values():
        for file in model.files:
            if file.sha256:
                known[file.path.rpartition("/")[2]].add(file.sha256)
    return known


@cache
def targets() -> dict[str, Target]:
    """Return all targets by name."""
    classes = {
        entry["target"]: entry["metadata"]["classes"]
        for entry in _entries().values()
    }
    return {
        name: Target(
            name=name,
            kind=entry["kind"],
            positive=entry.get("positive"),
            classes={
                each: entry["readable"].get(each, readable(each))
                for each in entry.get("classes") or classes[name]
            },
            scale=tuple(entry["scale"]) if "scale" in entry else None,
            outdone=frozenset(entry.get("outdone", ())),
        )
        for name, entry in _data("targets.json").items()
    }


def readable(name: str) -> str:
    """Return a readable name for a class, where nobody has written one."""
    return name.replace("_", " ")


@cache
def estimates() -> Estimates:
    """Return the estimates of classes, by target or ``genres``."""
    return parse_estimates(_data("estimates.json"))


def parse_estimates(
    entries: Mapping[str, Mapping[str, Any]],
) -> Estimates:
    """Return estimates from the content of their file.

    Parameters
    ----------
    entries
        Target to class to the fields of estimates; tags as ``vocabulary:name``.
    """
    return Estimates(
        (target, {name: _estimate(entry) for name, entry in classes.items()})
        for target, classes in entries.items()
    )


def _estimate(entry: Mapping[str, Any]) -> Estimate:
    terms = tuple(_term(*term) for term in entry["terms"])
    unless = _estimate(entry["unless"]) if "unless" in entry else None
    return Estimate(entry["floor"], entry["bias"], terms, unless)


def _term(weight: float, tags: Iterable[str]) -> Term:
    parts = (tag.partition(":") for tag in tags)
    return Term(weight, tuple((words, name) for words, _, name in parts))


def estimates_digest() -> str:
    """Return the digest of the estimates and of how classes are named."""
    import hashlib  # takes longer than all else that beets loads for us

    names = ("targets.json", "estimates.json")
    content = b"".join((data_folder() / name).read_bytes() for name in names)
    return hashlib.sha256(content).hexdigest()


@cache
def _entries() -> dict[str, Any]:
    return _data("catalogue.json")


def _published(name: str, entry: dict[str, Any]) -> Published:
    facts = entry["metadata"]
    return Published(
        **{
            **entry,
            "id": name,
            "aliases": tuple(entry["aliases"]),
            "files": tuple(File(**file) for file in entry["files"]),
            "metadata": Metadata(
                **{
                    **facts,
                    "classes": tuple(facts["classes"]),
                    "outputs": tuple(facts["outputs"].items()),
                    "metrics": tuple(facts["metrics"].items()),
                }
            ),
        }
    )


def _data(name: str) -> dict[str, Any]:
    return read_json(data_folder() / name)
