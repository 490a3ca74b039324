"""Read frozen graphs, refuse unsafe ones, and keep only what is needed."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.errors import NoTensorFlow, UnusableModel
from soundtags.models.catalogue import data_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

MAX_BYTES = 10**9  # of a graph; upstream's largest has 350 MB
# Bytes from which a constant is taken out of the graph; those of MusiCNN are
# all smaller.
LARGE_CONSTANT = 4 * 10**6
NEGLIGIBLE = 1e-20  # weights below this change nothing in single precision


@cache
def tensorflow() -> Any:
    """Return ``tensorflow.compat.v1``, imported at the first call.

    Raises
    ------
    NoTensorFlow
        If TensorFlow is not installed, or does not load.
    """
    # Log fatal errors only, unless the user has set a level.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow
    except ImportError as exc:
        raise NoTensorFlow(
            f"TensorFlow does not load: {exc}; try: pip install tensorflow"
        ) from exc

    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow.compat.v1


def read_graph(
    path: Path, outputs: Sequence[str]
) -> tuple[Any, dict[str, np.ndarray]]:
    """Read the part of a frozen graph that leads to some outputs.

    A graph is a program whose operations could read and write files. Only
    operations from a list, derived from upstream's models, are allowed. Those
    that save a model occur in some of upstream's files; they are tolerated in
    the file, but not in the part that runs.

    Large constants are removed from the graph and returned separately, to be
    fed as variables: TensorFlow would copy them several times and try to fold
    them, which takes six times the memory and most of the time until the
    first result.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    outputs : sequence of str
        The nodes to compute.

    Returns
    -------
    graph : tensorflow.compat.v1.GraphDef
        The part of the graph that leads to the outputs.
    weights : dict of str to numpy.ndarray
        Name to value of each large constant that was removed.

    Raises
    ------
    UnusableModel
        If the file is not a graph, is too large, lacks one of the nodes or
        has an operation that is not allowed.
    NoTensorFlow
        If TensorFlow does not load.
    """
    graph = _parse(path)
    allowed = _allowed()
    functions = list(graph.library.function)
    found = operations(graph.node, functions)
    _refuse(path, found - allowed["run"] - allowed["idle"])
    _check_constants(path, [*graph.node, *_inner_nodes(functions)])
    names = {node.name for node in graph.node}
    for output in outputs:
        if node_of(output) not in names:
            raise UnusableModel(f"{path.name}: has no node {output}")
    try:
        _flush_weights(graph)
        weights = _take_weights(graph)
        graph = cut(graph, outputs)
    except (AssertionError, KeyError, TypeError, ValueError) as exc:
        raise UnusableModel(f"{path.name}: damaged: {exc!r}") from exc
    _refuse(
        path, operations(graph.node, graph.library.function) - allowed["run"]
    )
    needed = {node.name for node in graph.node} & weights.keys()
    for index in reversed(range(len(graph.node))):
        if graph.node[index].name in needed:
            del graph.node[index]
    return graph, {name: weights[name] for name in needed}


def cut(graph: Any, outputs: Sequence[str]) -> Any:
    """Return the part of a graph that outputs need, with its functions."""
    library = {each.signature.name: each for each in graph.library.function}
    needed = tensorflow().graph_util.extract_sub_graph(
        graph, [node_of(output) for output in outputs]
    )
    needed.ClearField("library")
    needed.library.function.extend(_called(needed.node, library))
    return needed


def node_of(output: str) -> str:
    """Return the name of the node that an output belongs to.

    Examples
    --------
    >>> node_of("split:1"), node_of("split")
    ('split', 'split')
    """
    return output.split(":")[0]


@cache
def _allowed() -> dict[str, set[str]]:
    path = data_folder() / "operations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    return {kind: set(names) for kind, names in content.items()}


def _parse(path: Path) -> Any:
    definition = tensorflow().GraphDef
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnusableModel(f"{path.name}: too large for a model")
        return definition.FromString(path.read_bytes())
    except OSError as exc:
        raise UnusableModel(f"{path}: {exc.strerror}") from exc
    except UnusableModel:
        raise
    except Exception as exc:  # the parser's own error class is private
        raise UnusableModel(
            f"{path}: not a TensorFlow graph; remove it and get it again"
        ) from exc


def operations(nodes: Iterable[Any], functions: Sequence[Any]) -> set[str]:
    """Return the names of the operations in nodes and functions."""
    return {node.op for node in [*nodes, *_inner_nodes(functions)]}


def _called(nodes: Iterable[Any], library: Mapping[str, Any]) -> list[Any]:
    """Return the functions that nodes call, directly or indirectly."""
    found: dict[str, Any] = {}
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        called = []
        for value in node.attr.values():
            called.append(value.func.name)
            called.extend(func.name for func in value.list.func)
        for name in called:
            if name in library and name not in found:
                found[name] = library[name]
                waiting.extend(library[name].node_def)
    return list(found.values())


def _flush_weights(graph: Any) -> None:
    """Set weights that are next to zero to zero.

    Training leaves them in channels that contribute nothing. Their products
    are denormal numbers, which take a processor up to a hundred times as long.
    """
    for node in graph.node:
        if node.op != "Const" or not node.attr["value"].tensor.tensor_content:
            continue
        values = tensorflow().make_ndarray(node.attr["value"].tensor)
        tiny = (values != 0) & (np.abs(values) < NEGLIGIBLE)
        if values.dtype == np.float32 and tiny.any():
            flushed = np.where(tiny, np.float32(0), values)
            node.attr["value"].tensor.tensor_content = flushed.tobytes()


def _take_weights(graph: Any) -> dict[str, np.ndarray]:
    """Remove the values of large constants from a graph, and return them."""
    weights = {}
    for node in graph.node:
        if node.op == "Const" and node.ByteSize() > LARGE_CONSTANT:
            tensor = node.attr["value"].tensor
            weights[node.name] = tensorflow().make_ndarray(tensor)
            node.ClearField("attr")
    return weights


def _refuse(path: Path, operations: set[str]) -> None:
    if operations:
        raise UnusableModel(
            f"{path.name}: has operations that no model needs"
            f" ({', '.join(sorted(operations))}); do not use it"
        )


def _inner_nodes(functions: Iterable[Any]) -> list[Any]:
    return [node for each in functions for node in each.node_def]


def _check_constants(path: Path, nodes: Iterable[Any]) -> None:
    """Refuse graphs whose constants are far larger than the file.

    A single stored value can stand for all elements of a huge shape.
    """
    total = 0
    for node in nodes:
        if node.op == "Const":
            size = 1
            for dimension in node.attr["value"].tensor.tensor_shape.dim:
                size *= max(1, dimension.size)
            total += 4 * size
    if total > MAX_BYTES:
        raise UnusableModel(f"{path.name}: too large for a model")
