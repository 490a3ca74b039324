"""Models that do harm, or are not what they claim to be; all quick to make.

Their files are as small as can be; what is wrong shows when they are loaded or
run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .models import write_metadata, write_model
from .needs import tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLASSES = ["one", "two"]
# Where memory runs out, TensorFlow says so, crashes, or waits for ever. What
# takes long can run out of memory first.
TOO_MUCH = ".*memory|.*OOM|crashes|takes too long"


def write_graph(
    folder: Path, name: str, build: Callable[..., Any], **facts: Any
) -> Path:
    """Write a model whose activations `build` makes from patches and scores.

    `build` is given the tensor that is fed, and two scores for each row of it.
    It may change the graph's definition, if it returns a function that does.
    """
    tf = tensorflow()
    with tf.Graph().as_default() as graph:
        fed = tf.placeholder(tf.float32, (None, 187, 96), "model/Placeholder")
        rows = tf.reshape(fed, [tf.shape(fed)[0], -1])[:, :2]
        made = build(fed, tf.sigmoid(rows))
        change = made if callable(made) else None
        tf.identity(fed if change else made, name="model/Sigmoid")
        definition = graph.as_graph_def()
    if change:
        change(definition)
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.pb"
    path.write_bytes(definition.SerializeToString())
    write_metadata(path, facts.pop("classes", CLASSES), **facts)
    return path


def function_calls(*calls: tuple[str, ...]) -> Callable[..., Any]:
    """Return a `build` whose output is that of the first of some functions.

    Each is given as its name, then the names of the functions that it calls,
    one after the other.
    """

    def change(definition: Any) -> None:
        for name, *inner in calls:
            function = definition.library.function.add()
            function.signature.name = name
            for args, arg in (
                (function.signature.input_arg, "x"),
                (function.signature.output_arg, "y"),
            ):
                each = args.add(name=arg)
                each.type = tensorflow().float32.as_datatype_enum
            last = "x"
            for number, called in enumerate(inner):
                node = function.node_def.add(name=f"n{number}", input=[last])
                call(node, called)
                last = f"n{number}:output:0"
            function.ret["y"] = last
        (output,) = (n for n in definition.node if n.name == "model/Sigmoid")
        call(output, calls[0][0])

    def call(node: Any, name: str) -> None:
        node.op = "PartitionedCall"
        node.attr["f"].func.name = name
        for types in ("Tin", "Tout"):
            node.attr[types].list.type.append(
                tensorflow().float32.as_datatype_enum
            )

    return lambda *_: change


def _tf(name: str, *args: Any, **options: Any) -> Any:
    return getattr(tensorflow(), name)(*args, **options)


def zeros(*shape: int) -> Callable[..., Any]:
    """Return a `build` that adds the sum of zeros of a shape to the scores."""
    return lambda _, scores: scores + _tf("reduce_sum", _tf("fill", shape, 0.0))


def worker(fed: Any, scores: Any) -> Any:
    """Multiply matrices for hours."""
    matrix = _tf("fill", (3000, 3000), 1e-9) + fed[0, 0, 0]
    for _ in range(2000):
        matrix = _tf("matmul", matrix, matrix)
    return scores + matrix[0, 0]


def by_numbers(fed: Any, scores: Any) -> Any:
    """Take the more memory, the louder the music is."""
    tf = tensorflow()
    size = tf.cast(tf.reduce_max(fed) * 1e9, tf.int32)
    return scores + tf.reduce_sum(tf.fill([size], 0.0))


def by_shapes(fed: Any, scores: Any) -> Any:
    """Do the same, through the length of a slice."""
    tf = tensorflow()
    size = tf.cast(tf.reduce_max(fed), tf.int32)
    part = tf.shape(tf.zeros([90])[:size])[0]
    return scores + tf.reduce_sum(tf.fill([part * 10**8], 0.0))


def by_branches(fed: Any, scores: Any) -> Any:
    """Take much memory where the music is not silent."""
    tf = tensorflow()
    _, loud = tf.raw_ops.Switch(data=scores, pred=tf.reduce_max(fed) > 1.0)
    size = 10**8 * tf.shape(loud)[1]
    much = scores + tf.reduce_sum(tf.fill([size], 0.0))
    return tf.raw_ops.Merge(inputs=[scores, much]).output


# Name to what makes the graph, and to a pattern of the message about it.
GRAPHS: dict[str, tuple[Callable[..., Any], str]] = {
    "crash-recursion": (
        function_calls(("loop", "loop")),
        "the function loop calls itself",
    ),
    "crash-ring": (
        function_calls(("a", "b"), ("b", "c"), ("c", "a")),
        "the function .* calls itself",
    ),
    "hang-tree": (
        function_calls(
            *((f"f{n}", f"f{n + 1}", f"f{n + 1}") for n in range(12)),
            ("f12", *["f13"] * 4096),
            ("f13",),
        ),
        "expands to more than 100000 nodes",
    ),
    "crash-deep": (
        function_calls(
            *((f"f{n}", f"f{n + 1}") for n in range(5000)), ("f5000",)
        ),
        "functions are nested too deeply",
    ),
    "odd-function": (
        function_calls(("Relu", "Relu")),
        r"has an ambiguous function \(Relu\)",
    ),
    "big-overflow": (zeros(2**31 - 1, 2**31 - 1, 2**31 - 1), ".*"),
    "big-fill": (zeros(1000, 1000, 750), TOO_MUCH),
    "big-tile": (
        lambda _, scores: (
            scores + _tf("reduce_sum", _tf("tile", scores[:1], [30000, 30000]))
        ),
        TOO_MUCH,
    ),
    "big-range": (
        lambda _, scores: scores + _tf("reduce_sum", _tf("range", 0.0, 1e9)),
        TOO_MUCH,
    ),
    "big-broadcast": (
        lambda _, scores: (
            scores
            + _tf(
                "reduce_sum",
                _tf("zeros", [40000, 1]) + _tf("zeros", [1, 40000]),
            )
        ),
        TOO_MUCH,
    ),
    "big-numbers": (
        by_numbers,
        "the shape of .*, or whether it runs, depends on the input values",
    ),
    "big-shapes": (by_shapes, "the shape of .*, or whether it runs, depends"),
    "big-branches": (
        by_branches,
        "the shape of .*, or whether it runs, depends",
    ),
    "long-work": (worker, TOO_MUCH),
    "odd-count": (
        lambda _, scores: scores[:, :1],
        r"gives \(1,\) values for 2 classes",
    ),
    "odd-rank": (
        lambda _, scores: scores[:, None],
        r"gives \(1, 2\) values for 2 classes",
    ),
    "odd-scalar": (
        lambda _, scores: _tf("reduce_mean", scores),
        r"model/Sigmoid has the shape \(\) for 1 rows",
    ),
    "odd-rows": (
        lambda _, scores: _tf("tile", scores, [3, 1]),
        r"model/Sigmoid has the shape \(3, 2\) for 1 rows",
    ),
    "odd-type": (
        lambda _, scores: scores > 0.5,
        "model/Sigmoid gives bool, not floating-point",
    ),
    "odd-integer": (
        lambda _, scores: _tf("cast", scores, "int64"),
        "model/Sigmoid gives int64, not floating-point",
    ),
    "odd-nan": (
        lambda _, scores: scores * np.nan,
        "model/Sigmoid gives values that are not finite",
    ),
    "odd-infinity": (
        lambda _, scores: scores / 0.0,
        "model/Sigmoid gives values that are not finite",
    ),
    "fail-run": (
        lambda _, scores: _tf("gather", scores, [0] * 2 + [99], axis=0),
        ".*99",
    ),
    "fail-shape": (
        lambda fed, scores: scores + _tf("reshape", fed, [-1, 7])[:1, :2],
        ".*",
    ),
}

# Metadata whose accuracy is not a usable number.
BAD_FIGURES = {
    "bad-empty-1": "{}",
    "bad-large-1": "9" * 400,
    "bad-nan-1": "NaN",
    "bad-list-1": "[1]",
}
# Metadata that is not in upstream's form, or is hardly metadata.
BAD_FILES = {
    "bad-utf-1": b"\xff\xfe",
    "bad-deep-1": b"[" * 10**5,
    "bad-size-1": b" " * 2 * 10**6,
    "bad-text-1": b'{"classes": "text"}',
}


def write_broken_metadata(folder: Path) -> set[str]:
    """Write models whose metadata is wrong; return their names."""
    for name, figure in BAD_FIGURES.items():
        path = write_model(folder, name, [name, "other"], [0, 1])
        metadata = path.with_suffix(".json")
        text = metadata.read_text().replace("0.5", figure)
        metadata.write_text(text)
    for name, content in BAD_FILES.items():
        (folder / f"{name}.pb").touch()
        (folder / f"{name}.json").write_bytes(content)
    return {*BAD_FIGURES, *BAD_FILES}
