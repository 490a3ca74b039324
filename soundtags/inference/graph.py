"""Read frozen graphs, refuse unsafe ones, and keep only what is needed."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.errors import UnusableModel
from soundtags.inference.graph_bounds import called, check_bounds, node_of
from soundtags.inference.graphdef import DTYPES, GraphDef, to_array
from soundtags.models.catalogue import data_folder
from soundtags.models.installed import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

MAX_RANK = 32  # of a constant
# Constants of more bytes are taken out of the graph; those of MusiCNN are all
# smaller.
LARGE_CONSTANT = 4 * 10**6
LOCATION = "loc:@"  # before the name of a node to be colocated with
NEGLIGIBLE = 1e-20  # weights below this change nothing in single precision


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
    graph : GraphDef
        The part of the graph that leads to the outputs.
    weights : dict of str to numpy.ndarray
        Name to value of each large constant that was removed.

    Raises
    ------
    UnusableModel
        If the file is not a graph, is too large, lacks one of the nodes, has
        an operation that is not allowed, or could take any amount of work.
    """
    graph = _parse(path)
    allowed = _allowed()
    functions = list(graph.library.function)
    known = allowed["run"] | allowed["idle"]
    _refuse(path, operations(graph.node, functions) - known)
    _check_functions(path, functions, known)
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
    try:
        check_bounds(graph)
    except UnusableModel as exc:
        raise UnusableModel(f"{path.name}: {exc}") from exc
    needed = {node.name for node in graph.node} & weights.keys()
    for index in reversed(range(len(graph.node))):
        if graph.node[index].name in needed:
            del graph.node[index]
    return graph, {name: weights[name] for name in needed}


def cut(graph: Any, outputs: Sequence[str]) -> Any:
    """Return the part of a graph that outputs need, with its functions."""
    library = {each.signature.name: each for each in graph.library.function}
    needed = GraphDef(node=_needed_nodes(graph, map(node_of, outputs)))
    needed.versions.CopyFrom(graph.versions)
    needed.library.function.extend(_called(needed.node, library))
    return needed


def _needed_nodes(graph: Any, names: Iterable[str]) -> list[Any]:
    """Return some nodes and all that they need, in the order of the graph.

    Raises
    ------
    KeyError
        If one of them is missing.
    """
    nodes = {node.name: node for node in graph.node}
    waiting, needed = list(names), set()
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [
                node_of(each).removeprefix("^") for each in nodes[name].input
            ]
            waiting += _colocated(nodes[name])
    return [node for name, node in nodes.items() if name in needed]


def _colocated(node: Any) -> list[str]:
    """Return the nodes that have to be on the same device as a node."""
    if "_class" not in node.attr:
        return []
    found = [each.decode() for each in node.attr["_class"].list.s]
    return [
        each[len(LOCATION) :] for each in found if each.startswith(LOCATION)
    ]


@cache
def _allowed() -> dict[str, set[str]]:
    path = data_folder() / "allowed_operations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    return {kind: set(names) for kind, names in content.items()}


def _parse(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnusableModel(f"{path.name}: too large for a model")
        return GraphDef.FromString(path.read_bytes())
    except OSError as exc:
        raise UnusableModel(f"{path.name}: {exc.strerror}") from exc
    except UnusableModel:
        raise
    except Exception as exc:  # the parser's own error class is private
        raise UnusableModel(
            f"{path.name}: not a TensorFlow graph; remove it and fetch it again"
        ) from exc


def operations(nodes: Iterable[Any], functions: Sequence[Any]) -> set[str]:
    """Return the names of the operations in nodes and functions."""
    return {node.op for node in [*nodes, *_inner_nodes(functions)]}


def _called(nodes: Iterable[Any], library: Mapping[str, Any]) -> list[Any]:
    """Return the functions that nodes call, directly or indirectly."""
    found: dict[str, Any] = {}
    waiting = list(nodes)
    while waiting:
        for function in called(waiting.pop(), library):
            name = function.signature.name
            if name not in found:
                found[name] = function
                waiting.extend(function.node_def)
    return list(found.values())


def _flush_weights(graph: Any) -> None:
    """Set weights that are almost zero to zero.

    Training leaves them in channels that contribute nothing. Their products
    are denormal numbers, which take a processor up to a hundred times as long.
    """
    for node in graph.node:
        if node.op != "Const" or not node.attr["value"].tensor.tensor_content:
            continue
        if node.attr["value"].tensor.dtype not in DTYPES:
            continue
        values = to_array(node.attr["value"].tensor)
        if values.dtype != np.float32:
            continue
        tiny = (values != 0) & (np.abs(values) < NEGLIGIBLE)
        if tiny.any():
            flushed = np.where(tiny, np.float32(0), values)
            node.attr["value"].tensor.tensor_content = flushed.tobytes()


def _take_weights(graph: Any) -> dict[str, np.ndarray]:
    """Remove the values of large constants from a graph, and return them."""
    weights = {}
    for node in graph.node:
        if node.op == "Const" and node.ByteSize() > LARGE_CONSTANT:
            tensor = node.attr["value"].tensor
            weights[node.name] = to_array(tensor)
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


def _check_functions(
    path: Path, functions: Iterable[Any], known: Collection[str]
) -> None:
    """Refuse functions that may do something other than their calls say.

    TensorFlow would run a function that has the name of an operation instead
    of the operation, and put anything that a call names in the place of a
    parameter.
    """
    for each in functions:
        parametric = any(
            value.placeholder
            for node in each.node_def
            for value in node.attr.values()
        )
        if each.signature.name in known or parametric:
            raise UnusableModel(
                f"{path.name}: has an ambiguous function"
                f" ({each.signature.name}); do not use it"
            )


def _check_constants(path: Path, nodes: Iterable[Any]) -> None:
    """Refuse graphs whose constants are far larger than the file.

    A single stored value can stand for all elements of a huge shape.
    """
    total = 0
    for node in nodes:
        if node.op == "Const":
            shape = node.attr["value"].tensor.tensor_shape.dim
            if len(shape) > MAX_RANK:
                raise UnusableModel(f"{path.name}: damaged: {len(shape)} axes")
            total += 4 * math.prod(max(1, each.size) for each in shape)
    if total > MAX_BYTES:
        raise UnusableModel(f"{path.name}: too large for a model")
