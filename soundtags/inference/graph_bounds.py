"""The structure of graphs, and limits on it that are checked before loading.

A file of a kilobyte can stand for any amount of work, by functions that call
functions, and by sizes that are computed. The former are limited here. As for
the latter, shapes and branches must not depend on the numbers that are fed:
then all calls of a graph take the same time and memory, and one of them shows
what the others will take.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from soundtags.errors import UnusableModel
from soundtags.inference.graphdef import BOOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    # A node, or an argument of a function: the function that it is in ("" if
    # none), and its name there.
    Place = tuple[str, str]

MAX_NODES = 100_000  # with functions expanded; upstream's largest has 2,000
MAX_DEPTH = 16  # of functions that call one another; upstream's have 3

# Operands that determine the shape of a result, or whether there is one.
SHAPING: dict[str, tuple[int, ...]] = {
    "ConcatV2": (-1,),
    "ExpandDims": (1,),
    "Fill": (0,),
    "GatherV2": (2,),
    "Max": (1,),
    "Mean": (1,),
    "Pad": (1,),
    "PadV2": (1,),
    "Prod": (1,),
    "RandomUniform": (0,),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Slice": (1, 2),
    "Split": (0,),
    "SplitV": (1, 2),
    "StridedSlice": (1, 2, 3),
    "Sum": (1,),
    "Switch": (1,),
    "Tile": (1,),
    "Transpose": (1,),
}
# Operations whose results depend on shapes alone.
OF_SHAPES = ("Rank", "Shape")
VARYING = ("Placeholder", "RandomUniform")


def check_bounds(graph: Any) -> None:
    """Check that a graph takes no more work than its size suggests.

    Parameters
    ----------
    graph : GraphDef
        A graph whose operations are all allowed.

    Raises
    ------
    UnusableModel
        If functions call themselves, nest too deeply or expand too far, or
        if shapes or branches depend on the numbers that are fed.
    """
    library = {each.signature.name: each for each in graph.library.function}
    _check_calls(graph.node, library)
    scopes = {"": graph.node}
    scopes.update({name: each.node_def for name, each in library.items()})
    varying = _varying(scopes, library)
    for scope, nodes in scopes.items():
        for node in nodes:
            sources = _data_inputs(node)
            for operand in SHAPING.get(node.op, ()):
                place = sources[operand : operand + 1 or None]
                if place and (scope, place[0]) in varying:
                    raise UnusableModel(
                        f"the shape of {node.name} ({node.op}), or whether it"
                        " runs, depends on the input values"
                    )


def node_of(output: str) -> str:
    """Return the name of the node that an output belongs to.

    Examples
    --------
    >>> node_of("split:1"), node_of("split")
    ('split', 'split')
    """
    return output.split(":")[0]


def called(node: Any, library: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the functions that a node calls."""
    for value in node.attr.values():
        for function in (value.func, *value.list.func):
            if function.name in library:
                yield library[function.name]


class _Extent(NamedTuple):
    """How many nodes there are, with functions expanded, and how deep."""

    nodes: int
    depth: int


def _check_calls(nodes: Iterable[Any], library: Mapping[str, Any]) -> None:
    """Refuse functions that nest too deeply, or expand too far or forever."""
    extents: dict[str, _Extent] = {}

    def measure(nodes: Iterable[Any], callers: tuple[str, ...]) -> _Extent:
        count = depth = 0
        for node in nodes:
            count += 1
            for function in called(node, library):
                inner = of_function(function, callers)
                count, depth = count + inner.nodes, max(depth, inner.depth + 1)
        if count > MAX_NODES:
            raise UnusableModel(f"expands to more than {MAX_NODES} nodes")
        if depth + len(callers) > MAX_DEPTH:
            raise UnusableModel("functions are nested too deeply")
        return _Extent(count, depth)

    def of_function(function: Any, callers: tuple[str, ...]) -> _Extent:
        name = function.signature.name
        if name in callers:
            raise UnusableModel(f"the function {name} calls itself")
        if len(callers) == MAX_DEPTH:
            raise UnusableModel("functions are nested too deeply")
        if name not in extents:
            extents[name] = measure(function.node_def, (*callers, name))
        return extents[name]

    measure(nodes, ())


def _varying(
    scopes: Mapping[str, Sequence[Any]], library: Mapping[str, Any]
) -> set[Place]:
    """Return the places whose values depend on the numbers that are fed.

    Flags are not numbers: they are always fed False.
    """
    leads_to: defaultdict[Place, list[Place]] = defaultdict(list)
    waiting: list[Place] = []
    for scope, nodes in scopes.items():
        for node in nodes:
            here = (scope, node.name)
            sources = [(scope, name) for name in _data_inputs(node)]
            functions = list(called(node, library))
            for function in functions:
                name = function.signature.name
                for source, each in zip(sources, function.signature.input_arg):
                    leads_to[source].append((name, each.name))
                for output in function.ret.values():
                    leads_to[name, node_of(output)].append(here)
            if not functions and node.op not in OF_SHAPES:
                for source in sources:
                    leads_to[source].append(here)
            if node.op in VARYING and not _is_flag(node):
                waiting.append(here)
    found: set[Place] = set()
    while waiting:
        place = waiting.pop()
        if place not in found:
            found.add(place)
            waiting.extend(leads_to[place])
    return found


def _data_inputs(node: Any) -> list[str]:
    """Return the nodes whose values a node takes."""
    return [node_of(each) for each in node.input if not each.startswith("^")]


def _is_flag(node: Any) -> bool:
    is_bool: bool = node.attr["dtype"].type == BOOL
    return node.op == "Placeholder" and is_bool
