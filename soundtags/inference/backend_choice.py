"""Which backend runs the graphs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from soundtags.errors import NoTensorFlow
from soundtags.inference import tensorflow_backend
from soundtags.inference.numpy_backend import NumPy
from soundtags.inference.tensorflow_backend import TensorFlow

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundtags.inference.backend import Backend

AUTO = "auto"
ENGINES = (AUTO, TensorFlow.name, NumPy.name)  # values of the option


class BackendChoice:
    """The backend that an option names, or that runs on this machine.

    Parameters
    ----------
    engine : str
        One of `ENGINES`. ``auto`` stands for TensorFlow where that loads, and
        for NumPy elsewhere.
    announce : callable
        Told, in one line, that NumPy has to do, and why.
    check : callable
        Raises NoTensorFlow where loading TensorFlow would end the process.
    """

    def __init__(
        self,
        engine: str = AUTO,
        announce: Callable[[str], object] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._announce = announce
        self._check = check
        self._lock = threading.Lock()
        self._backend: Backend = (
            NumPy() if engine == NumPy.name else TensorFlow()
        )

    @property
    def expected(self) -> Backend:
        """The backend that is going to run the graphs, as far as is known.

        Nothing is loaded to find out.
        """
        is_open = self._engine == AUTO and self._backend.name != NumPy.name
        if is_open and not tensorflow_backend.is_likely():
            return NumPy()
        return self._backend

    def load(self) -> Backend:
        """Return the backend, loaded.

        Raises
        ------
        NoTensorFlow
            If it has to be TensorFlow, and that does not load.
        """
        try:
            self.check()
            self._backend.load()
        except NoTensorFlow as exc:
            self.give_up(exc)
        return self._backend

    def check(self) -> None:
        """Find out whether TensorFlow, if it is expected, can be loaded here.

        Raises
        ------
        NoTensorFlow
            If that would end the process.
        """
        if self._backend.name == TensorFlow.name:
            self._check()

    def give_up(self, reason: NoTensorFlow) -> None:
        """Do without TensorFlow from now on.

        Raises
        ------
        NoTensorFlow
            The reason, if it has to be TensorFlow.
        """
        if self._engine != AUTO:
            raise reason
        with self._lock:
            if isinstance(self._backend, TensorFlow):
                self._backend = NumPy()
                self._announce(f"models run on NumPy: {reason}")
