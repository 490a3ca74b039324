"""Measure how well the rules agree with classifiers, and find thresholds.

    python benchmarks/rule_agreement.py MODELS MUSIC

MODELS is a folder with official classifiers (`.pb` and `.json`), MUSIC one with
the tracks in BY_EAR. The score of each rule is compared with the mean score of
all classifiers of its target, for whole tracks and for segments of ten patches;
and with what a listener notes in BY_EAR. Prints the agreement at the threshold
in use, that of always giving the commoner answer, the rank correlation, and the
thresholds with the best agreement.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from soundtags.audio.features import features
from soundtags.errors import UnusableModel
from soundtags.inference.predict import plan_nodes, predict
from soundtags.inference.sessions import SessionPool
from soundtags.labelling import rules, scores
from soundtags.labelling.labels import label
from soundtags.models import catalogue, installed, plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

PATCHES = 60
SEGMENT = 10  # patches
TAGGERS = ["msd-musicnn-1", "mtt-musicnn-1"]

# Whether a track has a voice, and whether it is electronic.
BY_EAR = {
    "voice_instrumental": {
        "metal_female_vocals": True,
        "pop_female_vocals_11s": True,
        "pop_male_vocals": True,
        "speech_female_8khz": True,
        "ambient": False,
        "chiptune": False,
        "folk_celtic": False,
        "jazz": False,
        "orchestral": False,
        "trance": False,
    },
    "mood_electronic": {
        "ambient": True,
        "chiptune": True,
        "hip_hop": True,
        "trance": True,
        "folk_celtic": False,
        "metal_female_vocals": False,
        "orchestral": False,
        "pop_female_vocals_11s": False,
        "pop_male_vocals": False,
        "rock": False,
        "speech_female_8khz": False,
    },
}
NO_PARTY = "mood_party"  # nothing among the tracks is party music

# Mood clusters stand in for mood_sad: the third is "poignant, wistful…".
CLUSTERS, SAD = "moods_mirex-msd-musicnn-1", 2

# Genres of the rules that fit a class of a genre classifier.
FITTING = {
    "alternative": {"Rock", "Indie", "Punk"},
    "blues": {"Blues"},
    "classical": {"Classical", "Opera", "Choral"},
    "dance": {"Electronic", "House", "Techno"},
    "electronic": {"Electronic", "House", "Techno", "Ambient", "Chillout"},
    "folk and country": {"Folk", "Country"},
    "funk, soul and r&b": {"Funk", "Soul", "R&B"},
    "hip hop": {"Hip Hop"},
    "jazz": {"Jazz"},
    "pop": {"Pop", "Indie"},
    "rap and hip hop": {"Hip Hop"},
    "rhythm and blues": {"R&B", "Soul", "Funk"},
    "rock": {"Rock", "Metal", "Punk", "Indie"},
    "speech": set(),
}


class Track:
    """Activations of all models over one track, per patch."""

    def __init__(self, file: Path, models: plan.Plan, pool: SessionPool):
        self.name = file.stem
        self.models = models.models
        nodes = plan_nodes(models)
        with ThreadPoolExecutor() as threads:
            outputs = [
                predict([chunk.patches], nodes, pool, threads.map)[0]
                for chunk in features(str(file), models.feature_spec)
            ]
        self.activations = {
            model.id: np.concatenate(
                [each.activations(model) for each in outputs]
            )
            for model in models.models
        }
        count = len(self.activations[TAGGERS[0]])
        self.whole = slice(0, count)
        self.segments = [
            slice(start, start + SEGMENT)
            for start in range(0, count - SEGMENT + 1, SEGMENT)
        ] or [self.whole]

    def means(self, part: slice) -> dict[str, scores.Means]:
        """Return the means of each model by itself over a part."""
        cut = {
            name: rows[part].mean(axis=0)
            for name, rows in self.activations.items()
        }
        answers = scores.model_means(cut, self.models)
        return {
            model.id: scores.target_means(answers, [model])
            for model in self.models
        }


def read_models(folder: Path) -> list[str]:
    """Return the taggers and all usable classifiers in a folder."""
    names = list(TAGGERS)
    for graph in sorted(folder.glob("*.pb")):
        try:
            model = installed.read_model(graph)
        except UnusableModel:
            continue
        on = model.metadata.backbone
        if on in (None, TAGGERS[0]) and model.id not in names:
            names.append(model.id)
    return names


def tags_of(means: dict[str, scores.Means]) -> scores.Means:
    return {name: tags for m in TAGGERS for name, tags in means[m].items()}


def odds(target: str, tags: scores.Means) -> float:
    """Return the strength for over the strength against, unthresholded."""
    strengths = rules.strengths(catalogue.rules()[target], tags)
    (negative,) = set(strengths) - {positive(target)}
    return strengths[positive(target)] * threshold(target) / strengths[negative]


def positive(target: str) -> str:
    return catalogue.targets()[target].positive or "voice"


def threshold(target: str) -> float:
    return catalogue.rules()[target][positive(target)].threshold


def by_ear(target: str, track: Track, _: slice) -> float | None:
    if target == NO_PARTY:
        return 0.0
    answer = BY_EAR.get(target, {}).get(track.name)
    return None if answer is None else float(answer)


def classified(target: str, track: Track, part: slice) -> float | None:
    """Return the mean score of all classifiers of a target."""
    answers = [
        scores.share(of_model[target], positive(target))
        for of_model in track.means(part).values()
        if target in of_model
    ]
    return float(np.mean(answers)) if answers else None


def clustered(target: str, track: Track, part: slice) -> float | None:
    if target != "mood_sad":
        return None
    return float(track.activations[CLUSTERS][part, SAD].mean())


JUDGES = {
    "classifiers": classified,
    "a listener": by_ear,
    "clusters": clustered,
}


def pairs(
    target: str,
    score: Callable[[str, Track, slice], float | None],
    tracks: list[Track],
    parts: Callable[[Track], list[slice]],
) -> np.ndarray:
    """Return the odds of a rule and a judge's score, part by part."""
    return np.array(
        [
            (odds(target, tags_of(track.means(part))), judged)
            for track in tracks
            for part in parts(track)
            if (judged := score(target, track, part)) is not None
        ]
    )


