"""What the client and the workers of a cluster send each other.

A worker unpickles requests only if it has the client's version of this package,
so their classes may change at any time. Answers are not pickled: see
:mod:`soundtags.inference.dask.answers`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from soundtags.errors import SoundtagsError
    from soundtags.inference.pipeline import TrackResult
    from soundtags.models.installed import Model
    from soundtags.models.plan import Plan


class RemoteFile(NamedTuple):
    """An audio file, as a worker accesses it.

    Attributes
    ----------
    path : str
        Where the worker finds the file.
    root : str
        The shared folder that contains it. If it is missing or empty on the
        worker, the folder is not mounted there.
    content : bytes or None
        The content of the file, if it is sent; then only the suffix of the
        path matters.
    """

    path: str
    root: str
    content: bytes | None = None


class GraphFile(NamedTuple):
    """A model's graph, whatever folder it is in.

    Attributes
    ----------
    name : str
        Name of the file.
    sha256 : str
        Digest of its content.
    """

    name: str
    sha256: str

    @classmethod
    def of(cls, model: Model) -> GraphFile:
        """Return the graph of a model."""
        return cls(model.graph.name, model.sha256)


@dataclass(frozen=True)
class PredictTracks:
    """A request to run models on some tracks.

    Attributes
    ----------
    plan : Plan
        Which models to run, as :func:`portable_plan` returns it.
    session_memory : int
        Bytes that open sessions may take.
    engine : str
        Which engine runs the models: a value of the option ``engine``.
    files : tuple of RemoteFile
        The tracks.
    """

    plan: Plan
    session_memory: int
    engine: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True)
class StoreGraphs:
    """A request to store graphs that a worker lacks."""

    contents: Mapping[GraphFile, bytes]


Request = PredictTracks | StoreGraphs


@dataclass(frozen=True)
class Predicted:
    """The tracks were analysed: a result for each, with its index as key."""

    results: list[TrackResult[int]]


@dataclass(frozen=True)
class MissingGraphs:
    """The worker cannot begin, as it lacks some graphs."""

    graphs: list[GraphFile]


@dataclass(frozen=True)
class GraphsStored:
    """The worker has the graphs that it was sent."""


@dataclass(frozen=True)
class Failed:
    """The request failed as a whole."""

    error: SoundtagsError


@dataclass(frozen=True)
class Lost:
    """The request was cancelled, or went down with its worker."""


Outcome = Predicted | MissingGraphs | GraphsStored | Failed | Lost


@dataclass(frozen=True)
class Reply:
    """What became of a request.

    Attributes
    ----------
    worker : str or None
        Address of the worker; None if no worker answered.
    outcome : Outcome
        The answer.
    """

    worker: str | None
    outcome: Outcome


def plan_models(plan: Plan) -> list[Model]:
    """Return the models and backbones of a plan, each once."""
    return list(dict.fromkeys([*plan.models, *plan.backbones]))


def with_graphs(plan: Plan, locate: Callable[[Model], Path]) -> Plan:
    """Return a plan whose graphs are elsewhere.

    Parameters
    ----------
    plan
        The plan.
    locate
        Returns where the graph of a model is.
    """
    models, backbones = (
        tuple(model._replace(graph=locate(model)) for model in each)
        for each in (plan.models, plan.backbones)
    )
    return replace(plan, models=models, backbones=backbones)


def portable_plan(plan: Plan) -> Plan:
    """Return a plan without local paths, and without what workers do not use.

    The plan makes up most of the size of a request.
    """

    def name(model: Model) -> Path:
        return cast("Path", PurePosixPath(model.graph.name))

    return replace(with_graphs(plan, name), targets={}, words=())
