"""Our package, from files to fields; a child of rivals.py.

What depends on the structure of the package is in `analyse`, `push`,
`read_and_run` and `watched`.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from heads import BACKBONE, FAMILY, HEADS, provide
from rival_child import serve

from soundtags.audio import features, resampling
from soundtags.audio.mel import frame_count
from soundtags.audio.patches import FRONT_ENDS, patch_starts
from soundtags.audio.resampling import RATE
from soundtags.inference import pipeline
from soundtags.inference.engine_choice import EngineChoice
from soundtags.inference.pooling import pool_outputs
from soundtags.inference.predict import plan_nodes, predict
from soundtags.inference.sessions import SessionPool
from soundtags.inference.tensorflow_engine import tensorflow
from soundtags.labelling.interpret import interpret
from soundtags.models import catalogue
from soundtags.models.plan import make_plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from soundtags.labelling.interpret import Interpretation
    from soundtags.models.plan import Plan

    Work = Callable[[list[str]], dict[str, Any]]

MEMORY = 2 * 10**9  # for sessions: the default
SIDE = 2048  # of the matrices
WINDOW = 1.5  # seconds; only the best window counts
PATCHES = 8  # per job that go through a model at a time


def analyse(
    files: list[str], plan: Plan, pool: SessionPool, jobs: int
) -> list[Interpretation]:
    """Analyse files as the command does, but read them in this process."""
    analyses = []
    tracks = ((file, file) for file in files)
    for result in pipeline.predict_all(tracks, plan, pool, jobs):
        if result.error:
            raise RuntimeError(f"{result.key}: {result.error}")
        analyses.append(interpret(result.unwrap(), plan))
    return analyses


def push(rows: np.ndarray, plan: Plan, pool: SessionPool, jobs: int) -> None:
    """Run the models of a plan on patches, in several threads."""
    (name,) = plan.front_ends
    with ThreadPoolExecutor(jobs) as threads:
        predict([{name: rows}], plan_nodes(plan), pool, threads.map)


def read_and_run(
    file: str, plan: Plan, pool: SessionPool, watch: Stopwatch
) -> None:
    """Analyse a file, step by step, in this thread."""
    with watch.running("decode"):  # without the stages within it
        parts = list(features.features(file, plan.feature_spec))
    with watch.running("scores"):
        chunks = [part.patches for part in parts]
        results = predict(chunks, plan_nodes(plan), pool)
        interpret(pool_outputs(results, parts[-1], plan), plan)


@contextmanager
def watched(watch: Stopwatch) -> Iterator[None]:
    """Time the stages within the decoding of a file."""
    resamplers = {
        name: replace(how, run=watch.watched("resample", how.run))
        for name, how in resampling.RESAMPLERS.items()
    }
    mel = {
        name: watch.watched("mel and patches", getattr(features, name))
        for name in ("mel_bands", "cut_patches")
    }
    with (
        mock.patch.dict(resampling.RESAMPLERS, resamplers),
        mock.patch.multiple(features, **mel),
    ):
        yield


class WatchedPool(SessionPool):
    """Times each model."""

    def __init__(self, watch: Stopwatch) -> None:
        super().__init__(MEMORY)
        self._watch = watch

    def run(self, job: Any, *args: Any, **kwargs: Any) -> Any:
        with self._watch.running(job.graph.stem):
            return super().run(job, *args, **kwargs)


class Stopwatch:
    """Adds up seconds per stage, without those of stages within it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._within = [0.0]

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        self._within.append(0.0)
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self.seconds[stage] += took - self._within.pop()
            self._within[-1] += took

    def watched(
        self, stage: str, work: Callable[..., Any]
    ) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.running(stage):
                return work(*args, **kwargs)

        return timed


