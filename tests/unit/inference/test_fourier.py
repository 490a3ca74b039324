"""Convolutions of wide kernels become products of spectra, and give the same.

Others must be left to other rules, or as they are.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.convolutions import (
    MEL,
    Case,
    Pool,
    operations,
    over_bands,
    patches,
    run,
)

from soundtags.inference.rewrite import fold


def by_spectra(graph: Any) -> bool:
    return bool(operations(graph, "BatchMatMulV2"))


def pieces(graph: Any) -> int:
    """Return in how many pieces the rows are computed."""
    return len(operations(graph, "BatchMatMulV2")) // 4


def wide(
    kernel: tuple[int, int],
    filters: int = 51,
    shape: tuple[int, int] = MEL,
    **options: Any,
) -> Case:
    """Return a convolution inside the image, and the maximum of each row."""
    pool = over_bands(shape[1] - kernel[1] + 1)
    return Case(kernel, filters, "VALID", shape, pool, **options)


WIDE = {
    "38 of 96 bands": wide((7, 38), 204),
    "67 of 96 bands": wide((7, 67), 204),
    "odd number of bands": wide((7, 38), shape=(40, 97)),
    "odd number of results": wide((7, 38), shape=(40, 95)),
    "four rows": wide((4, 40)),
    "one filter": wide((7, 38), 1),
    "zeros around": Case((7, 38), 51, "SAME", pool=over_bands()),
    "as many rows as the kernel": wide((7, 38), shape=(7, 96)),
}


@pytest.mark.parametrize("name", WIDE)
def test_wide_kernels_are_multiplied_as_spectra(name):
    case = WIDE[name]
    plain = case.graph()
    folded = fold(plain, ["out"])
    assert by_spectra(folded)
    assert not operations(folded, "Conv2D")
    rows = patches(case, 3)
    before, after = run(plain, rows), run(folded, rows)
    assert after.shape == before.shape
    assert np.abs(after - before).max() < 1e-5


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(6, 30),
    st.integers(1, 30),
    st.integers(9, 60),
    st.integers(30, 60),
    st.integers(1, 3),
)
def test_all_sizes_give_the_same(high, broad, filters, height, width, count):
    case = wide((high, broad), filters, (height, width))
    plain = case.graph()
    rows = patches(case, count)
    before, after = run(plain, rows), run(fold(plain, ["out"]), rows)
    assert after.shape == before.shape
    assert np.abs(after - before).max() < 1e-5


def test_large_products_are_computed_in_pieces():
    assert pieces(fold(wide((7, 38), 204).graph(), ["out"])) > 4
    assert pieces(fold(wide((7, 38), 1).graph(), ["out"])) == 1


def test_long_patches_have_a_limited_number_of_pieces():
    case = wide((7, 38), 204, shape=(5000, 96))
    folded = fold(case.graph(), ["out"])
    assert by_spectra(folded)
    assert pieces(folded) <= 64


def test_a_patch_gives_the_same_at_each_place_of_a_batch():
    case = WIDE["38 of 96 bands"]
    folded = fold(case.graph(), ["out"])
    rows = patches(case, 5)
    values = run(folded, rows)
    assert np.array_equal(run(folded, rows[::-1])[::-1], values)


OTHERS = {
    "narrow kernel": wide((7, 3)),
    "kernel that leaves one result": wide((7, 96)),
    "high kernel": wide((20, 38)),
    "many filters": wide((7, 38), 2000),
    "no maximum": Case((7, 38), padding="VALID"),
    "maximum over some bands": Case(
        (7, 38), padding="VALID", pool=Pool((1, 29), (1, 29), "VALID")
    ),
    "maximum over some frames, too": Case(
        (7, 38), padding="VALID", pool=Pool((2, 59), (2, 59), "VALID")
    ),
    "padded maximum": Case(
        (7, 38), padding="VALID", pool=Pool((1, 59), (1, 59), "SAME")
    ),
    "two channels": wide((7, 38), channels=2),
    "strides": wide((7, 38), options={"strides": (2, 1)}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_not(name):
    case = OTHERS[name]
    plain = case.graph()
    folded = fold(plain, ["out"])
    assert not by_spectra(folded)
    rows = patches(case)
    assert np.abs(run(folded, rows) - run(plain, rows)).max() < 1e-5


def test_a_very_wide_image_takes_no_huge_matrix():
    plain = wide((1, 50_000), 1, shape=(2, 100_000)).graph()
    tracemalloc.start()
    folded = fold(plain, ["out"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not by_spectra(folded)
    assert folded.ByteSize() < 10**7
    assert peak < 10**8
