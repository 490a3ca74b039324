"""A pool of TensorFlow sessions: one per graph, shared by all threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import UnusableModel
from .folding import fold
from .graphs import node_of, read_graph, tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    Spread = Callable[
        [Callable[[np.ndarray], list[np.ndarray]], Iterable[np.ndarray]],
        Iterable[list[np.ndarray]],
    ]

# Resident memory of a session that has run, per byte of its graph: measured
# with graphs of 288 MB, whose sessions take 325 MB each.
MEMORY_PER_BYTE = 1.2


@dataclass(frozen=True)
class Job:
    """What is wanted of a graph.

    Attributes
    ----------
    graph
        File with the frozen graph.
    input
        Node that is fed.
    outputs
        Nodes whose values are wanted.
    batch
        Rows per call, unless the graph has that fixed; None for all. Fewer
        are filled up: what a row gives would else depend, in its last digits,
        on how many others there happen to be.
    """

    graph: Path
    input: str
    outputs: tuple[str, ...]
    batch: int | None = None

    @property
    def memory(self) -> float:
        """Bytes that a session for it takes, about."""
        try:
            return self.graph.stat().st_size * MEMORY_PER_BYTE
        except OSError:  # reported when it is loaded
            return 0


@dataclass
class _Loaded:
    session: Any
    batch: int | None  # rows per call; None for all
    flags: dict[str, bool]  # fed with every call


@dataclass
class _Entry:
    loaded: _Loaded | None = None
    memory: float = 0
    users: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class SessionPool:
    """Keeps sessions open, as far as memory allows.

    Parameters
    ----------
    memory
        Bytes that open sessions may take. Beyond, the least recently used
        ones that nobody is running are closed.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._entries: OrderedDict[Job, _Entry] = OrderedDict()

    def fits(self, jobs: Iterable[Job]) -> bool:
        """Whether sessions for all these jobs can be open together."""
        return sum(job.memory for job in jobs) <= self._memory

    def check(self, jobs: Sequence[Job]) -> dict[str, UnusableModel]:
        """Read graphs, and load them if they fit into memory together.

        Parameters
        ----------
        jobs
            The graphs and their nodes.

        Returns
        -------
        dict
            Name of each graph that cannot be used, without the ending, to
            what is wrong with it.
        """
        fits, faults = self.fits(jobs), {}
        for job in jobs:
            try:
                if fits:
                    with self._loaded(job):
                        pass
                else:
                    read_graph(job.graph, job.outputs)
            except UnusableModel as exc:
                faults[job.graph.stem] = exc
        return faults

    def run(
        self, job: Job, rows: np.ndarray, spread: Spread = map
    ) -> dict[str, np.ndarray]:
        """Run a graph.

        Parameters
        ----------
        job
            The graph and its nodes.
        rows
            What to feed: patches or embeddings, one per row.
        spread
            Makes the single calls, such as the ``map`` of an executor. Each
            call keeps one core busy.

        Returns
        -------
        dict
            Output to its values, one row for each that was fed.

        Raises
        ------
        UnusableModel
            If the graph cannot be loaded or run, or lacks one of the nodes.
        """
        with self._loaded(job) as loaded:
            try:
                parts = list(
                    spread(partial(_call, loaded, job), _batches(loaded, rows))
                )
            except (
                KeyError,
                TypeError,
                ValueError,
                tensorflow().errors.OpError,
            ) as exc:
                reason = str(exc).splitlines()[0]
                raise UnusableModel(f"{job.graph.name}: {reason}") from exc
        return {
            output: np.concatenate(values)[: len(rows)]
            for output, values in zip(job.outputs, zip(*parts))
        }

    def close(self) -> None:
        """Close all sessions."""
        with self._lock:
            for entry in self._entries.values():
                if entry.loaded is not None:
                    entry.loaded.session.close()
            self._entries.clear()

    @contextmanager
    def _loaded(self, job: Job) -> Iterator[_Loaded]:
        with self._lock:
            entry = self._entries.setdefault(job, _Entry())
            self._entries.move_to_end(job)
            entry.users += 1
        try:
            with entry.lock:  # of two threads that want it, one loads it
                loaded = entry.loaded or self._fill(entry, job)
            yield loaded
        finally:
            with self._lock:
                entry.users -= 1

    def _fill(self, entry: _Entry, job: Job) -> _Loaded:
        entry.memory = job.memory
        self._make_room()
        try:
            entry.loaded = _load(job)
        except BaseException:
            entry.memory = 0
            raise
        return entry.loaded

    def _make_room(self) -> None:
        with self._lock:
            taken = sum(entry.memory for entry in self._entries.values())
            for job, entry in list(self._entries.items()):
                if taken <= self._memory:
                    return
                if entry.users == 0 and entry.loaded is not None:
                    entry.loaded.session.close()
                    taken -= entry.memory
                    del self._entries[job]


