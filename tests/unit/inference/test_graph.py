"""Graph files: which are accepted, which are refused, and how they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.needs import tensorflow

from soundtags.errors import UnusableModel
from soundtags.inference.graph import read_graph
from soundtags.inference.sessions import GraphSpec, SessionPool
from soundtags.models import metadata

if TYPE_CHECKING:
    from pathlib import Path

ROWS = np.arange(10, dtype=np.float32).reshape(5, 2)


def write(path: Path, build: Any) -> Path:
    """Write the graph that `build` makes with TensorFlow."""
    tf = tensorflow()
    with tf.Graph().as_default() as graph:
        build(tf)
        path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def run(graph: Path, rows: np.ndarray = ROWS, output: str = "out", **kwargs):
    pool = SessionPool(10**9)
    try:
        spec = GraphSpec(graph, "in", (output,), **kwargs)
        return pool.run(spec, rows)[output]
    finally:
        pool.close()


def doubled(tf: Any, rows: int | None = None) -> Any:
    fed = tf.placeholder(tf.float32, (rows, 2), name="in")
    return tf.multiply(fed, 2.0, name="out")


def test_a_graph_runs_in_batches_of_any_size(tmp_path):
    graph = write(tmp_path / "x.pb", doubled)
    for batch in (None, 1, 2, 4, 8):
        assert np.array_equal(run(graph, batch=batch), 2 * ROWS)


@pytest.mark.parametrize("size", [1, 2, 4, 5, 64])
def test_fixed_batches_are_padded_and_cut(tmp_path, size):
    graph = write(tmp_path / "x.pb", lambda tf: doubled(tf, size))
    assert np.array_equal(run(graph, batch=3), 2 * ROWS)


def test_a_training_flag_is_fed_false(tmp_path):
    def build(tf):
        out = doubled(tf)
        training = tf.placeholder(tf.bool, (), name="training")
        tf.where(training, out * 0, out, name="flagged")

    graph = write(tmp_path / "x.pb", build)
    assert np.array_equal(run(graph, output="flagged"), 2 * ROWS)


def test_other_inputs_matter_only_where_they_lead_to_the_output(tmp_path):
    def build(tf):
        other = tf.placeholder(tf.float32, (None, 2), name="other")
        tf.add(doubled(tf), other, name="both")

    graph = write(tmp_path / "x.pb", build)
    assert np.array_equal(run(graph), 2 * ROWS)
    with pytest.raises(UnusableModel, match=r"x\.pb: has another input, other"):
        run(graph, output="both")


def test_outputs_beyond_the_first_have_numbers(tmp_path):
    def build(tf):
        fed = tf.placeholder(tf.float32, (None, 2), name="in")
        tf.split(fed, 2, axis=1, name="halves")

    graph = write(tmp_path / "x.pb", build)
    assert np.array_equal(run(graph, output="halves"), ROWS[:, :1])
    assert np.array_equal(run(graph, output="halves:1"), ROWS[:, 1:])


def test_negligible_weights_become_zero(tmp_path):
    weights = np.array([[1.0, 1e-30], [-1e-25, -1e-12]], np.float32)

    def build(tf):
        fed = tf.placeholder(tf.float32, (None, 2), name="in")
        tf.matmul(fed, tf.constant(weights, name="weights"), name="out")

    graph = write(tmp_path / "x.pb", build)
    nodes = {node.name: node for node in read_graph(graph, ["out"])[0].node}
    kept = tensorflow().make_ndarray(nodes["weights"].attr["value"].tensor)
    assert kept.tolist() == [[1.0, 0.0], [0.0, weights[1, 1]]]
    assert run(graph) == pytest.approx(ROWS @ weights, rel=1e-6)


def test_large_weights_give_the_same_as_small_ones(tmp_path):
    kernel = np.random.default_rng(0).standard_normal((2, 600_000), np.float32)

    def build(tf):
        fed = tf.placeholder(tf.float32, (None, 2), name="in")
        wide = tf.matmul(fed, tf.constant(kernel))
        tf.reduce_mean(wide, axis=1, name="out")

    graph = write(tmp_path / "x.pb", build)
    assert run(graph) == pytest.approx((ROWS @ kernel).mean(axis=1), abs=1e-3)


def test_large_weights_of_other_outputs_are_left_out(tmp_path):
    def build(tf):
        wide = tf.constant(np.ones((2, 600_000), np.float32))
        tf.matmul(doubled(tf), wide, name="wide")

    graph = write(tmp_path / "x.pb", build)
    assert read_graph(graph, ["out"])[1] == {}
    assert len(read_graph(graph, ["wide"])[1]) == 1
    assert np.array_equal(run(graph), 2 * ROWS)
    assert run(graph, output="wide").shape == (5, 600_000)


@pytest.mark.parametrize("used", [True, False])
def test_graphs_that_write_files_are_refused(tmp_path, used):
    target = tmp_path / "written"

    def build(tf):
        out = doubled(tf)
        write = tf.io.write_file(str(target), "owned")
        with tf.control_dependencies([write] if used else []):
            tf.identity(out, name="guarded")

    graph = write(tmp_path / "x.pb", build)
    with pytest.raises(UnusableModel, match=r"x\.pb: .*WriteFile"):
        run(graph, output="guarded")
    assert not target.exists()


def test_graphs_that_write_files_in_a_function_are_refused(tmp_path):
    target = tmp_path / "written"

    def build(tf):
        import tensorflow

        @tensorflow.function
        def work(x):
            tensorflow.io.write_file(str(target), "owned")
            return 2 * x

        fed = tf.placeholder(tf.float32, (None, 2), name="in")
        tf.identity(work(fed), name="out")

    graph = write(tmp_path / "x.pb", build)
    with pytest.raises(UnusableModel, match=r"x\.pb: .*WriteFile"):
        run(graph)
    assert not target.exists()


@pytest.mark.parametrize(
    "operation", ["ReadFile", "SaveV2", "RestoreV2", "PyFunc", "TPUExecute"]
)
def test_other_operations_are_refused_by_name(tmp_path, operation):
    def build(tf):
        doubled(tf)

    graph = write(tmp_path / "x.pb", build)
    definition = tensorflow().GraphDef.FromString(graph.read_bytes())
    for node in definition.node:
        if node.name == "out":
            node.op = operation
    graph.write_bytes(definition.SerializeToString())
    with pytest.raises(UnusableModel, match=rf"x\.pb: .*{operation}"):
        run(graph)


def test_a_function_cannot_pass_for_an_operation(tmp_path):
    def build(tf):
        import tensorflow

        fed = tf.placeholder(tf.float32, (None, 2), name="in")
        tf.identity(tensorflow.function(lambda x: 2 * x)(fed), name="out")

    graph = write(tmp_path / "x.pb", build)
    definition = tensorflow().GraphDef.FromString(graph.read_bytes())
    definition.library.function[0].signature.name = "ReadFile"
    for node in definition.node:
        if node.op == "PartitionedCall":
            node.op = "ReadFile"
    graph.write_bytes(definition.SerializeToString())
    with pytest.raises(UnusableModel, match=r"x\.pb: .*ReadFile"):
        run(graph)


@pytest.mark.parametrize("what", ["input", "content"])
def test_damaged_graphs_are_refused(tmp_path, what):
    def build(tf):
        fed = tf.placeholder(tf.float32, (None, 2), name="in")
        wide = tf.constant(np.ones((2, 600_000), np.float32), name="wide")
        tf.matmul(fed, wide, name="out")

    graph = write(tmp_path / "x.pb", build)
    definition = tensorflow().GraphDef.FromString(graph.read_bytes())
    for node in definition.node:
        if what == "input" and node.name == "out":
            node.input[1] = "nowhere"
        if what == "content" and node.name == "wide":
            node.attr["value"].tensor.tensor_content += b"xyz"
    graph.write_bytes(definition.SerializeToString())
    with pytest.raises(UnusableModel, match=r"x\.pb: damaged"):
        run(graph)


def test_savers_of_exported_graphs_are_left_out(tmp_path):
    def build(tf):
        out = doubled(tf)
        name = tf.placeholder(tf.string, (), name="saver_filename")
        tf.raw_ops.SaveV2(
            prefix=name,
            tensor_names=["x"],
            shape_and_slices=[""],
            tensors=[out],
        )

    graph = write(tmp_path / "x.pb", build)
    assert np.array_equal(run(graph), 2 * ROWS)
    assert "SaveV2" not in str(read_graph(graph, ["out"])[0])


def test_functions_that_are_not_called_are_left_out(tmp_path):
    def build(tf):
        import tensorflow

        used = tensorflow.function(lambda x: 2 * x)
        unused = tensorflow.function(lambda x: 3 * x)
        fed = tf.placeholder(tf.float32, (None, 2), name="in")
        tf.identity(used(fed), name="out")
        tf.identity(unused(fed), name="other")

    graph = write(tmp_path / "x.pb", build)
    assert len(read_graph(graph, ["out"])[0].library.function) == 1
    assert len(read_graph(graph, ["out", "other"])[0].library.function) == 2
    assert np.array_equal(run(graph), 2 * ROWS)


def test_oversize_files_are_refused_unread(tmp_path):
    graph = tmp_path / "x.pb"
    with graph.open("wb") as file:
        file.truncate(10**9 + 1)
    with pytest.raises(UnusableModel, match=r"x\.pb: too large"):
        run(graph)


def test_constants_that_expand_too_much_are_refused(tmp_path):
    graph = write(tmp_path / "x.pb", doubled)
    definition = tensorflow().GraphDef.FromString(graph.read_bytes())
    for node in definition.node:
        if node.op == "Const":  # one value that stands for all
            shape = node.attr["value"].tensor.tensor_shape
            shape.dim.add().size = 2 * 10**5
            shape.dim.add().size = 2 * 10**5
    graph.write_bytes(definition.SerializeToString())
    assert graph.stat().st_size < 1000
    with pytest.raises(UnusableModel, match=r"x\.pb: too large"):
        run(graph)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html><body>Log in</body></html>", "not a TensorFlow graph"),
        (b"", "has no node out"),
        (None, "No such file"),
    ],
)
def test_other_files_are_refused(tmp_path, content, reason):
    graph = tmp_path / "x.pb"
    if content is not None:
        graph.write_bytes(content)
    with pytest.raises(UnusableModel, match=rf"x\.pb: {reason}"):
        run(graph)


def test_half_a_graph_is_refused(tmp_path):
    graph = write(tmp_path / "x.pb", doubled)
    whole = graph.read_bytes()
    graph.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnusableModel, match=r"x\.pb: not a TensorFlow graph"):
        run(graph)


def test_missing_nodes_are_named(tmp_path):
    graph = write(tmp_path / "x.pb", doubled)
    with pytest.raises(UnusableModel, match=r"x\.pb: has no node other"):
        run(graph, output="other")
    pool = SessionPool(10**9)
    with pytest.raises(UnusableModel, match=r"x\.pb: no node fed that leads"):
        pool.run(GraphSpec(graph, "fed", ("out",)), ROWS)


def test_rows_of_another_shape_are_refused(tmp_path):
    graph = write(tmp_path / "x.pb", doubled)
    with pytest.raises(UnusableModel, match=r"x\.pb: .*shape"):
        run(graph, np.zeros((5, 3), np.float32))


def test_upstreams_model_with_a_training_flag(shared):
    graph = shared / "models" / "vgg4.pb"
    rng = np.random.default_rng(0)
    rows = rng.gamma(1.5, 0.9, (3, 128, 128)).astype(np.float32)
    job = GraphSpec(graph, "model/Placeholder", ("model/Softmax",), 2)
    values = SessionPool(10**9).run(job, rows)["model/Softmax"]
    assert values.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    again = SessionPool(10**9).run(job, rows)["model/Softmax"]
    assert np.array_equal(values, again)  # no dropout at work


def test_all_of_upstreams_graphs_are_accepted(shared):
    graphs = sorted((shared / "models").glob("*.pb"))
    graphs = [each for each in graphs if each.with_suffix(".json").exists()]
    assert graphs
    for graph in graphs:
        facts = metadata.read(graph.with_suffix(".json"))
        outputs = [output for output, _ in facts.outputs]
        definition, _ = read_graph(graph, outputs)
        names = {node.name for node in definition.node}
        assert {output.split(":")[0] for output in outputs} <= names
