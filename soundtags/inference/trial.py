"""Run models once, on zeros, in a process with limits on memory and time.

A graph of allowed operations can still crash or hang an engine, take all
memory, or give something other than its metadata says. The process that finds
out is thrown away; if a model ends it, another process tries the rest.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.audio.mel import INPUTS
from soundtags.audio.patches import FRONT_ENDS
from soundtags.child import launch
from soundtags.errors import (
    NoTensorFlow,
    SoundtagsError,
    UnusableModel,
    capture_errors,
    first_line,
)
from soundtags.inference.engine_choice import EngineChoice
from soundtags.inference.predict import HEAD_BATCH, predict
from soundtags.inference.sessions import SessionPool
from soundtags.inference.tensorflow_engine import TensorFlow
from soundtags.text import cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from multiprocessing.connection import Connection

    from soundtags.models.installed import Model

STARTING = 300.0  # seconds until an engine has loaded, from a slow disk
AT_LOADING = "TensorFlow {} when it is loaded"
REASON = 200  # columns

# What one trial may take: at least one and a half times what any of upstream's
# models takes, also with AVX-512, where oneDNN needs most.
MEMORY, MEMORY_PER_ROW, MEMORY_PER_BYTE = 384 * 2**20, 12 * 2**20, 4
SECONDS, SECONDS_PER_ROW, SECONDS_PER_BYTE = 4.0, 1.0, 1e-7
PATIENCE = 5  # seconds to wait per second of processor time


@dataclass(frozen=True)
class Candidate:
    """A model to be tried.

    Attributes
    ----------
    model : Model
        The model.
    nodes : tuple of str
        The nodes of its graph that are computed.
    backbone : Model or None
        The model whose embedding it takes, if it is a head.
    """

    model: Model
    nodes: tuple[str, ...]
    backbone: Model | None = None

    @classmethod
    def of(cls, model: Model, here: Mapping[str, Model]) -> Candidate:
        """Return a model with the nodes that plans compute, as a candidate."""
        facts = model.metadata
        if facts.backbone:
            return cls(model, (str(facts.predictions),), here[facts.backbone])
        nodes = (facts.predictions, facts.embedding)
        return cls(model, tuple(node for node in nodes if node))

    @property
    def key(self) -> str:
        """A digest of all that the outcome depends on."""
        facts = self.model.metadata
        content = [
            self.model.id,
            self.model.sha256,
            facts.input,
            facts.algorithm,
            facts.classes,
            self.nodes,
            self.backbone and [self.backbone.sha256, self.backbone.metadata],
        ]
        return sha256(json.dumps(content).encode()).hexdigest()

    @property
    def front_end(self) -> str:
        """The front end whose patches are fed."""
        return (self.backbone or self.model).metadata.algorithm

    @property
    def limits(self) -> tuple[float, float]:
        """Bytes, and seconds of processor time, that the trial may take."""
        rows = FRONT_ENDS[self.front_end].batch
        rows += HEAD_BATCH if self.backbone else 0
        models = [self.model, *filter(None, [self.backbone])]
        size = sum(model.graph.stat().st_size for model in models)
        return (
            MEMORY + MEMORY_PER_ROW * rows + MEMORY_PER_BYTE * size,
            SECONDS + SECONDS_PER_ROW * rows + SECONDS_PER_BYTE * size,
        )


def try_all(
    candidates: Iterable[Candidate], engine: str
) -> Iterator[tuple[Candidate, str | None]]:
    """Try models, each once.

    Parameters
    ----------
    candidates : iterable of Candidate
        The models.
    engine : str
        The engine that runs them, such as ``numpy``.

    Yields
    ------
    candidate : Candidate
        The candidates, in order.
    reason : str or None
        Why it cannot be used; None if it can.

    Raises
    ------
    NoTensorFlow
        If TensorFlow does not load, or the process ends while loading.
    OSError
        If no process can be started, or it is stopped from outside.
    """
    waiting = list(candidates)
    while waiting:
        with closing(_Process(waiting, engine)) as process:
            process.wait_until_loaded()
            try:
                while waiting:
                    _, seconds = waiting[0].limits
                    reason = process.answer(PATIENCE * seconds)
                    yield waiting.pop(0), reason
            except _Ended as exc:
                yield waiting.pop(0), str(exc)


def crash_at_loading() -> str | None:
    """Return how loading TensorFlow ends a process; None if it does not.

    Raises
    ------
    OSError
        If no process can be started, or it is stopped from outside.
    """
    with closing(_Process([], TensorFlow.name)) as process:
        try:
            process.answer(STARTING)
        except _Ended as exc:
            return AT_LOADING.format(exc)
    return None


class _Ended(Exception):
    """The process has ended, or had to be stopped."""


class _Process:
    """A process that tries models, as seen by the one that starts it."""

    def __init__(self, candidates: list[Candidate], engine: str) -> None:
        self._engine = engine
        self._connection, self._process = launch(_serve, candidates, engine)

    def wait_until_loaded(self) -> None:
        """Wait until the engine has loaded.

        Raises
        ------
        NoTensorFlow
            If TensorFlow does not load, or the process ends while loading.
        OSError
            If the engine is not TensorFlow, and the process is stopped from
            outside.
        """
        try:
            error = self.answer(STARTING)
        except _Ended as exc:
            raise NoTensorFlow(AT_LOADING.format(exc)) from exc
        except InterruptedError as exc:
            if self._engine != TensorFlow.name:
                raise
            raise NoTensorFlow(AT_LOADING.format(f"is {exc}")) from exc
        if error is not None:
            raise error

    def answer(self, timeout: float) -> Any:
        """Return what the process sends next."""
        if not self._connection.poll(timeout):
            raise _Ended("takes too long")
        try:
            return self._connection.recv()
        except (EOFError, OSError) as exc:
            self._process.join()
            raise _Ended(_reason(self._process.exitcode)) from exc

    def close(self) -> None:
        """Stop the process."""
        self._connection.close()
        self._process.kill()
        self._process.join()


def _reason(status: int | None) -> str:
    """Return how a process ended, if it was not stopped from outside."""
    name = f"status {status}"
    if status is not None and status < 0:
        with suppress(ValueError):
            name = signal.Signals(-status).name
    if name == "SIGXCPU":
        return "takes too long"
    if name in ("SIGKILL", "SIGTERM"):  # nothing that a graph could cause
        raise InterruptedError(f"stopped from outside ({name})")
    return f"crashes ({name})"


def _serve(
    connection: Connection, candidates: Iterable[Candidate], engine: str
) -> None:
    """Try models, and report what is wrong with each of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other side stops us
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    with suppress(OSError):  # the other side has gone
        choice = EngineChoice(engine)
        loaded = capture_errors(choice.load)
        connection.send(loaded if isinstance(loaded, SoundtagsError) else None)
        for candidate in candidates:
            with _limited(*candidate.limits):
                reason = _fault(candidate, choice)
            connection.send(reason)


