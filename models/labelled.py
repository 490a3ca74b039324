"""The labelled music and speech that estimates are fitted to."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

GROUP = 4  # tracks; a larger group of the lists counts no more


@dataclass(frozen=True)
class Data:
    """Rows of labelled music and speech.

    Attributes
    ----------
    ids, groups : numpy.ndarray
        Name of each row, and the artist, package or speaker it is from.
    kinds : list of tuple of str
        What each row is, in words of the lists.
    shares : dict
        Emotion to the share of listeners who chose it; NaN where none were
        asked.
    tags : list of str
        Names of the tags, as in rules.
    means : numpy.ndarray
        Their mean activations, shape (rows, tags).
    weights : numpy.ndarray
        How much each row counts.
    """

    ids: np.ndarray
    groups: np.ndarray
    kinds: list[tuple[str, ...]]
    shares: dict[str, np.ndarray]
    tags: list[str]
    means: np.ndarray
    weights: np.ndarray

    def are(self, kinds: tuple[str, ...]) -> np.ndarray:
        """Return which rows are of one of the given kinds."""
        return np.array(
            [any(each.startswith(kinds) for each in own) for own in self.kinds]
        )

    def take(self, rows: np.ndarray) -> Data:
        """Return some of the rows."""
        return replace(
            self,
            ids=self.ids[rows],
            groups=self.groups[rows],
            kinds=[k for k, taken in zip(self.kinds, rows) if taken],
            shares={name: values[rows] for name, values in self.shares.items()},
            means=self.means[rows],
            weights=self.weights[rows],
        )

    def sums(self, tags: list[str]) -> np.ndarray:
        """Return the sum of some tags' activations, for each row."""
        return self.means[:, [self.tags.index(tag) for tag in tags]].sum(axis=1)


def read_data(folder: Path, speech: Path) -> Data:
    """Read all rows; tracks of large groups count less."""
    emotify = np.load(folder / "emotify.npz")
    tracks, spoken = np.load(folder / "tracks.npz"), np.load(speech)
    with (folder / "tracks.tsv").open(encoding="utf8", newline="") as file:
        facts = {row["id"]: row for row in csv.DictReader(file, delimiter="\t")}
    listed = [facts[str(name)] for name in tracks["id"]]
    kinds = [
        *((f"emotify {genre}", "music") for genre in emotify["genre"]),
        *((row["bucket"], row["voice"], _music(row)) for row in listed),
        *((str(kind),) for kind in spoken["kind"]),
    ]
    groups = np.concatenate(
        [emotify["group"], [row["group"] for row in listed], spoken["group"]]
    )
    rest = len(kinds) - len(emotify["id"])
    sizes = dict(zip(*np.unique(groups, return_counts=True)))
    weights = [min(1, GROUP / sizes[g]) for g in groups[-rest:]]
    return Data(
        ids=np.concatenate([each["id"] for each in (emotify, tracks, spoken)]),
        groups=groups,
        kinds=kinds,
        shares={
            str(name): np.append(share, np.full(rest, np.nan))
            for name, share in zip(emotify["emotions"], emotify["share"].T)
        },
        tags=[
            f"{vocabulary}:{name}"
            for vocabulary in ("msd", "mtt")
            for name in emotify[f"{vocabulary}_classes"]
        ],
        means=np.concatenate(
            [
                np.hstack([each["msd_tags"], each["mtt_tags"]])
                for each in (emotify, tracks, spoken)
            ]
        ).astype(float),
        weights=np.append(np.ones(len(emotify["id"])), weights),
    )


def _music(row: dict[str, str]) -> str:
    return "" if row["bucket"].startswith("spoken") else "music"
