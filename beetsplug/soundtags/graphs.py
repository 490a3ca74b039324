"""Graph files to graphs that are safe to run, and no larger than needed."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from .catalogue import data_folder
from .errors import NoTensorFlow, UnusableModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

MAX_BYTES = 10**9  # upstream's largest graph has 350 MB
LARGE = 4 * 10**6  # bytes of a constant; those of MusiCNN are all smaller


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


def read_graph(
    path: Path, outputs: Sequence[str]
) -> tuple[Any, dict[str, np.ndarray]]:
    """Read a frozen graph and keep what its outputs need.

    A graph is a program: its operations could read and write files. Those
    that the models at hand use are allowed, by a list derived from them. The
    few that save a model are in some of upstream's files, too; they may be in
    a file, but not among what is run.

    Large constants are taken out. In a graph, TensorFlow would copy them
    several times over and try to compute with them beforehand, which takes six
    times the memory and most of the time until the first result.

    Parameters
    ----------
    path
        The file.
    outputs
        Nodes whose values are wanted.

    Returns
    -------
    graph : tensorflow.compat.v1.GraphDef
        The part of the graph that leads to the outputs.
    weights : dict
        Node that was taken out of it to its value.

    Raises
    ------
    UnusableModel
        If it is no graph, lacks a node, is too large or has an operation
        that is not allowed.
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
        weights = _take_weights(graph)
        graph = cut(graph, outputs)
    except (AssertionError, KeyError, TypeError, ValueError) as exc:
        raise UnusableModel(f"{path.name}: not in order: {exc!r}") from exc
    _refuse(
        path, operations(graph.node, graph.library.function) - allowed["run"]
    )
    needed = {node.name for node in graph.node} & weights.keys()
    for index in reversed(range(len(graph.node))):
        if graph.node[index].name in needed:
            del graph.node[index]
    return graph, {name: weights[name] for name in needed}


def cut(graph: Any, outputs: Sequence[str]) -> Any:
    """Return the part of a graph, functions included, that outputs need."""
    library = {each.signature.name: each for each in graph.library.function}
    needed = tensorflow().graph_util.extract_sub_graph(
        graph, [node_of(output) for output in outputs]
    )
    needed.ClearField("library")
    needed.library.function.extend(_called(needed.node, library))
    return needed


def node_of(output: str) -> str:
    """Return the node that an output, such as ``node:1``, is of."""
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
    """Return the operations of some nodes and functions."""
    return {node.op for node in [*nodes, *_inner_nodes(functions)]}


def _called(nodes: Iterable[Any], library: Mapping[str, Any]) -> list[Any]:
    """Return the functions that some nodes call, directly or not."""
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


def _take_weights(graph: Any) -> dict[str, np.ndarray]:
    """Empty the large constants of a graph, and return their values."""
    weights = {}
    for node in graph.node:
        if node.op == "Const" and node.ByteSize() > LARGE:
            tensor = node.attr["value"].tensor
            weights[node.name] = tensorflow().make_ndarray(tensor)
            node.ClearField("attr")
    return weights


def _refuse(path: Path, operations: set[str]) -> None:
    if operations:
        raise UnusableModel(
            f"{path.name}: has operations that no model needs:"
            f" {', '.join(sorted(operations))}; do not use it"
        )


def _inner_nodes(functions: Iterable[Any]) -> list[Any]:
    return [node for each in functions for node in each.node_def]


def _check_constants(path: Path, nodes: Iterable[Any]) -> None:
    """Refuse constants that a few bytes of the file blow up."""
    total = 0
    for node in nodes:
        if node.op == "Const":
            size = 1
            for dimension in node.attr["value"].tensor.tensor_shape.dim:
                size *= max(1, dimension.size)
            total += 4 * size
    if total > MAX_BYTES:
        raise UnusableModel(f"{path.name}: too large for a model")
