"""Convolutions of one channel are cut into blocks, and give the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.convolutions import (
    MEL,
    Case,
    Pool,
    definition_of,
    depths,
    operations,
    over_bands,
    patches,
    run,
)
from support.needs import tensorflow
from support.paths import ROOT

from soundtags.inference.graph import read_graph
from soundtags.inference.rewrite import fold

if TYPE_CHECKING:
    from collections.abc import Callable

CUT = {
    "128 frames": Case((128, 1), pool=over_bands()),
    "64 frames": Case((64, 1), pool=over_bands()),
    "32 frames": Case((32, 1), pool=over_bands()),
    "odd": Case((33, 1), 7, pool=over_bands()),
    "no maximum": Case((32, 1)),
    "whole frames only": Case((128, 1), padding="VALID", pool=over_bands()),
    "maximum over time": Case((32, 1), pool=Pool((187, 1), (1, 1), "VALID")),
    "maximum over some bands": Case(
        (32, 1), pool=Pool((3, 5), (2, 4), "VALID")
    ),
    "padded maximum": Case((32, 1), pool=Pool((3, 5), (2, 4), "SAME")),
    "bands": Case((1, 40), pool=Pool((187, 1), (187, 1), "VALID")),
    "bands, no maximum": Case((1, 40), shape=(50, 97)),
    "frames and bands": Case(
        (7, 38), 204, "VALID", pool=Pool((1, 29), (1, 29), "VALID")
    ),
    "square": Case((3, 3), 128, pool=Pool((4, 1), (4, 1), "VALID")),
}


@pytest.mark.parametrize("name", CUT)
def test_one_channel_is_cut_into_blocks(name):
    case = CUT[name]
    plain = case.graph()
    folded = fold(plain, ["out"])
    (blocks,) = depths(folded)
    assert depths(plain) == [1]
    assert blocks > 1
    rows = patches(case)
    before, after = run(plain, rows), run(folded, rows)
    assert after.shape == before.shape
    assert np.abs(after - before).max() < 1e-5


sizes = st.integers(1, 12)
paddings = st.sampled_from(["SAME", "VALID"])
pools = st.builds(
    Pool, st.tuples(sizes, sizes), st.tuples(sizes, sizes), paddings
)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Case,
        kernel=st.tuples(sizes, sizes)
        | st.tuples(st.integers(1, 40), st.just(1))
        | st.tuples(st.just(1), st.integers(1, 40)),
        filters=st.integers(1, 30),
        padding=paddings,
        shape=st.tuples(st.integers(52, 60), st.integers(52, 60)),
        pool=st.none() | pools,
        channels=st.just(1),
        options=st.just({}),
    )
)
def test_all_sizes_give_the_same(case):
    plain = case.graph()
    rows = patches(case)
    before, after = run(plain, rows), run(fold(plain, ["out"]), rows)
    assert after.shape == before.shape
    assert np.abs(after - before).max() < 1e-5


def test_the_maximum_over_bands_is_taken_of_blocks():
    folded = fold(CUT["64 frames"].graph(), ["out"])
    (pool,) = operations(folded, "MaxPool")
    (convolution,) = operations(folded, "Conv2D")
    assert list(pool.input) == [convolution.name]


def test_a_patch_gives_the_same_at_each_place_of_a_batch():
    case = CUT["64 frames"]
    folded = fold(case.graph(), ["out"])
    rows = patches(case, 5)
    values = run(folded, rows)
    assert np.array_equal(run(folded, rows[::-1])[::-1], values)


LEFT_ALONE = {
    "time is not fixed": Case((64, 1), shape=(None, 96)),
    "bands are not fixed": Case((64, 1), shape=(187, None)),
    "two channels": Case((64, 1), channels=2),
    "strides": Case((64, 1), options={"strides": 2}),
    "dilations": Case((16, 1), options={"dilations": (2, 1)}),
    "own margins": Case((64, 1), padding=[[0, 0], [3, 3], [1, 1], [0, 0]]),
    "a single result": Case(MEL, padding="VALID"),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_others_are_left_alone(name):
    plain = LEFT_ALONE[name].graph()
    assert fold(plain, ["out"]) == plain


def change_input(change: Callable[[Any], None]) -> Any:
    plain = Case((64, 1)).graph()
    change({node.name: node for node in plain.node}["in"])
    return plain


def test_inputs_of_unknown_shape_are_left_alone():
    def forget(node: Any) -> None:
        node.attr["shape"].shape.Clear()
        node.attr["shape"].shape.unknown_rank = True

    plain = change_input(forget)
    assert fold(plain, ["out"]) == plain
    plain = change_input(lambda node: node.attr.pop("shape"))
    assert fold(plain, ["out"]) == plain


def layers(x: Any) -> dict[str, Callable[[], Any]]:
    tf = tensorflow()
    return {
        "expanded": lambda: tf.expand_dims(x, -1),
        "reshaped": lambda: tf.reshape(x, [-1, *MEL, 1]),
        "padded": lambda: tf.pad(
            tf.expand_dims(x, 3), [[0, 0], [3, 3], [0, 1], [0, 0]]
        ),
        "rectified": lambda: tf.nn.relu(tf.expand_dims(x, 3)),
    }


@pytest.mark.parametrize(
    "name", ["expanded", "reshaped", "padded", "rectified"]
)
def test_the_shape_is_followed_from_the_input(name):
    tf = tensorflow()
    kernel = np.random.default_rng(0).standard_normal((64, 1, 1, 51))
    with tf.Graph().as_default() as made:
        x = tf.placeholder(tf.float32, (None, *MEL), name="in")
        kernel = tf.constant(kernel / 8, tf.float32)
        x = tf.nn.conv2d(layers(x)[name](), kernel, padding="SAME")
        tf.identity(x, name="out")
    plain = definition_of(made)
    folded = fold(plain, ["out"])
    assert depths(folded) == [8]
    rows = patches(Case((64, 1)))[..., 0]
    assert np.abs(run(folded, rows) - run(plain, rows)).max() < 1e-5


def test_embedded_vgg_is_cut():
    outputs = ["model/Sigmoid"]
    plain, _ = read_graph(ROOT / "models" / "msd-vgg-1.pb", outputs)
    before, after = depths(plain), depths(fold(plain, outputs))
    assert len(after) == len(before)
    assert after.count(1) == before.count(1) - 1


def test_embedded_musicnn_is_cut_but_for_its_wide_kernels():
    outputs = ["model/Sigmoid"]
    plain, _ = read_graph(ROOT / "models" / "msd-musicnn-1.pb", outputs)
    before, after = depths(plain), depths(fold(plain, outputs))
    assert len(after) == len(before) - 2
    assert after.count(1) == before.count(1) - 5
