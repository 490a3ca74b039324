"""Graphs run by TensorFlow.

Every call of a session runs in the thread that makes it. TensorFlow's own
threads, one pool per session, would compete for the cores and wait for one
another; calls from several threads at a time keep all cores busy instead, and
give the same results on any number of cores.
"""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from soundtags.errors import NoTensorFlow, UnusableModel, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from soundtags.inference.engine import Program, Session

PACKAGE = "tensorflow"
# Names that an incomplete or far too old package may lack.
NEEDED = [
    *("ConfigProto", "Graph", "GraphDef", "RunOptions", "Session"),
    *("convert_to_tensor", "get_variable", "import_graph_def", "placeholder"),
    "errors.OpError",
]
# In TensorFlow's account of an error: the node, and what went wrong there.
AT_NODE = re.compile(r"^Node: '(.+)'\n(.+)", re.MULTILINE)


class TensorFlow:
    """The engine that is fastest where it runs.

    If TensorFlow finds a GPU, it uses it, and takes only as much of its memory
    as it needs.
    """

    name = "tensorflow"

    @property
    def version(self) -> str:
        """Return the version; empty if the package has another name."""
        try:
            return metadata.version(PACKAGE)
        except metadata.PackageNotFoundError:
            return ""

    def load(self) -> None:
        tensorflow()

    def open(self, program: Program) -> Session:
        try:
            return _Session(program)
        except _errors() as exc:
            raise UnusableModel(_reason(exc)) from exc


def is_likely() -> bool:
    """Return whether TensorFlow is here and should run; loads nothing."""
    return find_spec(PACKAGE) is not None and _has_avx()


def identity() -> list[str]:
    """Return what identifies the TensorFlow that would be loaded."""
    spec = find_spec(PACKAGE)
    return [TensorFlow().version, str(spec and spec.origin)]


def processor() -> str:
    """Return what identifies this processor: its architecture and features."""
    features = sorted(name for name, has in _cpu_features().items() if has)
    return " ".join([platform.machine(), *features])


@cache
def tensorflow() -> Any:
    """Return ``tensorflow.compat.v1``, imported at the first call.

    Raises
    ------
    NoTensorFlow
        If TensorFlow is not installed, does not load, or would crash.
    """
    if not _has_avx():
        raise NoTensorFlow(
            "TensorFlow cannot run here: it needs a processor with AVX, which"
            " this one lacks"
        )
    if find_spec(PACKAGE) is None:
        raise NoTensorFlow("TensorFlow is not installed")
    # Log fatal errors only, unless the user has set a level.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        return _import_tensorflow()
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # broken installations raise anything
        raise NoTensorFlow(
            f"TensorFlow does not load: {first_line(exc)}; try: pip install"
            " --upgrade tensorflow"
        ) from exc


def _import_tensorflow() -> Any:
    """Import TensorFlow, and check that it has all the names we need."""
    import tensorflow

    tensorflow.get_logger().setLevel("ERROR")
    tf = tensorflow.compat.v1
    attrgetter(*NEEDED)(tf)
    return tf


def _has_avx() -> bool:
    """Return whether the processor has what TensorFlow is compiled for.

    Without it, the first call kills the process. NumPy detects the features.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    return _cpu_features().get("AVX", True)


def _cpu_features() -> dict[str, bool]:
    numpy = import_module("numpy._core._multiarray_umath")
    features: dict[str, bool] = getattr(numpy, "__cpu_features__", {})
    return features


class _Session:
    """A session, with the tensors that its calls feed and compute."""

    def __init__(self, program: Program) -> None:
        tf = tensorflow()
        graph, variables = _import(program.graph, program.weights)
        graph.get_tensor_by_name(_tensor(program.input))
        options = tf.ConfigProto()
        options.gpu_options.allow_growth = True
        options.intra_op_parallelism_threads = 1
        options.inter_op_parallelism_threads = 1
        # It would compute whatever it can in advance, and gain little: the
        # graph has been rewritten.
        options.graph_options.rewrite_options.disable_meta_optimizer = True
        self._input = _tensor(program.input)
        self._outputs = list(map(_tensor, program.outputs))
        self._flags = {_tensor(flag): False for flag in program.flags}
        self._session = tf.Session(graph=graph, config=options)
        for name, variable in variables.items():
            source = variable.initializer.inputs[1]
            values = program.weights.pop(name)
            self._session.run(variable.initializer, {source: values})

    def run(self, rows: np.ndarray) -> list[np.ndarray]:
        tf = tensorflow()
        try:
            values: list[np.ndarray] = self._session.run(
                self._outputs,
                {self._input: rows, **self._flags},
                tf.RunOptions(inter_op_thread_pool=-1),  # in the calling thread
            )
        except _errors() as exc:
            raise UnusableModel(_reason(exc)) from exc
        return values

    def close(self) -> None:
        self._session.close()


def _import(
    definition: Any, weights: Mapping[str, np.ndarray]
) -> tuple[Any, dict[str, Any]]:
    """Import a graph; return it, and the variables that hold its weights."""
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
        tf.import_graph_def(_parse(definition), values, name="")
    return graph, variables


def _parse(definition: Any) -> Any:
    """Return a graph as one of TensorFlow's own messages."""
    content = definition.SerializeToString()
    try:
        return tensorflow().GraphDef.FromString(content)
    except Exception as exc:  # the parser's own error class is private
        raise ValueError(f"not a TensorFlow graph: {first_line(exc)}") from exc


def _errors() -> tuple[type[Exception], ...]:
    """Return what TensorFlow raises for graphs that it cannot run."""
    return KeyError, TypeError, ValueError, tensorflow().errors.OpError


def _reason(exc: Exception) -> str:
    """Return the line of an error that says what is wrong."""
    at_node = AT_NODE.search(str(exc))
    return ": ".join(at_node.groups()) if at_node else first_line(exc)


def _tensor(node: str) -> str:
    return node if ":" in node else f"{node}:0"
