"""The installed models: graphs, each with its metadata."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from soundtags.errors import UnknownModel, UnusableModel
from soundtags.models import catalogue, metadata
from soundtags.models.catalogue import (
    LIST,
    NUMBERS,
    SPLIT,
    STYLES,
    TEXT,
    Target,
)
from soundtags.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from soundtags.models.metadata import Metadata

# Prefix of the fields of targets that nobody has named, so that no model can
# overwrite somebody else's field.
PREFIX = "soundtags_"

MAX_BYTES = 5 * 10**8  # of a graph; upstream's largest has 350 MB


class Model(NamedTuple):
    """A frozen graph and what is known about it.

    Attributes
    ----------
    id
        The file's name without its ending.
    graph
        The file.
    sha256
        Digest of the file.
    target
        Name of its target; None for extractors without classes.
    metadata
        What it takes as input, and what it predicts.
    """

    id: str
    graph: Path
    sha256: str
    target: str | None
    metadata: Metadata


def graphs(folder: Path) -> dict[str, Path]:
    """Return the graphs that can be used, embedded ones included.

    Parameters
    ----------
    folder
        The user's model folder, which need not exist.

    Returns
    -------
    dict
        Id to file, for every ``.pb`` that has a ``.json`` beside it or is in
        the catalogue.
    """
    found = all_graphs(folder)
    return {g.stem: g for g in sorted(found, key=lambda graph: graph.stem)}


def all_graphs(folder: Path) -> list[Path]:
    """Return the graphs of :func:`graphs`, and those that others replace.

    The embedded ones come first; both groups are sorted by name.
    """
    folders = dict.fromkeys([catalogue.data_folder(), folder])
    usable = (each for each in folders if not folder_fault(each))
    found = [path for each in usable for path in sorted(each.glob("*.pb"))]
    return [g for g in found if os.path.isfile(g) and _has_metadata(g)]


def folder_fault(folder: Path) -> str:
    """Return what is wrong with a model folder, which need not exist yet."""
    is_there = os.path.lexists(folder) and not os.path.isdir(folder)
    if is_there or "\0" in str(folder):
        return f"model_dir: {printable(str(folder))} is not a folder"
    return ""


def is_embedded(graph: Path) -> bool:
    """Return whether a graph comes with the package."""
    return graph.parent == catalogue.data_folder()


def find(names: Iterable[str], folder: Path) -> list[Model]:
    """Read the models that the user named.

    Raises
    ------
    UnknownModel
        If there is none of that name.
    UnusableModel
        If its metadata does not describe a model we can run.
    """
    here = graphs(folder)
    found: dict[str, Model] = {}
    for name in names:
        known = name if name in here else catalogue.names().get(name, name)
        if known not in here:
            raise UnknownModel(_unknown(name, known, here, folder))
        found[known] = read_model(here[known])
    return list(found.values())


def read_model(graph: Path) -> Model:
    """Read what is known about a graph.

    Raises
    ------
    UnusableModel
        If that cannot be read, or the file is not what was fetched.
    """
    from soundtags.models import checksums  # only needed to run models

    facts = read_metadata(graph)
    try:
        if graph.stat().st_size > MAX_BYTES:
            raise UnusableModel(f"{graph.name}: too large for a model")
        sha256 = checksums.file_sha256(graph)
        fetched = checksums.recorded(graph.parent).get(graph.name, sha256)
    except OSError as exc:
        raise UnusableModel(f"{graph}: {exc.strerror}") from exc
    if fetched != sha256:
        raise UnusableModel(
            f"{graph.name}: not the file that was fetched; remove it and fetch"
            f" it again: beet soundmodels remove {graph.stem}"
        )
    target = target_of(graph.stem, facts)
    return Model(
        id=graph.stem,
        graph=graph,
        sha256=sha256,
        target=target.name if target else None,
        metadata=facts,
    )


def read_metadata(graph: Path) -> Metadata:
    """Read the JSON beside a graph, or else the catalogue's entry.

    Upstream has corrected the order of some classes. Where a JSON has the
    classes of the catalogue in another order, it is an old one, and the
    catalogue's order holds.

    Raises
    ------
    UnusableModel
        If the JSON cannot be read or does not describe a model we can run.
    """
    if not graph.stem.isprintable():
        raise UnusableModel(
            f"{printable(graph.name)}: has a name that cannot be printed;"
            " rename it"
        )
    path = graph.with_suffix(".json")
    known = _published(graph.stem)
    if known and not os.path.isfile(path):
        return known.metadata
    facts = metadata.read(path)
    if known and set(known.metadata.classes) == set(facts.classes):
        return facts._replace(classes=known.metadata.classes)
    return facts


def targets(folder: Path) -> dict[str, Target]:
    """Return all targets by name, including those of unpublished models.

    A target is left out if one of its fields is taken, so that no two things
    are stored in the same place.
    """
    found = dict(catalogue.targets())
    taken = {*catalogue.OWN_FIELDS}
    for known in found.values():
        taken.update(known.fields)
    for name, graph in graphs(folder).items():
        if name in catalogue.names():
            continue  # its target is known
        try:
            target = target_of(name, read_metadata(graph))
        except UnusableModel:
            continue  # reported when a plan is made
        if target is None or target.name in found:
            continue
        fields = set(target.fields)
        if len(fields) == len(target.fields) and not fields & taken:
            found[target.name] = target
            taken |= fields
    return found


def target_of(name: str, facts: Metadata) -> Target | None:
    """Return the target that a model's classes answer.

    A published model has the target of the catalogue. Other file names vary,
    so it is the classes that make a target; the name only decides between
    targets with the same classes, and names new ones.
    """
    if not facts.classes:
        return None
    known = _published(name)
    if known and known.target:
        return catalogue.targets()[known.target]
    alike = {
        target.name: target
        for target in catalogue.targets().values()
        if set(target.classes) == set(facts.classes)
    }
    base = name.split("-")[0]
    if base in alike or len(alike) == 1:
        return alike.get(base) or next(iter(alike.values()))
    field = PREFIX + _plain(base)
    kind = _kind(facts)
    if kind == NUMBERS:
        readable = {each: f"{field}_{_plain(each)}" for each in facts.classes}
    else:
        readable = {each: catalogue.readable(each) for each in facts.classes}
    return Target(field, kind, readable)


def _kind(facts: Metadata) -> str:
    if facts.regression:
        return NUMBERS
    if any(SPLIT in name for name in facts.classes):
        return STYLES
    return LIST if facts.multi_label else TEXT


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower())


def _published(name: str) -> catalogue.Published | None:
    known = catalogue.names().get(name)
    return catalogue.published()[known] if known else None


def _has_metadata(graph: Path) -> bool:
    # Path.is_file would raise an error where a folder cannot be searched.
    beside = os.path.isfile(graph.with_suffix(".json"))
    return beside or graph.stem in catalogue.names()


def _unknown(name: str, known: str, here: Iterable[str], folder: Path) -> str:
    if fault := folder_fault(folder):
        return f"{known} is not installed; {fault}"
    if known in catalogue.names():
        return (
            f"{known} is not installed; to get it: beet soundmodels fetch"
            f" {known}"
        )
    return (
        f"no model {name} here; installed are: {', '.join(here)}. See beet"
        f" soundmodels for more, or put {name}.pb and {name}.json into {folder}"
    )
