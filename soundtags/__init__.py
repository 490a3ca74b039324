"""Tags music by what it sounds like: audio in, predictions and labels out.

The Python interface is described in ``docs/python.rst``. NumPy is loaded when
one of the names below is first used, TensorFlow when a model is first run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundtags.api.analysis import TrackAnalysis, analyse
    from soundtags.api.audio import load, mel_bands
    from soundtags.api.model import Model

__all__ = ["Model", "TrackAnalysis", "analyse", "load", "mel_bands"]

_MODULES = {
    "Model": "soundtags.api.model",
    "TrackAnalysis": "soundtags.api.analysis",
    "analyse": "soundtags.api.analysis",
    "load": "soundtags.api.audio",
    "mel_bands": "soundtags.api.audio",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
