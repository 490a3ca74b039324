"""The interface between the pool of sessions and what runs the graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


@dataclass(frozen=True)
class Program:
    """A graph that is ready to be loaded, and how it is called.

    Attributes
    ----------
    graph : GraphDef
        The part of a frozen graph that leads to its outputs.
    weights : dict of str to numpy.ndarray
        Name to value of large constants that are not in the graph. An engine
        may take them out, to free memory.
    input : str
        The node that is fed.
    outputs : sequence of str
        The nodes to compute.
    flags : sequence of str
        Boolean inputs, such as the training flag, which are always False.
    """

    graph: Any
    weights: dict[str, np.ndarray]
    input: str
    outputs: Sequence[str]
    flags: Sequence[str]


class Session(Protocol):
    """A graph that an engine has loaded. Threads may share it."""

    def run(self, rows: np.ndarray) -> list[np.ndarray]:
        """Compute the outputs, in a single thread.

        Raises
        ------
        UnusableModel
            If that fails. The message does not name the model.
        """
        ...

    def close(self) -> None:
        """Release the memory."""
        ...


class Engine(Protocol):
    """What runs graphs: TensorFlow or NumPy."""

    @property
    def name(self) -> str:
        """What the option ``engine`` calls it."""
        ...

    @property
    def version(self) -> str:
        """The version of the package behind it."""
        ...

    def load(self) -> None:
        """Import the package behind the engine.

        Raises
        ------
        NoTensorFlow
            If that is TensorFlow, and it does not load.
        """
        ...

    def open(self, program: Program) -> Session:
        """Load a graph.

        Raises
        ------
        UnusableModel
            If that fails. The message does not name the model.
        """
        ...
