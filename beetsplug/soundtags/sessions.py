"""A pool of TensorFlow sessions: one per graph, shared by all threads."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from .errors import NoTensorFlow, UnusableModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np

# Resident memory of a session that has run, per byte of its graph: TensorFlow
# keeps the weights in the graph, in the session and in what it optimised.
# Measured with 256 MB of them, which took 1.3 GB.
MEMORY_PER_BYTE = 5


@dataclass
class _Entry:
    session: Any = None
    memory: int = 0
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
        self._entries: OrderedDict[Path, _Entry] = OrderedDict()

    def run(
        self, graph: Path, outputs: Sequence[str], name: str, batch: np.ndarray
    ) -> list[np.ndarray]:
        """Run a graph.

        Parameters
        ----------
        graph
            File with the frozen graph.
        outputs
            Nodes whose values are wanted.
        name
            Node that is fed.
        batch
            What to feed.

        Raises
        ------
        UnusableModel
            If the graph cannot be loaded, or lacks one of the nodes.
        """
        with self._session(graph) as session:
            try:
                values: list[np.ndarray] = session.run(
                    [_tensor(output) for output in outputs],
                    {_tensor(name): batch},
                )
            except (
                KeyError,
                TypeError,
                ValueError,
                tensorflow().errors.OpError,
            ) as exc:
                reason = str(exc).splitlines()[0]
                raise UnusableModel(f"{graph.name}: {reason}") from exc
        return values

    def close(self) -> None:
        """Close all sessions."""
        with self._lock:
            for entry in self._entries.values():
                if entry.session is not None:
                    entry.session.close()
            self._entries.clear()

    @contextmanager
    def _session(self, graph: Path) -> Iterator[Any]:
        with self._lock:
            entry = self._entries.setdefault(graph, _Entry())
            self._entries.move_to_end(graph)
            entry.users += 1
        try:
            with entry.lock:  # of two threads that want it, one loads it
                if entry.session is None:
                    entry.session = _load(graph)
                    entry.memory = graph.stat().st_size * MEMORY_PER_BYTE
            self._evict()
            yield entry.session
        finally:
            with self._lock:
                entry.users -= 1

    def _evict(self) -> None:
        with self._lock:
            taken = sum(entry.memory for entry in self._entries.values())
            for graph, entry in list(self._entries.items()):
                if taken <= self._memory:
                    return
                if entry.users == 0 and entry.session is not None:
                    entry.session.close()
                    taken -= entry.memory
                    del self._entries[graph]


@cache
def tensorflow() -> Any:
    """Return TensorFlow's API for graphs; loads it at the first call.

    Raises
    ------
    NoTensorFlow
        If it cannot be loaded.
    """
    # "3" leaves out all but fatal messages; a user's own choice stands.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow
    except ImportError as exc:
        raise NoTensorFlow(
            f"TensorFlow does not load: {exc}; try: pip install tensorflow"
        ) from exc

    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow.compat.v1


def _load(graph: Path) -> Any:
    tf = tensorflow()
    try:
        definition = tf.GraphDef.FromString(graph.read_bytes())
        with tf.Graph().as_default() as loaded:
            tf.import_graph_def(definition, name="")
    except OSError as exc:
        raise UnusableModel(f"{graph}: {exc.strerror}") from exc
    except Exception as exc:  # the parser's own error class is private
        raise UnusableModel(
            f"{graph}: not a TensorFlow graph; remove it and get it again"
        ) from exc
    options = tf.ConfigProto()
    options.gpu_options.allow_growth = True
    # Convolutions share the cores among themselves. Every further thread here
    # would keep scratch memory of its own (0.3 GB each) and save no time.
    options.inter_op_parallelism_threads = 1
    return tf.Session(graph=loaded, config=options)


def _tensor(node: str) -> str:
    return node if ":" in node else f"{node}:0"
