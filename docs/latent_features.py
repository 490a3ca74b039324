"""Draw latent features over time: latent_features.png of python.rst."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

import soundtags

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
MODEL = "msd-musicnn-1"
HOP = 93 / 62.5  # seconds from patch to patch


def draw(features: np.ndarray, path: Path) -> None:
    """Draw features of shape (patches, size), time from left to right."""
    patches, size = features.shape
    limit = np.abs(features).max()
    figure = Figure((8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(
        features.T,
        aspect="auto",
        interpolation="nearest",
        origin="lower",
        extent=(0, patches * HOP, 0, size),
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
    )
    axes.set_xlabel("seconds")
    axes.set_ylabel("latent feature")
    figure.colorbar(image, label="value")
    figure.savefig(path, dpi=100)


def synthesise(folder: Path) -> list[Path]:
    """Write the pieces of the demonstration."""
    sys.path.insert(0, str(HERE.parent / "demo"))
    from synthesise import write

    return write(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "tracks",
        type=Path,
        nargs="*",
        help="audio files, drawn one after another; without any, the pieces"
        " of the demonstration are synthesised",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=HERE / "latent_features.png",
        help="the picture to write",
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        tracks = options.tracks or synthesise(Path(folder))
        audio = np.concatenate([soundtags.load(track) for track in tracks])
    embedding = soundtags.Model(MODEL).predict(audio, output="embedding")
    draw(embedding, options.output)


if __name__ == "__main__":
    main()