@contextmanager
def _limited(memory: float, seconds: float) -> Iterator[None]:
    """Limit memory and processor time from now on, where possible."""
    try:
        import resource
    except ImportError:  # on Windows, only the other side's timeout applies
        yield
        return
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: int(time.process_time() + seconds),
    }
    if sys.platform == "linux":  # elsewhere, the limit counts something else
        limits[resource.RLIMIT_DATA] = _data_size() + int(memory)
    before = {kind: resource.getrlimit(kind) for kind in limits}
    for kind, limit in limits.items():
        _, hard = before[kind]
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(kind, (limit, hard))
    try:
        yield
    finally:
        for kind, both in before.items():
            resource.setrlimit(kind, both)


def _data_size() -> int:
    """Return the bytes that count towards the limit on data."""
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        pages = file.read().split()
    return int(pages[5]) * resource.getpagesize()


def _fault(candidate: Candidate, choice: EngineChoice) -> str | None:
    """Return what is wrong with a model; None if nothing is."""
    model = candidate.model
    pool = SessionPool(sys.maxsize, choice)
    try:
        _run(candidate, pool)
    except MemoryError:
        return "takes too much memory"
    except Exception as exc:  # whatever an engine raises for a graph
        reason = first_line(exc)
        for name in (model.graph.name, model.id):
            reason = reason.removeprefix(f"{name}: ")
        return cut(reason, REASON)
    finally:
        pool.close()
    return None


def _run(candidate: Candidate, pool: SessionPool) -> None:
    """Run a model on a patch of zeros, and check what it gives."""
    model, backbone = candidate.model, candidate.backbone
    nodes = {model: candidate.nodes}
    if backbone:
        nodes = {backbone: (str(backbone.metadata.embedding),), **nodes}
    front_end = FRONT_ENDS[candidate.front_end]
    _, bands = INPUTS[front_end.mel].bank().shape
    patch = np.zeros((1, front_end.frames, bands), np.float32)
    (outputs,) = predict([{candidate.front_end: patch}], nodes, pool)
    if model.metadata.predictions in candidate.nodes:
        outputs.activations(model)
    if model.metadata.embedding in candidate.nodes:
        outputs.embedding(model)
    for node, values in outputs.values[model.id].items():
        if not np.isfinite(values).all():
            raise UnusableModel(f"{node} gives values that are not finite")
