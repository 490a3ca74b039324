"""Results do not depend on the number of threads of the BLAS."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from support.audio import noise
from threadpoolctl import threadpool_info, threadpool_limits

from soundtags.audio.features import FeatureSpec, features
from soundtags.audio.patches import FRONT_ENDS
from soundtags.blas import single_threaded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def blas_threads() -> set[int]:
    """Return how many threads the BLAS libraries in this process use."""
    return {
        library["num_threads"]
        for library in threadpool_info()
        if library["user_api"] == "blas" and "numpy" in library["filepath"]
    }


@pytest.fixture
def two_threads() -> Iterator[None]:
    with threadpool_limits(2, "blas"):
        if blas_threads() != {2}:
            pytest.skip("the threads of this BLAS cannot be limited")
        yield


@pytest.mark.parametrize("patches", [5, None])
def test_features_are_the_same_bits(tmp_path: Path, patches: int | None):
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(60, 16000), 16000)
    spec = FeatureSpec(list(FRONT_ENDS), patches, "sinc")
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            found.append(list(features(str(path), spec)))
    for one, two in zip(*found, strict=True):
        assert one.inputs == two.inputs
        for name, each in one.patches.items():
            assert np.array_equal(each, two.patches[name])


@pytest.mark.usefixtures("two_threads")
def test_the_limit_ends_with_the_last_user():
    with single_threaded():
        with single_threaded():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_threads")
def test_users_may_come_and_go_in_any_order_and_thread():
    entered, left = threading.Event(), threading.Event()

    def other() -> None:
        with single_threaded():
            entered.set()
            left.wait(60)

    thread = threading.Thread(target=other)
    with ExitStack() as stack:
        stack.enter_context(single_threaded())
        thread.start()
        entered.wait(60)
    assert blas_threads() == {1}  # the other is still inside
    left.set()
    thread.join()
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_threads")
def test_an_error_inside_ends_the_limit():
    with pytest.raises(ZeroDivisionError), single_threaded():
        raise ZeroDivisionError
    assert blas_threads() == {2}
