"""Show how far the estimates agree with listeners.

    python docs/estimates.py LABELS CROSSVALIDATED.tsv SHIPPED.tsv

LABELS is a folder as for `models/fit.py`, which writes the first table of
labels with `--check`; `benchmarks/label_predictions.py` writes the second one.
Draws reliability curves, and how many tracks get which mood (estimates.png),
and prints how often moods are right, and the rank correlations of energy and
valence with listeners' choices.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "models"))

from questions import EMOTIONS

MOODS = [name for name in EMOTIONS if name.startswith("mood_")]
BINS = np.linspace(0, 1, 6)
ONE_AXIS = {"energy": 1, "valence": 0}  # columns of arousal_valence


def read(table: Path) -> dict[str, dict[str, str]]:
    with table.open(encoding="utf8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file, delimiter="\t")}


def chosen(emotify: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return the weighted sums of listeners' choices."""
    shares = dict(zip(emotify["emotions"].tolist(), emotify["share"].T))
    weights = EMOTIONS[name].weights.items()
    return np.sum([weight * shares[e] for e, weight in weights], axis=0)


def scores(
    rows: dict[str, dict[str, str]], ids: np.ndarray, name: str
) -> np.ndarray:
    return np.array([float(rows[str(each)][name] or 0) for each in ids])


def ranks(values: np.ndarray) -> np.ndarray:
    return values.argsort().argsort()


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def print_moods(
    emotify: dict[str, np.ndarray], rows: dict[str, dict[str, str]]
) -> None:
    """Print how many clips that get a mood have it, and the other way round."""
    for name in MOODS:
        mood = name.removeprefix("mood_")
        lists = [rows[str(each)]["mood"].split("; ") for each in emotify["id"]]
        given = np.array([mood in each for each in lists])
        has = chosen(emotify, name) >= EMOTIONS[name].least
        both = (given & has).sum()
        right, found = both / given.sum(), both / has.sum()
        print(f"{mood:10} right {right:.0%}, found {found:.0%}")


def draw_reliability(axes, emotify, rows) -> None:
    everything: list[tuple[float, bool]] = []
    for name in MOODS:
        given = scores(rows, emotify["id"], name)
        right = chosen(emotify, name) >= EMOTIONS[name].least
        everything += zip(given, right)
        axes.plot(*curve(given, right), ".-", label=name[5:], alpha=0.6)
    given, right = map(np.array, zip(*everything))
    axes.plot(*curve(given, right), "ko-", linewidth=2, label="all five")
    axes.plot([0, 1], [0, 1], "k:", linewidth=1)
    axes.set(
        xlabel="score (cross-validated)", ylabel="share that have the mood"
    )
    axes.legend(fontsize=8)


def curve(given: np.ndarray, right: np.ndarray) -> tuple[list, list]:
    """Return mean scores and shares of right ones, in bins of scores."""
    bins = np.clip(np.digitize(given, BINS) - 1, 0, len(BINS) - 2)
    filled = [each for each in range(len(BINS) - 1) if (bins == each).sum() > 4]
    return (
        [given[bins == each].mean() for each in filled],
        [right[bins == each].mean() for each in filled],
    )


def draw_shares(axes, rows) -> None:
    lists = [row["mood"].split("; ") for row in rows.values()]
    names = [name[5:] for name in MOODS] + ["acoustic", "electronic"]
    shares = [
        sum(name in each for each in lists) / len(lists) for name in names
    ]
    axes.barh(names[::-1], shares[::-1], color="tab:blue")
    axes.set(xlim=(0, 1), xlabel=f"share of {len(lists)} tracks and clips")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("labels", "crossvalidated", "shipped"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    emotify = dict(np.load(options.labels / "emotify.npz"))
    unseen, shipped = read(options.crossvalidated), read(options.shipped)
    for name, column in ONE_AXIS.items():
        said = chosen(emotify, name)
        ours = scores(unseen, emotify["id"], name)
        head = emotify["arousal_valence"][:, column]
        print(
            f"{name}: estimate {correlation(said, ours):.2f},"
            f" emomusic head {correlation(said, head):.2f}"
        )
    print_moods(emotify, unseen)
    _, (left, right) = plt.subplots(
        1, 2, figsize=(9, 3.8), layout="constrained"
    )
    draw_reliability(left, emotify, unseen)
    draw_shares(right, shipped)
    plt.savefig(HERE / "estimates.png", dpi=110)


if __name__ == "__main__":
    main()
