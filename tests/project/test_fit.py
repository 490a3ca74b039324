"""Estimates are judged on music that they have never seen."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.scripts import run_script

from soundtags.models import catalogue

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="scripts are for Linux"
    ),
]

EMOTIONS = (
    *("amazement", "calmness", "joyful_activation", "nostalgia", "power"),
    *("sadness", "solemnity", "tenderness", "tension"),
)
CLIPS, ARTISTS, PIECES = 80, 20, 20
BUCKETS = ("classical", "techno", "metal", "folk/celtic")


def features(rows: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Return mean activations that tell nothing about anything."""
    return {
        f"{words}_tags": rows.uniform(0.01, 0.5, (count, 50)).astype("f")
        for words in ("msd", "mtt")
    }


def write_labels(folder: Path, artist: int | None = None) -> None:
    """Write labels and features; of one artist, listeners say the opposite."""
    rows = np.random.default_rng(7)
    clips, pieces = np.arange(CLIPS), np.arange(PIECES)
    share = rows.uniform(0, 1, (CLIPS, len(EMOTIONS)))
    other = clips % ARTISTS == artist
    share[other] = 1 - share[other]
    np.savez(
        folder / "emotify.npz",
        id=[f"e{n}" for n in clips],
        group=[f"artist {n % ARTISTS}" for n in clips],
        genre=["rock"] * CLIPS,
        emotions=EMOTIONS,
        share=share,
        msd_classes=catalogue.published()["msd-musicnn-1"].metadata.classes,
        mtt_classes=catalogue.published()["mtt-musicnn-1"].metadata.classes,
        **features(rows, CLIPS),
    )
    np.savez(
        folder / "tracks.npz",
        id=[f"t{n}" for n in pieces],
        **features(rows, PIECES),
    )
    np.savez(
        folder / "speech.npz",
        id=[f"s{n}" for n in pieces],
        group=[f"speaker {n % 5}" for n in pieces],
        kind=[("speech", "music")[n % 2] for n in pieces],
        **features(rows, PIECES),
    )
    with (folder / "tracks.tsv").open("w", encoding="utf-8") as file:
        lines = csv.writer(file, delimiter="\t")
        lines.writerow(["id", "group", "bucket", "voice"])
        for n in pieces:
            voice = ("voice", "instrumental")[n // 4 % 2]
            lines.writerow(
                [f"t{n}", f"package {n % 10}", BUCKETS[n % 4], voice]
            )
    judge = "import sys; print('judged', *sys.argv[1:])"
    (folder / "score.py").write_text(judge, encoding="utf-8")


def check(folder: Path) -> dict[str, dict[str, str]]:
    """Return the labels of all rows by estimates that never saw them."""
    table = folder / "unseen.tsv"
    speech = folder / "speech.npz"
    said = run_script("models/fit.py", folder, speech, "--check", table)
    assert f"all data\njudged {folder} {table}" in said
    with table.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file, delimiter="\t")}


@pytest.mark.parametrize("artist", [0, 1])
def test_artists_are_judged_by_estimates_that_never_saw_them(tmp_path, artist):
    write_labels(tmp_path)
    usual = check(tmp_path)
    write_labels(tmp_path, artist)
    other = check(tmp_path)
    own = {f"e{n}" for n in range(artist, CLIPS, ARTISTS)}
    assert {n for n in own if other[n] != usual[n]} == set()
    assert sum(other[n] != usual[n] for n in usual) > len(usual) / 2
