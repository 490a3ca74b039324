"""Label tracks whose features are known, to compare with listeners' labels.

    python benchmarks/label_predictions.py FOLDER OUT.tsv

Every `.npz` file in FOLDER that has the arrays `id`, `msd_tags` and `mtt_tags`
(names of tracks, and the auto-taggers' mean activations) adds its tracks. From
these means on, they are processed like any other track. The columns of OUT.tsv
are the fields that a fresh installation stores (lists are joined by "; "), and
`voice`, the probability of a voice.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.inference.pooling import TrackPredictions
from soundtags.labelling.interpret import interpret
from soundtags.models.plan import make_plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    # Name of a track to id of an auto-tagger to mean activations.
    Tracks = Mapping[str, Mapping[str, np.ndarray]]

TAGGERS = {"msd-musicnn-1": "msd_tags", "mtt-musicnn-1": "mtt_tags"}
SECONDS, LEVEL = 60.0, 0.1  # given to all tracks: long and loud enough


def read_tracks(folder: Path) -> Tracks:
    """Return the activations of all tracks in a folder."""
    found = {}
    for file in sorted(folder.glob("*.npz")):
        with np.load(file) as opened:
            arrays = dict(opened)
        if {"id", *TAGGERS.values()} <= arrays.keys():
            found |= {
                str(name): {m: arrays[a][row] for m, a in TAGGERS.items()}
                for row, name in enumerate(arrays["id"])
            }
    return found


def label_tracks(tracks: Tracks) -> list[dict[str, Any]]:
    """Return the fields of tracks as a fresh installation has them."""
    with tempfile.TemporaryDirectory() as empty:
        plan = make_plan(None, Path(empty), Settings(), print)
    lines = []
    for name, activations in tracks.items():
        found = TrackPredictions({}, SECONDS, LEVEL, dict(activations), {})
        fields = interpret(found, plan).fields
        lines.append({"id": name, "voice": _voice(fields), **fields})
    return lines


def _voice(fields: Mapping[str, Any]) -> float:
    share = float(fields["voice_instrumental_score"])
    return share if fields["voice_instrumental"] == "voice" else 1 - share


def write_table(lines: list[dict[str, Any]], out: Path) -> None:
    """Write a line with the fields of each track."""
    names = dict.fromkeys(name for line in lines for name in line)
    with out.open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(names)
        for line in lines:
            writer.writerow([_cell(line.get(name)) for name in names])


def _cell(value: Any) -> Any:
    return "; ".join(value) if isinstance(value, list) else value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    lines = label_tracks(read_tracks(options.folder))
    write_table(lines, options.out)
    print(f"{len(lines)} tracks")


if __name__ == "__main__":
    main()
