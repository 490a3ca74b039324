"""What may be missing: tests that need it are then skipped."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec
from typing import Any

import pytest

from soundtags.audio import resampling
from soundtags.inference import tensorflow_engine

# Of the distribution that is installed, whichever it is.
_versions = {each.name: each.version for each in metadata.distributions()}
VERSION = _versions.get("beets-soundtags") or _versions["beets-soundtags-lite"]

needs_resampy = pytest.mark.skipif(
    not find_spec("resampy"), reason="needs resampy"
)
needs_tensorflow = pytest.mark.skipif(
    not find_spec("tensorflow"), reason="needs TensorFlow"
)
RESAMPLERS = [
    pytest.param(name, marks=[needs_resampy] if name == "resampy" else [])
    for name in resampling.RESAMPLERS
]


def tensorflow() -> Any:
    """Return ``tensorflow.compat.v1``, or skip the test."""
    if not find_spec("tensorflow"):
        pytest.skip("needs TensorFlow")
    return tensorflow_engine.tensorflow()
