"""Read frozen variables as the constants that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundtags.inference.rewrite.nodes import View


def read_directly(view: View, node: Any) -> None:
    """Connect a node with the constants that it reads by way of others.

    Freezing leaves a node between each variable and what uses it. TensorFlow
    then rearranges the weights of a convolution at each call, as it cannot
    know that they stay the same.

    Parameters
    ----------
    view : View
        The graph.
    node : NodeDef
        Any node.
    """
    for index, name in enumerate(node.input):
        read = view.nodes.get(name)
        if read is None or read.op != "Identity" or len(read.input) != 1:
            continue
        source = view.nodes.get(read.input[0])
        if source is not None and source.op == "Const":
            node.input[index] = source.name
