"""Graphs run by NumPy alone, where TensorFlow cannot run or is not wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundtags.blas import single_threaded
from soundtags.errors import UnusableModel
from soundtags.inference.numpy_engine.steps import ERRORS, compile_steps

if TYPE_CHECKING:
    from soundtags.inference.engine import Program, Session
    from soundtags.inference.numpy_engine.steps import Steps


class NumPy:
    """The engine that runs everywhere.

    Calls run in the thread that makes them, matrix products included, so that
    results do not depend on the number of cores.
    """

    name = "numpy"
    version = np.__version__

    def load(self) -> None:
        pass

    def open(self, program: Program) -> Session:
        try:
            return _Session(compile_steps(program))
        except ERRORS as exc:
            raise UnusableModel(f"damaged: {exc!r}") from exc


class _Session:
    """A compiled graph. Its memory is freed with it."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def run(self, rows: np.ndarray) -> list[np.ndarray]:
        with single_threaded():
            return self._steps.run(rows)

    def close(self) -> None:
        pass
