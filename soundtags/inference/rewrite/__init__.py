"""Rewrite graphs so that they compute the same with less work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundtags.inference.graph_bounds import node_of
from soundtags.inference.graphdef import GraphDef
from soundtags.inference.rewrite.fourier import multiply_spectra
from soundtags.inference.rewrite.maxima import (
    move_maximum_up,
    normalise_maximum,
)
from soundtags.inference.rewrite.nodes import View, source_of
from soundtags.inference.rewrite.polyphase import (
    cut_convolution,
    cut_pooled_convolution,
)
from soundtags.inference.rewrite.reads import read_directly

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["fold"]

RULES = (
    read_directly,
    normalise_maximum,
    move_maximum_up,
    multiply_spectra,
    cut_pooled_convolution,
    cut_convolution,
)


def fold(graph: Any, outputs: Sequence[str]) -> Any:
    """Return a graph with the same outputs that takes less work.

    The layers of MusiCNN convolve, rectify, normalise, and then take maxima.
    In the rewritten graph, the scale of the normalisation is part of the
    convolution's weights, and the maxima come right after it, so that the
    other operations process only a fraction of the values.

    Convolutions of a single channel, such as mel bands, are cut into blocks,
    which fill the vectors of the processor, or become products of spectra if
    their kernels are wide; the length of the axis must be fixed. Layers that
    are not recognised in full stay as they are; so do those whose constants
    have been taken out of the graph.

    Parameters
    ----------
    graph : GraphDef
        A frozen graph, cut to what its outputs need. It is not changed.
    outputs : sequence of str
        The nodes to compute.

    Returns
    -------
    GraphDef
        The rewritten graph.

    References
    ----------
    Pons, J. and Serra, X., "musicnn: Pre-trained convolutional neural
    networks for music audio tagging", ISMIR Late-Breaking/Demo, 2019.
    """
    folded = GraphDef()
    folded.CopyFrom(graph)
    for apply in RULES:
        view = View(folded, outputs)
        for node in list(folded.node):
            apply(view, node)
        _drop_unused(folded, outputs)
    return folded


def _drop_unused(graph: Any, outputs: Sequence[str]) -> None:
    """Remove the nodes of a graph that no output needs."""
    nodes = {node.name: node for node in graph.node}
    waiting = list(map(node_of, outputs))
    needed = set()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in needed:
            needed.add(name)
            waiting.extend(map(source_of, nodes[name].input))
    for index in reversed(range(len(graph.node))):
        # It names a node to share a device with, which may be removed.
        graph.node[index].attr.pop("_class", None)
        if graph.node[index].name not in needed:
            del graph.node[index]