class Tasks:
    """What rivals.py can ask for.

    Parameters
    ----------
    folder
        An empty folder, for models.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def analyse(
        self,
        which: str,
        models: str,
        jobs: int,
        every_patch: bool = False,
        engine: str = "tensorflow",
    ) -> Work:
        """Run the pipeline, from files to fields."""
        plan = self.plan(which, Path(models), every_patch)
        pool = SessionPool(MEMORY, EngineChoice(engine))

        def work(files: list[str]) -> dict[str, Any]:
            analyses = analyse(files, plan, pool, jobs)
            return {
                "audio": sum(each.predictions.seconds for each in analyses),
                "patches": sum(count(each, plan) for each in analyses),
                "scores": [each.model_means for each in analyses],
            }

        return work

    def stages(
        self, which: str, models: str, every_patch: bool = False
    ) -> Work:
        """Time each stage, in one thread."""
        plan = self.plan(which, Path(models), every_patch)
        watch = Stopwatch()
        pool = WatchedPool(watch)

        def work(files: list[str]) -> dict[str, Any]:
            watch.seconds.clear()
            with watched(watch):
                for file in files:
                    read_and_run(file, plan, pool, watch)
            return {"stages": dict(watch.seconds)}

        return work

    def model(self, jobs: int, seconds: float) -> Work:
        """Run an embedded MusiCNN alone on patches in memory."""
        plan = self.plan("backbone")
        (model,) = plan.fed
        gflop = flops(model) / 1e9
        pool = SessionPool(MEMORY)
        kind = FRONT_ENDS[model.metadata.algorithm]
        shape = (PATCHES * jobs, kind.frames, 96)
        rows = np.random.default_rng(0).random(shape, np.float32)

        def work(files: list[str]) -> dict[str, Any]:
            took = best(lambda: push(rows, plan, pool, jobs), seconds)
            return {"rate": len(rows) / took, "gflop": gflop}

        return work

    def product(self, seconds: float) -> Work:
        """Multiply matrices with NumPy."""
        a, b = np.random.default_rng(0).random((2, SIDE, SIDE), np.float32)

        def work(files: list[str]) -> dict[str, Any]:
            took = best(lambda: a @ b, seconds)
            return {"gflops": 2 * SIDE**3 / took / 1e9}

        return work

    def plan(
        self,
        which: str,
        models: Path | None = None,
        every_patch: bool = False,
    ) -> Plan:
        settings = Settings(patches=None) if every_patch else Settings()
        names = None
        if which == "heads":
            names = catalogue.groups()[FAMILY][:HEADS]
            for name in names:
                provide(name, self.folder, models)
        elif which == "copies":
            names = copy_classifiers(models, self.folder)
        elif which == "backbone":
            names = [BACKBONE]
        elif which != "default":
            names = [which]
            for ending in (".pb", ".json"):
                shutil.copy(models / f"{which}{ending}", self.folder)
        return make_plan(
            names,
            self.folder,
            settings,
            lambda message: print(message, file=sys.stderr),
        )


def copy_classifiers(models: Path, folder: Path) -> list[str]:
    """Put fifteen whole classifiers into a folder, some more than once."""
    graphs = sorted(models.glob("*-musicnn-msd-2.pb"))
    names = []
    for number, graph in enumerate(islice(cycle(graphs), HEADS)):
        names.append(f"{graph.stem}-{number}")
        for source in (graph, graph.with_suffix(".json")):
            shutil.copy(source, folder / f"{names[-1]}{source.suffix}")
    return names


def count(analysis: Interpretation, plan: Plan) -> int:
    """Return how many patches were fed to models for a file."""
    length = round(analysis.predictions.seconds * RATE)
    kinds = [FRONT_ENDS[model.metadata.algorithm] for model in plan.fed]
    return sum(
        len(
            patch_starts(
                frame_count(length, kind.mel), kind, plan.settings.patches
            )
        )
        for kind in kinds
    )


def best(work: Callable[[], Any], seconds: float) -> float:
    """Return the seconds per call in the best of the windows in `seconds`."""
    windows = max(1, round(seconds / WINDOW))
    return min(per_call(work, seconds / windows) for _ in range(windows))


def per_call(work: Callable[[], Any], seconds: float) -> float:
    calls, started, took = 0, time.perf_counter(), 0.0
    while not calls or took < seconds:
        work()
        calls += 1
        took = time.perf_counter() - started
    return took / calls


def flops(model: Any) -> int:
    """Return the floating-point operations of a model per patch.

    These are the multiplications and additions of convolutions and matrix
    products in its graph.
    """
    tf = tensorflow()
    facts = model.metadata
    definition = tf.graph_util.extract_sub_graph(
        tf.GraphDef.FromString(model.graph.read_bytes()), [facts.predictions]
    )
    # The first session decides how many threads all later ones have.
    one = tf.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )
    with tf.Graph().as_default() as graph, tf.Session(config=one) as session:
        tf.import_graph_def(definition, name="")
        shapes = [
            (tf.shape(op.inputs[1]), tf.shape(op.outputs[0]))
            for op in graph.get_operations()
            if op.type in ("Conv2D", "MatMul")
        ]
        frames = FRONT_ENDS[facts.algorithm].frames
        patch = np.zeros((1, frames, 96), np.float32)
        fed = {
            op.outputs[0]: False
            for op in graph.get_operations()
            if op.type == "Placeholder" and op.outputs[0].dtype == tf.bool
        }
        fed[graph.get_tensor_by_name(f"{facts.input}:0")] = patch
        return sum(
            2 * math.prod(values) * math.prod(kernel) // int(values[-1])
            for kernel, values in (
                [each.tolist() for each in pair]
                for pair in session.run(shapes, fed)
            )
        )


def main() -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        tasks = Tasks(Path(folder))
        names = ("analyse", "stages", "model", "product")
        serve({name: getattr(tasks, name) for name in names})


if __name__ == "__main__":
    main()
