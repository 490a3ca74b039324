"""A pool of sessions, one per graph, shared by all threads.

Every call of a session runs in the thread that makes it, whatever the engine.
Calls from several threads at a time keep all cores busy, and give the same
results on any number of cores.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.blas import single_threaded
from soundtags.errors import UnusableModel
from soundtags.inference.engine import Program
from soundtags.inference.engine_choice import EngineChoice
from soundtags.inference.graph import read_graph
from soundtags.inference.graph_bounds import node_of
from soundtags.inference.graphdef import BOOL
from soundtags.inference.rewrite import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from soundtags.inference.engine import Engine, Session

    MapFunction = Callable[
        [Callable[[np.ndarray], list[np.ndarray]], Iterable[np.ndarray]],
        Iterable[list[np.ndarray]],
    ]

# Resident memory of a session per byte of its graph file: measured with
# graphs of 288 MB, whose sessions take 325 MB each.
MEMORY_PER_BYTE = 1.2


@dataclass(frozen=True)
class GraphSpec:
    """A graph, and how it is run.

    Attributes
    ----------
    graph : pathlib.Path
        File with the frozen graph.
    input : str
        The node that is fed.
    outputs : tuple of str
        The nodes to compute.
    batch : int or None
        Rows per call, unless the graph has a fixed number; None for all rows
        at once. Shorter batches are padded, as the last digits of a row's
        outputs depend on the size of the batch.
    """

    graph: Path
    input: str
    outputs: tuple[str, ...]
    batch: int | None = None

    @property
    def memory(self) -> float:
        """Approximate size of a session in bytes."""
        try:
            return self.graph.stat().st_size * MEMORY_PER_BYTE
        except OSError:  # reported when the graph is loaded
            return 0


@dataclass
class _Loaded:
    """A session, and the number of rows that each of its calls takes.

    Attributes
    ----------
    batch
        Rows per call; None for all at once.
    """

    session: Session
    batch: int | None


@dataclass
class _Entry:
    """A place in the pool, which may not be loaded yet."""

    loaded: _Loaded | None = None
    memory: float = 0
    users: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class SessionPool:
    """Sessions that stay open as long as memory allows.

    Parameters
    ----------
    memory : int
        Bytes that open sessions may take. Beyond that, idle sessions are
        closed, least recently used first. A single session may take more.
    choice : EngineChoice, optional
        What runs the graphs; by default, TensorFlow if it loads, else NumPy.
    """

    def __init__(
        self,
        memory: int,
        choice: EngineChoice | None = None,
    ) -> None:
        self._memory = memory
        self._choice = choice or EngineChoice()
        self._lock = threading.Lock()
        self._entries: OrderedDict[GraphSpec, _Entry] = OrderedDict()

    def fits(self, specs: Iterable[GraphSpec]) -> bool:
        """Return whether sessions for all graphs fit into memory together."""
        return sum(spec.memory for spec in specs) <= self._memory

    def check(self, specs: Sequence[GraphSpec]) -> dict[str, UnusableModel]:
        """Find unusable graphs; load all graphs if they fit into memory.

        Parameters
        ----------
        specs : sequence of GraphSpec
            The graphs and their nodes.

        Returns
        -------
        dict of str to UnusableModel
            Model id of each unusable graph to the reason.

        Raises
        ------
        NoTensorFlow
            If the graphs have to run on TensorFlow, but it does not load.
        """
        self._choice.load()
        fits, faults = self.fits(specs), {}
        for spec in specs:
            try:
                if fits:
                    with self._loaded(spec):
                        pass
                else:
                    read_graph(spec.graph, spec.outputs)
            except UnusableModel as exc:
                faults[spec.graph.stem] = exc
        return faults

    def run(
        self, spec: GraphSpec, rows: np.ndarray, map_fn: MapFunction = map
    ) -> dict[str, np.ndarray]:
        """Run a graph on any number of rows.

        Parameters
        ----------
        spec : GraphSpec
            The graph and its nodes.
        rows : numpy.ndarray
            Patches, shape (rows, frames, bands), or embeddings, shape (rows,
            dimensions), float32.
        map_fn : callable
            Calls a function for each batch: the built-in ``map``, or that of
            an executor, to run several calls at a time. Each call runs in a
            single thread.

        Returns
        -------
        dict of str to numpy.ndarray
            Output node to values of shape (rows, ...).

        Raises
        ------
        UnusableModel
            If the graph cannot be loaded or run, or lacks one of the nodes.
        NoTensorFlow
            If the graph has to run on TensorFlow, but it does not load.
        """
        with self._loaded(spec) as loaded:
            try:
                call = partial(_call, loaded, spec)
                batches = list(map_fn(call, _batches(loaded, rows)))
            except UnusableModel as exc:
                raise UnusableModel(f"{spec.graph.name}: {exc}") from exc
        return {
            output: np.concatenate(values)[: len(rows)]
            for output, values in zip(spec.outputs, zip(*batches))
        }

    def close(self) -> None:
        """Close all sessions."""
        with self._lock:
            for entry in self._entries.values():
                if entry.loaded is not None:
                    entry.loaded.session.close()
            self._entries.clear()

    @contextmanager
    def _loaded(self, spec: GraphSpec) -> Iterator[_Loaded]:
        with self._lock:
            entry = self._entries.setdefault(spec, _Entry())
            self._entries.move_to_end(spec)
            entry.users += 1
        try:
            with entry.lock:  # only one thread loads the graph
                loaded = entry.loaded or self._fill(entry, spec)
            yield loaded
        finally:
            with self._lock:
                entry.users -= 1

    def _fill(self, entry: _Entry, spec: GraphSpec) -> _Loaded:
        entry.memory = spec.memory
        self._make_room()
        try:
            entry.loaded = _load(self._choice.load(), spec)
        except BaseException:
            entry.memory = 0
            raise
        return entry.loaded

    def _make_room(self) -> None:
        with self._lock:
            taken = sum(entry.memory for entry in self._entries.values())
            for spec, entry in list(self._entries.items()):
                if taken <= self._memory:
                    return
                if entry.users == 0 and entry.loaded is not None:
                    entry.loaded.session.close()
                    taken -= entry.memory
                    del self._entries[spec]


def _load(engine: Engine, spec: GraphSpec) -> _Loaded:
    """Open a session for the part of a graph that leads to its outputs."""
    graph, weights = read_graph(spec.graph, spec.outputs)
    try:
        flags, fixed = _flags(spec, graph), _fixed_rows(spec, graph)
        with single_threaded():
            program = Program(
                fold(graph, spec.outputs),
                weights,
                spec.input,
                spec.outputs,
                flags,
            )
            session = engine.open(program)
    except UnusableModel as exc:
        raise UnusableModel(f"{spec.graph.name}: {exc}") from exc
    return _Loaded(session, fixed or spec.batch)


def _flags(spec: GraphSpec, graph: Any) -> list[str]:
    """Return boolean inputs, such as the training flag."""
    if node_of(spec.input) not in {node.name for node in graph.node}:
        raise UnusableModel(
            f"no node {spec.input} that leads to {', '.join(spec.outputs)}"
        )
    flags = []
    for node in graph.node:
        if node.name == node_of(spec.input):
            if node.attr["dtype"].type == BOOL:
                raise UnusableModel("takes a flag as its input, not patches")
            continue
        if node.op == "Placeholder" and node.attr["dtype"].type == BOOL:
            flags.append(node.name)
        elif node.op == "Placeholder":
            raise UnusableModel(f"has another input, {node.name}")
    return flags


def _fixed_rows(spec: GraphSpec, graph: Any) -> int | None:
    """Return how many rows a graph must be fed; None for any number."""
    (fed,) = (node for node in graph.node if node.name == node_of(spec.input))
    if "shape" not in fed.attr:
        return None
    sizes = [dim.size for dim in fed.attr["shape"].shape.dim]
    return sizes[0] if sizes and sizes[0] > 0 else None


def _batches(loaded: _Loaded, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Cut rows into batches, and pad the last one with zeros."""
    size = loaded.batch or len(rows)
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        missing = size - len(batch)
        if missing:  # `run` cuts off the outputs of the padding
            batch = np.pad(batch, [(0, missing)] + [(0, 0)] * (rows.ndim - 1))
        yield batch


def _call(
    loaded: _Loaded, spec: GraphSpec, batch: np.ndarray
) -> list[np.ndarray]:
    values = loaded.session.run(batch)
    for output, each in zip(spec.outputs, values):
        if np.shape(each)[:1] != (len(batch),):
            raise UnusableModel(
                f"{output} has the shape {np.shape(each)} for {len(batch)} rows"
            )
        if not np.issubdtype(each.dtype, np.floating):
            raise UnusableModel(
                f"{output} gives {each.dtype}, not floating-point"
            )
    return values
