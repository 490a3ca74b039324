"""Show what is lost by analysing only a few patches of each track.

    python benchmarks/patch_counts.py MUSIC [--models MODELS] [--scores]

Analyses every track in MUSIC with 4, 8, 16, 32 and 64 patches, at even
distances, and with all (half overlapping). Prints how far scores are from those
with all patches, and how many labels flip: text fields, and which moods, genres
and tags are in lists. A flip is clear if the score behind it is more than 0.05
from the threshold. One table is for the default plan, with the embedded
auto-taggers and the estimates; with MODELS, another is for all usable
classifiers in that folder. With --scores, a line per score follows.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from soundtags.errors import SoundtagsError
from soundtags.inference import pipeline
from soundtags.inference.sessions import SessionPool
from soundtags.labelling.interpret import interpret
from soundtags.models import catalogue, installed, plan
from soundtags.models.settings import Settings

COUNTS = [4, 8, 16, 32, 64]
CLEAR = 0.05
NOWHERE = Path("does-not-exist")
JOBS = os.cpu_count() or 1
Fields = dict[str, Any]


class Change(NamedTuple):
    """A change of one score of one track."""

    size: float
    score: str
    track: str


class Flip(NamedTuple):
    """A label of one track that is not the same with fewer patches."""

    label: str
    track: str
    margin: float | None  # from its score to the threshold, if it has a score


def analyse(
    tracks: list[Path], made: plan.Plan, pool: SessionPool
) -> dict[str, Fields]:
    """Return the fields of each track."""
    pairs = [(track.stem, str(track)) for track in tracks]
    results = {}
    for result in pipeline.predict_all(pairs, made, pool, JOBS):
        if result.error:
            sys.exit(f"{result.key}: {result.error}")
        results[result.key] = interpret(result.unwrap(), made).fields
    return results


def classifiers(folder: Path) -> list[str]:
    """Return the ids of all usable classifiers in a folder."""
    names = []
    for name, graph in installed.graphs(folder).items():
        try:
            plan.make_plan([name], folder, Settings(), print)
        except SoundtagsError:
            continue
        if graph.parent == folder:
            names.append(name)
    return names


def labels(fields: Fields) -> dict[str, Any]:
    """Return every label: the values of text fields, the names in lists."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name in (catalogue.PLAN_FIELD, catalogue.INPUT_FIELD):
            continue
        if isinstance(value, str):
            found[name] = value
        elif isinstance(value, list):
            found.update({f"{name}: {each}": True for each in value})
    return found


def margin(label: str, fields: Fields) -> float | None:
    """Return how far the score behind a label is from the threshold."""
    name, _, value = label.partition(": ")
    if name == "mood":
        score = fields.get(f"mood_{value}")
        return None if score is None else abs(score - 0.5)
    if not value:
        score = fields.get(f"{label}_score")
        target = catalogue.targets().get(label)
        two = target is not None and len(target.classes) == 2
        return abs(score - 0.5) if two and score is not None else None
    return None


def compare(
    every: dict[str, Fields], few: dict[str, Fields]
) -> tuple[list[Change], list[Flip], int]:
    """Return changes, flips, and how many labels there are."""
    changes, flips, count = [], [], 0
    for track, fields in every.items():
        for name, value in fields.items():
            if isinstance(value, float) and few[track].get(name) is not None:
                # Scores of text fields are compared if the class is the same.
                text = name.removesuffix("_score")
                if fields.get(text) == few[track].get(text) or text == name:
                    size = abs(value - few[track][name])
                    changes.append(Change(size, name, track))
        was, now = labels(fields), labels(few[track])
        for label in sorted(was.keys() | now.keys()):
            count += 1
            if was.get(label) != now.get(label):
                flips.append(Flip(label, track, margin(label, fields)))
    return changes, flips, count


def table(title: str, tracks: list[Path], made: plan.Plan, each: bool) -> None:
    pool = SessionPool(2 * 10**9)
    runs = {
        count: analyse(
            tracks,
            replace(made, settings=made.settings._replace(patches=count)),
            pool,
        )
        for count in [*COUNTS, None]
    }
    pool.close()
    every = runs.pop(None)
    print(f"\n{title}: {len(made.models)} models, {len(tracks)} tracks")
    print("patches  mean   95 %   worst                                 flips")
    for count, few in runs.items():
        changes, flips, labelled = compare(every, few)
        sizes = [change.size for change in changes]
        worst = max(changes)
        of_lists = [flip for flip in flips if flip.margin is None]
        clear = [f for f in flips if f.margin is not None and f.margin > CLEAR]
        print(
            f"{count:7}  {np.mean(sizes):.4f} {np.quantile(sizes, 0.95):.4f}"
            f" {worst.size:.4f} {worst.score + ', ' + worst.track:36}"
            f" {len(flips)} of {labelled}: {len(clear)} clear,"
            f" {len(of_lists)} in lists"
        )
        for flip in clear:
            print(f"         clear: {flip.label}, {flip.track}")
    if each:
        print_scores(every, runs)


def print_scores(
    every: dict[str, Fields], runs: dict[int | None, dict[str, Fields]]
) -> None:
    sizes: dict[str, dict[Any, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for count, few in runs.items():
        for change in compare(every, few)[0]:
            sizes[change.score][count].append(change.size)
    print("score: mean and worst change for", *COUNTS)
    for score, per_count in sorted(sizes.items()):
        cells = [
            f"{np.mean(found):.3f}/{max(found):.3f}"
            for found in per_count.values()
        ]
        print(f"  {score:26} {'  '.join(cells)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--scores", action="store_true")
    options = parser.parse_args()
    tracks = sorted(p for p in options.music.iterdir() if p.suffix != ".md")
    plans = {"embedded": plan.make_plan(None, NOWHERE, Settings(), print)}
    if options.models:
        names = classifiers(options.models)
        plans["classifiers"] = plan.make_plan(
            names, options.models, Settings(), print
        )
    for title, made in plans.items():
        table(title, tracks, made, options.scores)


if __name__ == "__main__":
    main()
