"""Attributes of nodes."""

from __future__ import annotations

from typing import Any

from soundtags.inference.graphdef import LAYOUT, attribute


class UnknownAttribute(Exception):
    """A node has an attribute with a value that is not implemented."""


def sizes(node: Any, name: str, default: tuple[int, ...] = ()) -> list[int]:
    """Return an attribute that is a list of whole numbers."""
    return list(node.attr[name].list.i if name in node.attr else default)


def require(node: Any, name: str, kind: str, value: Any) -> None:
    """Require an attribute to have a value, which is its default.

    Raises
    ------
    UnknownAttribute
        If it has another one.
    """
    found = attribute(node, name, kind, value)
    if found != value:
        raise UnknownAttribute(f"{name}={found!r}")


def image_sizes(node: Any, name: str) -> tuple[int, int]:
    """Return height and width from an attribute with one number per axis.

    Raises
    ------
    UnknownAttribute
        If channels are not last, or the number of another axis is not 1.
    """
    require(node, "data_format", "s", LAYOUT)
    rows, height, width, channels = sizes(node, name, (1, 1, 1, 1))
    if (rows, channels) != (1, 1):
        raise UnknownAttribute(f"{name} of {[rows, height, width, channels]}")
    return height, width