def agreement(pairs: np.ndarray, at: float) -> float:
    return float(np.mean((pairs[:, 0] >= at) == (pairs[:, 1] >= 0.5)))


def best_thresholds(*views: np.ndarray) -> tuple[float, float, float]:
    """Return the middle and ends of the range that agrees best."""
    grid = np.geomspace(0.05, 20, 241)
    totals = np.array([sum(agreement(v, at) for v in views) for at in grid])
    best = grid[totals >= totals.max() - 1e-9]
    return float(np.exp(np.log(best).mean())), best[0], best[-1]


def rank_correlation(pairs: np.ndarray) -> float:
    ranks = pairs.argsort(axis=0).argsort(axis=0)
    return float(np.corrcoef(ranks.T)[0, 1])


def row(target: str, against: str, *views: np.ndarray) -> str:
    in_use = threshold(target)
    agreements = [agreement(view, in_use) for view in views]
    last = views[-1]
    share = float(np.mean(last[:, 1] >= 0.5))
    middle, low, high = best_thresholds(*views)
    cells = " / ".join(f"{value:.0%}" for value in agreements)
    return (
        f"{target:20} {against:12} {in_use:5.2f}  {cells:12}"
        f" {max(share, 1 - share):5.0%} {rank_correlation(last):6.2f}"
        f"   {middle:.2f} ({low:.2f} to {high:.2f})"
    )


def print_genres(tracks: list[Track], models: plan.Plan) -> None:
    print("\ngenres by the rules, and the top classes of genre classifiers")
    fits = {}
    for track in tracks:
        means = track.means(track.whole)
        genres = label(tags_of(means), {}, models.targets, models.settings)[
            "genres"
        ]
        cells = []
        for model in track.models:
            name = model.target
            if not str(name).startswith("genre_"):
                continue
            classes = means[model.id][name]
            top = max(classes, key=lambda each: classes[each])
            readable = catalogue.targets()[name].classes[top]
            fitting = bool(FITTING[readable] & set(genres))
            fits.setdefault(model.id, []).append(fitting)
            cells.append(f"{readable}{'' if fitting else ' (no)'}")
        print(f"{track.name:22} {', '.join(genres):32} {'; '.join(cells)}")
    for name, fitting in fits.items():
        print(f"{name}: {sum(fitting)} of {len(fitting)} fit")


def print_rules(tracks: list[Track]) -> None:
    print(
        "rule                 against  threshold  agreement    always"
        "  rank   best thresholds"
    )
    for target in catalogue.rules():
        if target == rules.GENRES:
            continue
        for against, score in JUDGES.items():
            whole = pairs(target, score, tracks, lambda t: [t.whole])
            parts = pairs(target, score, tracks, lambda t: t.segments)
            if len(whole):
                print(row(target, against, whole, parts))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", type=Path)
    parser.add_argument("music", type=Path)
    options = parser.parse_args()
    folder, settings = options.models, Settings(patches=PATCHES)
    models = plan.make_plan(read_models(folder), folder, settings, print)
    pool = SessionPool(2 * 10**9)
    tracks = [
        Track(file, models, pool)
        for file in sorted(options.music.iterdir())
        if file.suffix != ".md"
    ]
    print_rules(tracks)
    print_genres(tracks, models)


if __name__ == "__main__":
    main()
