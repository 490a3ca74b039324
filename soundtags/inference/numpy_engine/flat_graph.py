"""The nodes of a graph, with calls replaced by the functions they call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from soundtags.errors import UnusableModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    # The name of a node, and the index of one of its outputs.
    Source = tuple[str, int]

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# By operation: the indices of outputs that functions refer to by name.
OUTPUTS = {
    "FusedBatchNorm": {"y": 0},
    "FusedBatchNormV3": {"y": 0},
    "Merge": {"output": 0, "value_index": 1},
    "Switch": {"output_false": 0, "output_true": 1},
}


class Node(NamedTuple):
    """A node.

    Attributes
    ----------
    definition : NodeDef
        Its operation and attributes.
    inputs : tuple of Source
        Where the values that it takes come from.
    """

    definition: Any
    inputs: tuple[Source, ...]


class FlatGraph:
    """A graph without functions.

    Parameters
    ----------
    graph : GraphDef
        A graph whose functions do not call themselves.

    Attributes
    ----------
    nodes : dict of str to Node
        All nodes by name, those of functions prefixed with their call's name.
    """

    def __init__(self, graph: Any) -> None:
        self.nodes: dict[str, Node] = {}
        self._aliases: dict[Source, Source] = {}
        self._library = {f.signature.name: f for f in graph.library.function}
        self._add(graph.node, "", {})

    def resolve(self, source: Source) -> Source:
        """Return the output that a source stands for."""
        while source in self._aliases:
            source = self._aliases[source]
        return source

    def _add(
        self, nodes: Iterable[Any], prefix: str, args: Mapping[str, Source]
    ) -> None:
        """Add the nodes of the graph, or of a function that is called."""
        operations = {node.name: node.op for node in nodes}
        for node in nodes:
            name = prefix + node.name
            inputs = tuple(
                _source(each, prefix, args, operations)
                for each in node.input
                if not each.startswith("^")
            )
            if node.op in CALLS:
                self._call(node.attr["f"].func.name, name, inputs)
            else:
                self.nodes[name] = Node(node, inputs)

    def _call(self, name: str, call: str, inputs: Iterable[Source]) -> None:
        if name not in self._library:
            raise UnusableModel(f"lacks the function {name}")
        function = self._library[name]
        signature = function.signature
        args = {
            arg.name: source for arg, source in zip(signature.input_arg, inputs)
        }
        prefix = f"{call}/"
        self._add(function.node_def, prefix, args)
        operations = {node.name: node.op for node in function.node_def}
        for index, arg in enumerate(signature.output_arg):
            output = function.ret[arg.name]
            self._aliases[call, index] = _source(
                output, prefix, args, operations
            )


def source_of(output: str) -> Source:
    """Return an output of the whole graph as a source.

    Examples
    --------
    >>> source_of("split:1"), source_of("split")
    (('split', 1), ('split', 0))
    """
    name, _, index = output.partition(":")
    return name, int(index or 0)


def _source(
    text: str,
    prefix: str,
    args: Mapping[str, Source],
    operations: Mapping[str, str],
) -> Source:
    """Return an input of a node as a source.

    In functions, the input is an argument, or has the form
    ``node:kind:index``.
    """
    if text in args:
        return args[text]
    name, *kind, index = text.split(":") if ":" in text else (text, "0")
    first = 0
    if kind:
        first = OUTPUTS.get(operations.get(name, ""), {}).get(kind[0], 0)
    return prefix + name, first + int(index)
