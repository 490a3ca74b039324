"""Show which layers of a model take the time, and how well they use a core.

    python benchmarks/layers.py [GRAPH ...] [--rounds 60] [--threads 1]

Runs each graph (default: the embedded auto-taggers) in TensorFlow, as it is and
folded, and in NumPy, on as many patches at a time as the plugin does, in turn
with a matrix product.
With --threads 2, two threads do so side by side, each on a core. Times are
processor times per patch: medians, but minima for single layers, so that other
programs matter little. Prints times, rates, their ratios to the rate of the
matrix product, the largest difference between the two graphs, and the slowest
layers of the folded one: time, share, and the rate of those that multiply. The
rate of a graph counts the products of the graph as it is; that of a layer also
counts products with the zeros around shifted kernels.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before NumPy loads: one core, like each call of a model.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from soundtags.audio.patches import FRONT_ENDS
from soundtags.inference.engine_choice import EngineChoice
from soundtags.inference.graph import read_graph
from soundtags.inference.numpy_engine import NumPy
from soundtags.inference.rewrite import fold
from soundtags.inference.sessions import GraphSpec, SessionPool
from soundtags.inference.tensorflow_engine import tensorflow
from soundtags.models import catalogue, installed

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 1024  # of the matrices
MEMORY = 2 * 10**9  # for NumPy's graphs, which are no larger
SHOWN = 12  # layers
CONVOLVING = ("Conv2D", "DepthwiseConv2dNative")
# Matrix products: whether their first matrix is transposed.
PRODUCTS = {"BatchMatMulV2": "adj_x", "MatMul": "transpose_a"}
FUSED = ("BiasAdd", "Relu")


class Runner:
    """A graph on one core per thread.

    Parameters
    ----------
    definition
        The graph.
    weights
        The constants that were taken out of it.
    model
        The model that the graph belongs to.
    output
        The node to compute.
    rows
        The input, shape (batch, ...).
    """

    def __init__(
        self,
        definition: Any,
        weights: dict[str, np.ndarray],
        model: installed.Model,
        output: str,
        rows: np.ndarray,
    ) -> None:
        tf = tensorflow()
        with tf.Graph().as_default() as graph:
            fed = tf.placeholder(tf.float32, rows.shape)
            values = {name: tf.constant(each) for name, each in weights.items()}
            (self._output,) = tf.import_graph_def(
                tf.GraphDef.FromString(definition.SerializeToString()),
                {model.metadata.input: fed, **values},
                [output if ":" in output else f"{output}:0"],
                name="",
            )
        config = tf.ConfigProto()
        config.intra_op_parallelism_threads = 1
        config.inter_op_parallelism_threads = 1
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        self._session = tf.Session(graph=graph, config=config)
        self._fed = {fed: rows}
        self._graph = graph
        self.operations = 2 * sum(map(_products, graph.get_operations()))

    def __call__(self, **options: Any) -> np.ndarray:
        caller = tensorflow().RunOptions(inter_op_thread_pool=-1)
        values: np.ndarray = self._session.run(
            self._output, self._fed, **{"options": caller, **options}
        )
        return values

    def layers(self, rounds: int) -> dict[str, float]:
        """Return seconds per layer, in the fastest of several rounds."""
        tf = tensorflow()
        level = tf.RunOptions.SOFTWARE_TRACE
        took: dict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            found = tf.RunMetadata()
            self(options=tf.RunOptions(trace_level=level), run_metadata=found)
            for name, seconds in _spans(found).items():
                took[name].append(seconds)
        fastest = {name: min(each) for name, each in took.items()}
        return dict(sorted(fastest.items(), key=lambda each: -each[1]))

    def layer_operations(self) -> Counter[str]:
        """Return how many operations each layer takes as TensorFlow runs it.

        A convolution has the name of the last operation fused into it.
        """
        found: Counter[str] = Counter()
        for operation in self._graph.get_operations():
            source = operation
            while source.type in FUSED:
                source = source.inputs[0].op
            found[_layer(operation.name)] += 2 * _products(source)
        return found


def _spans(found: Any) -> dict[str, float]:
    """Return the seconds of each layer in a run."""
    spans: dict[str, float] = defaultdict(float)
    for device in found.step_stats.dev_stats:
        for node in device.node_stats:
            span = node.op_end_rel_micros - node.op_start_rel_micros
            spans[_layer(node.node_name)] += span / 1e6
    return spans


def _layer(name: str) -> str:
    """Return the layer of a node: those of its pieces differ in the end."""
    return name.rstrip("_")


def _products(operation: Any) -> int:
    """Return how many products a node adds up."""
    if operation.type in CONVOLVING:
        *summed, _ = operation.inputs[1].shape
    elif operation.type in PRODUCTS:
        is_turned = operation.get_attr(PRODUCTS[operation.type])
        summed = [operation.inputs[0].shape[-2 if is_turned else -1]]
    else:
        return 0
    return int(np.prod(operation.outputs[0].shape) * np.prod(summed))


def made_up_rows(model: installed.Model, definition: Any) -> np.ndarray:
    """Return as many patches, or embeddings, as the plugin feeds at a time."""
    nodes = {node.name: node for node in definition.node}
    dimensions = nodes[model.metadata.input].attr["shape"].shape.dim
    row = [each.size for each in dimensions[1:]]
    front_end = FRONT_ENDS.get(model.metadata.algorithm)
    batch = front_end.batch if front_end else 1
    rng = np.random.default_rng(0)
    return rng.gamma(1.5, 0.9, (batch, *row)).astype(np.float32)


def measure(graph: Path, rounds: int, threads: int) -> None:
    model = installed.read_model(graph)
    output = str(model.metadata.predictions or model.metadata.embedding)
    plain, weights = read_graph(graph, [output])
    rows = made_up_rows(model, plain)
    original, folded = (
        Runner(each, weights, model, output, rows)
        for each in (plain, fold(plain, [output]))
    )
    pool = SessionPool(MEMORY, EngineChoice(NumPy.name))
    spec = GraphSpec(graph, model.metadata.input, (output,), len(rows))
    matrix = np.random.default_rng(0).random((SIZE, SIZE), np.float32)
    runs: dict[str, Callable[[], Any]] = {
        "as it is": original,
        "folded": folded,
        "in NumPy": partial(pool.run, spec, rows),
        "product": lambda: matrix @ matrix,
    }
    seconds = times(runs, rounds, threads)
    work = original.operations
    best = 2 * SIZE**3 / seconds["product"]
    count = len(rows)
    print(
        f"{model.id}: {work / count / 1e9:.2f} GFLOP per patch, {count} at a"
        f" time; {threads} threads; matrix product {best / 1e9:.0f} GFLOP/s"
    )
    for name in ("as it is", "folded", "in NumPy"):
        rate = work / seconds[name]
        print(
            f"  {name:9}{seconds[name] / count * 1000:7.2f} ms per patch,"
            f"{rate / 1e9:4.0f} GFLOP/s: {rate / best:.0%} of the product's"
        )
    difference = np.abs(original() - folded()).max()
    print(f"  largest difference of an activation: {difference:.1e}")
    show_layers(folded, rounds, count)


def times(
    runs: dict[str, Callable[[], Any]], rounds: int, threads: int
) -> dict[str, float]:
    """Return the median seconds of core time that each run takes."""
    took: dict[str, list[float]] = {name: [] for name in runs}
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(rounds):
            for name, run in runs.items():
                started = time.process_time()
                for call in [pool.submit(run) for _ in range(threads)]:
                    call.result()
                took[name].append((time.process_time() - started) / threads)
    return {name: statistics.median(each[3:]) for name, each in took.items()}


def show_layers(runner: Runner, rounds: int, count: int) -> None:
    layers = runner.layers(rounds)
    total = sum(layers.values())

    def show(label: str, seconds: float, work: int) -> None:
        rate = f"{work / seconds / 1e9:5.0f} GFLOP/s" if work else ""
        ms = seconds / count * 1000
        print(f"  {label:32}{ms:7.2f} ms{seconds / total:5.0%}{rate}")

    work = runner.layer_operations()
    for name, seconds in list(layers.items())[:SHOWN]:
        show(name[-32:], seconds, work[name])
    multiplying = sum(layers[name] for name in layers if work[name])
    operations = sum(work[name] for name in layers)
    show("all that multiply", multiplying, operations)
    show("all others", total - multiplying, 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("graphs", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    embedded = sorted(catalogue.data_folder().glob("*.pb"))
    for graph in options.graphs or embedded:
        measure(graph, options.rounds, options.threads)


if __name__ == "__main__":
    main()