def _load(job: Job) -> _Loaded:
    tf = tensorflow()
    definition, weights = read_graph(job.graph, job.outputs)
    flags = _flags(job, definition)
    definition = fold(definition, job.outputs)
    try:
        graph, variables = _import(definition, weights)
        shape = graph.get_tensor_by_name(_tensor(job.input)).shape
    except (KeyError, ValueError) as exc:
        reason = str(exc).splitlines()[0]
        raise UnusableModel(f"{job.graph.name}: {reason}") from exc
    options = tf.ConfigProto()
    options.gpu_options.allow_growth = True
    # Whoever calls does the work: several calls at a time keep several cores
    # busy without ever waiting for each other.
    options.intra_op_parallelism_threads = 1
    options.inter_op_parallelism_threads = 1
    session = tf.Session(graph=graph, config=options)
    for name, variable in variables.items():
        source = variable.initializer.inputs[1]
        session.run(variable.initializer, {source: weights.pop(name)})
    fixed = shape[0] if shape.rank else None
    return _Loaded(session, fixed or job.batch, flags)


def _import(
    definition: Any, weights: Mapping[str, np.ndarray]
) -> tuple[Any, dict[str, Any]]:
    """Return a graph, and its variables in place of the weights."""
    tf = tensorflow()
    with tf.Graph().as_default() as graph:
        variables = {
            name: tf.get_variable(
                f"weights_{number}",
                initializer=tf.placeholder(value.dtype, value.shape),
                use_resource=True,
            )
            for number, (name, value) in enumerate(weights.items())
        }
        values = {
            _tensor(name): tf.convert_to_tensor(variable)
            for name, variable in variables.items()
        }
        tf.import_graph_def(definition, values, name="")
    return graph, variables


def _flags(job: Job, definition: Any) -> dict[str, bool]:
    """Return the flags that a graph wants fed: that it is not training."""
    bool_ = tensorflow().bool.as_datatype_enum
    if node_of(job.input) not in {node.name for node in definition.node}:
        raise UnusableModel(
            f"{job.graph.name}: no node {job.input} that leads to"
            f" {', '.join(job.outputs)}"
        )
    flags = {}
    for node in definition.node:
        if node.name == node_of(job.input):
            continue
        if node.op == "Placeholder" and node.attr["dtype"].type == bool_:
            flags[_tensor(node.name)] = False
        elif node.op == "Placeholder":
            raise UnusableModel(
                f"{job.graph.name}: wants to be fed {node.name}, too"
            )
    return flags


def _batches(loaded: _Loaded, rows: np.ndarray) -> Iterator[np.ndarray]:
    size = loaded.batch or len(rows)
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        missing = size - len(batch)  # what is too much is cut off again
        if missing:
            batch = np.pad(batch, [(0, missing)] + [(0, 0)] * (rows.ndim - 1))
        yield batch


def _call(loaded: _Loaded, job: Job, batch: np.ndarray) -> list[np.ndarray]:
    tf = tensorflow()
    values: list[np.ndarray] = loaded.session.run(
        [_tensor(output) for output in job.outputs],
        {_tensor(job.input): batch, **loaded.flags},
        tf.RunOptions(inter_op_thread_pool=-1),  # none: in this thread
    )
    return values


def _tensor(node: str) -> str:
    return node if ":" in node else f"{node}:0"
