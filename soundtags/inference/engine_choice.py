"""Which engine runs the graphs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from soundtags.errors import NoTensorFlow
from soundtags.inference import tensorflow_engine
from soundtags.inference.numpy_engine import NumPy
from soundtags.inference.tensorflow_engine import TensorFlow

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundtags.inference.engine import Engine

AUTO = "auto"
ENGINES = (AUTO, TensorFlow.name, NumPy.name)  # values of the option


class EngineChoice:
    """The engine that an option names, or that runs on this machine.

    Parameters
    ----------
    option : str
        One of `ENGINES`. ``auto`` stands for TensorFlow where that loads, and
        for NumPy elsewhere.
    announce : callable
        Called with a line saying that NumPy is used instead, and why.
    check : callable
        Raises NoTensorFlow where loading TensorFlow would end the process.
    """

    def __init__(
        self,
        option: str = AUTO,
        announce: Callable[[str], object] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._option = option
        self._announce = announce
        self._check = check
        self._lock = threading.Lock()
        self._engine: Engine = NumPy() if option == NumPy.name else TensorFlow()

    @property
    def expected(self) -> Engine:
        """The engine that is going to run the graphs, as far as is known.

        Nothing is loaded to find out.
        """
        is_open = self._option == AUTO and self._engine.name != NumPy.name
        if is_open and not tensorflow_engine.is_likely():
            return NumPy()
        return self._engine

    def load(self) -> Engine:
        """Return the engine, loaded.

        Raises
        ------
        NoTensorFlow
            If it has to be TensorFlow, and that does not load.
        """
        try:
            self.check()
            self._engine.load()
        except NoTensorFlow as exc:
            self.give_up(exc)
        return self._engine

    def check(self) -> None:
        """Find out whether TensorFlow, if it is expected, can be loaded here.

        Raises
        ------
        NoTensorFlow
            If that would end the process.
        """
        if self._engine.name == TensorFlow.name:
            self._check()

    def give_up(self, reason: NoTensorFlow) -> None:
        """Do without TensorFlow from now on.

        Raises
        ------
        NoTensorFlow
            The reason, if it has to be TensorFlow.
        """
        if self._option != AUTO:
            raise reason
        with self._lock:
            if isinstance(self._engine, TensorFlow):
                self._engine = NumPy()
                self._announce(f"models run on NumPy: {reason}")
