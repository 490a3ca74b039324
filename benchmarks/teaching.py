"""Show how well words are learned from a few examples.

    python benchmarks/teaching.py LABELS [--rounds 12]

LABELS is a folder with emotify.npz, tracks.npz and tracks.tsv, as
`docs/models.rst` describes. Words are kinds of music in the lists (tracks.tsv),
the four genres of Emotify's clips, and emotions; a clip has an emotion if it is
in the quarter of clips for which the most listeners chose it.

In each round, half of the artists (or packages) are put aside, or 30 % with 40
examples. Of the others' tracks, some are the examples, and the rest stand for
the rest of a library, which can hide more of the same. Prints, for the tracks
put aside, which part of those that the word names are right (precision), and
which part of the right ones it names (recall). The same follows for the tracks
nearest to the examples, as by `beet soundlike`, as many as the word names. The
last column is the recall that `beet soundteach` would have announced.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from soundtags.collection.similarity import nearest
from soundtags.collection.teaching import Lesson, teach
from soundtags.errors import UnteachableWord
from soundtags.labelling.taught_scores import Block, scores

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = (10, 20, 40)
ASIDE = {40: 0.3}  # share of groups: fewer where many examples are needed
USUAL_ASIDE = 0.5
LEAST = 3  # right tracks among those put aside
MOST_OF_ALL = 0.75  # quantile of listeners' shares from which a clip is right
THRESHOLD = 0.5
LISTS = {  # word to how the names of its buckets begin
    "techno": ("techno", "drum and bass", "house", "electronic"),
    "folk": ("folk",),
    "orchestra": ("orchestral", "classical"),
}
SUNG = "sung"
EMOTIONS = ("calmness", "power", "joyful_activation", "sadness", "tension")
TAGGERS = ("msd", "mtt")


@dataclass(frozen=True)
class Music:
    """Tracks with features.

    Attributes
    ----------
    blocks
        Outputs of the auto-taggers.
    embeddings
        What `beet soundlike` compares.
    groups
        Artist or package of each track, as a number.
    """

    blocks: list[Block]
    embeddings: np.ndarray
    groups: np.ndarray

    def take(self, rows: np.ndarray) -> list[Block]:
        """Return the blocks of some tracks."""
        return [replace(b, values=b.values[rows]) for b in self.blocks]


def read_music(path: Path, groups: list[str]) -> Music:
    """Read features of tracks; without groups, take those in the file."""
    with np.load(path) as arrays:
        blocks = [
            Block.of(
                name,
                tuple(map(str, arrays[f"{name}_classes"])),
                arrays[f"{name}_tags"],
                arrays[f"{name}_emb"],
            )
            for name in TAGGERS
        ]
        names = groups or arrays["group"]
        _, numbers = np.unique(names, return_inverse=True)
        return Music(blocks, arrays["msd_emb"].astype(np.float32), numbers)


def words(folder: Path) -> Iterator[tuple[str, Music, np.ndarray]]:
    """Yield words, with tracks and which of them are right."""
    with (folder / "tracks.tsv").open(encoding="utf8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file, delimiter="\t")}
    with np.load(folder / "tracks.npz") as arrays:
        facts = [rows[str(each)] for each in arrays["id"]]
    lists = read_music(folder / "tracks.npz", [row["group"] for row in facts])
    for word, begin in LISTS.items():
        yield (
            word,
            lists,
            np.array([row["bucket"].startswith(begin) for row in facts]),
        )
    yield SUNG, lists, np.array([row["voice"] == "voice" for row in facts])
    clips = read_music(folder / "emotify.npz", [])
    with np.load(folder / "emotify.npz") as arrays:
        genres, shares = arrays["genre"], arrays["share"]
        names = [str(each) for each in arrays["emotions"]]
    for genre in np.unique(genres):
        yield str(genre), clips, genres == genre
    for emotion in EMOTIONS:
        share = shares[:, names.index(emotion)]
        yield emotion, clips, share >= np.quantile(share, MOST_OF_ALL)


def rounds(
    music: Music, right: np.ndarray, count: int, most: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield examples, the rest of the library, and tracks put aside."""
    names = np.unique(music.groups)
    aside_share = ASIDE.get(count, USUAL_ASIDE)
    done = 0
    for seed in range(20 * most):
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(names)[: int(aside_share * len(names))]
        aside = np.isin(music.groups, chosen)
        known = np.flatnonzero(right & ~aside)
        if len(known) >= count and (right & aside).sum() >= LEAST:
            examples = rng.permutation(known)[:count]
            rest = np.setdiff1d(np.flatnonzero(~aside), examples)
            yield examples, rest, np.flatnonzero(aside)
            done += 1
        if done == most:
            return


def compare(
    music: Music,
    right: np.ndarray,
    examples: np.ndarray,
    rest: np.ndarray,
    aside: np.ndarray,
) -> list[float]:
    """Return precision and recall, taught and nearest; and announced recall."""
    rows = np.concatenate([examples, rest])
    is_example = np.arange(len(rows)) < len(examples)
    lesson = Lesson(
        music.take(rows),
        is_example,
        np.zeros(len(rows), bool),
        music.groups[rows],
    )
    word = teach("word", lesson).word
    named = scores(word, music.take(aside)) >= THRESHOLD
    both = np.concatenate([music.embeddings[examples], music.embeddings[aside]])
    near = nearest(both, np.arange(len(examples)), int(named.sum()))
    listed = np.zeros(len(aside), bool)
    listed[near - len(examples)] = True
    announced = word.check.found / len(examples) if word.check else np.nan
    return [
        *quality(named, right[aside]),
        *quality(listed, right[aside]),
        announced,
    ]


def quality(named: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Return precision and recall."""
    hits = (named & right).sum()
    return hits / max(named.sum(), 1), hits / right.sum()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("labels", type=Path)
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    print(f"{'':31} {'taught':>12} {'nearest':>12}  announced")
    means = defaultdict(list)
    for word, music, right in words(options.labels):
        for count in EXAMPLES:
            try:
                found = [
                    compare(music, right, *tracks)
                    for tracks in rounds(music, right, count, options.rounds)
                ]
            except UnteachableWord:
                continue
            if found:
                mean = np.nanmean(found, axis=0)
                means[count].append(mean)
                show(f"{word}, {count} examples", mean)
    for count, lines in means.items():
        show(f"mean, {count} examples", np.mean(lines, axis=0))


def show(title: str, figures: np.ndarray) -> None:
    ours, our_recall, theirs, their_recall, announced = figures
    print(
        f"{title:31} {ours:6.2f}{our_recall:6.2f} {theirs:6.2f}"
        f"{their_recall:6.2f}  {announced:9.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
