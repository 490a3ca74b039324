"""Show which layers of a model take the time, and how fast they are for a core.

    python benchmarks/layers.py [GRAPH ...] [--rounds 60]

Runs each graph (default: the embedded auto-taggers), as it is and folded, on
one patch at a time and one core, in turn with a matrix product. Prints median
times, rates, their ratio to that of the matrix product, the largest difference
between the two, and the slowest layers of the folded graph: time, share, and
the rate of those that multiply.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

# Before NumPy loads: one core, like each call of a model.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from soundtags.audio.patches import FRONT_ENDS
from soundtags.inference.graph import read_graph, tensorflow
from soundtags.inference.rewrite import fold
from soundtags.models import catalogue, installed

SIZE = 1024  # of the matrices
SHOWN = 8  # layers
MULTIPLYING = ("Conv2D", "MatMul")
FUSED = ("BiasAdd", "Relu")


class Runner:
    """A graph on one core.

    Parameters
    ----------
    definition
        The graph.
    model
        Its metadata.
    patch
        The input, shape (1, frames, bands).
    """

    def __init__(
        self, definition: Any, model: installed.Model, patch: np.ndarray
    ) -> None:
        tf = tensorflow()
        facts = model.metadata
        with tf.Graph().as_default() as graph:
            fed = tf.placeholder(tf.float32, patch.shape)
            (self._output,) = tf.import_graph_def(
                definition,
                {facts.input: fed},
                [f"{facts.predictions}:0"],
                name="",
            )
        config = tf.ConfigProto()
        config.intra_op_parallelism_threads = 1
        config.inter_op_parallelism_threads = 1
        self._session = tf.Session(graph=graph, config=config)
        self._fed = {fed: patch}
        self._graph = graph
        self.operations = 2 * sum(map(_products, graph.get_operations()))

    def __call__(self, **options: Any) -> np.ndarray:
        values: np.ndarray = self._session.run(
            self._output, self._fed, **options
        )
        return values

    def operations_of(self, name: str) -> int:
        """Return the operations of a layer as TensorFlow runs it.

        A convolution has the name of the last operation fused into it.
        """
        try:
            operation = self._graph.get_operation_by_name(name)
        except KeyError:  # added by TensorFlow
            return 0
        while operation.type in FUSED:
            operation = operation.inputs[0].op
        return 2 * _products(operation)

    def layers(self, rounds: int) -> dict[str, float]:
        """Return seconds per layer, medians."""
        tf = tensorflow()
        level = tf.RunOptions.SOFTWARE_TRACE
        took: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            found = tf.RunMetadata()
            self(options=tf.RunOptions(trace_level=level), run_metadata=found)
            for device in found.step_stats.dev_stats:
                for node in device.node_stats:
                    span = node.op_end_rel_micros - node.op_start_rel_micros
                    took[node.node_name].append(span / 1e6)
        medians = {name: statistics.median(each) for name, each in took.items()}
        return dict(sorted(medians.items(), key=lambda each: -each[1]))


def _products(operation: Any) -> int:
    """Return how many products a node adds up for one patch."""
    if operation.type not in MULTIPLYING:
        return 0
    *summed, _ = operation.inputs[1].shape
    return int(np.prod(operation.outputs[0].shape) * np.prod(summed))


def measure(graph: Path, rounds: int) -> None:
    model = installed.read_model(graph)
    kind = FRONT_ENDS[model.metadata.algorithm]
    rng = np.random.default_rng(0)
    patch = rng.gamma(1.5, 0.9, (1, kind.frames, 96)).astype(np.float32)
    outputs = [str(model.metadata.predictions)]
    plain, taken_out = read_graph(graph, outputs)
    if taken_out:
        sys.exit(f"{graph.name}: too large to be measured alone")
    folded = fold(plain, outputs)
    matrix = rng.random((SIZE, SIZE), np.float32)
    runners = {
        "as it is": Runner(plain, model, patch),
        "folded": Runner(folded, model, patch),
        "matrix product": lambda: matrix @ matrix,
    }
    took: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, run in runners.items():
            started = time.perf_counter()
            run()
            took[name].append(time.perf_counter() - started)
    ms = {name: 1000 * statistics.median(took[name][3:]) for name in runners}
    work = runners["folded"].operations
    best = 2 * SIZE**3 / ms["matrix product"]
    print(f"{model.id}: {work / 1e9:.2f} GFLOP per patch; one core")
    for name in ("as it is", "folded"):
        print(
            f"  {name:9} {ms[name]:6.1f} ms, {work / ms[name] / 1e6:5.0f}"
            f" GFLOP/s: {work / ms[name] / best:.0%} of the matrix product's"
            f" {best / 1e6:.0f}"
        )
    difference = np.abs(runners["as it is"]() - runners["folded"]()).max()
    print(f"  largest difference of an activation: {difference:.1e}")
    show_layers(runners["folded"], rounds)


def show_layers(runner: Runner, rounds: int) -> None:
    layers = runner.layers(rounds)
    total = sum(layers.values())

    def show(label: str, seconds: float, work: int) -> None:
        rate = f"{work / seconds / 1e9:5.0f} GFLOP/s" if work else ""
        line = f"  {label:25}{seconds * 1000:7.2f} ms{seconds / total:5.0%}"
        print(f"{line}{rate}")

    work = {name: runner.operations_of(name) for name in layers}
    for name, seconds in list(layers.items())[:SHOWN]:
        show(name, seconds, work[name])
    multiplying = sum(layers[name] for name in work if work[name])
    show("all that multiply", multiplying, sum(work.values()))
    show("all others", total - multiplying, 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("graphs", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    embedded = sorted(catalogue.data_folder().glob("*.pb"))
    for graph in options.graphs or embedded:
        measure(graph, options.rounds)


if __name__ == "__main__":
    main()
