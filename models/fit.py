"""Fit the estimates to what listeners say, and show how good they are.

    python models/fit.py LABELS SPEECH.npz [--check OUT.tsv]

LABELS is a folder with emotify.npz, tracks.npz, tracks.tsv and score.py, as
`docs/models.rst` describes; SPEECH.npz has the features of recordings, as
`models/speech.py` makes them. Writes estimates.json beside this script. With
`--check`, it cross-validates instead, and leaves whole groups out: each artist
or package is labelled by estimates that never saw it. What was chosen by hand
(groups.json, questions.py, AGAINST) was chosen with all of them in view: that
part of the result is optimistic. OUT.tsv gets the labels. `score.py` judges
them, and also labels by estimates that never saw one of the two sets of music.

An estimate is a logistic regression on logarithms of the auto-taggers' mean
activations. A head has a weight for each tag; a rule compares two sums of tags
that were chosen by hand; a genre compares one sum with what is enough. The
surer the taggers are of something that rules a mood out, the lower its
probability.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from labelled import Data, read_data
from questions import EMOTIONS, MUSIC, labels

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "benchmarks"))

from label_predictions import label_tracks, write_table

from soundtags.collection.regression import folds_of, regress
from soundtags.models import catalogue

FOLDS = 10
MTT_TRUST = 0.7  # it learnt from the record label of Emotify's clips
FLOOR = 0.01  # added to the activations of heads and genres
RULE_FLOOR = 0.2  # added to the sums of rules
# Of heads: what cross-validation likes best, between 3 and 20.
PENALTY, SPEECH_PENALTY = 5.0, 1.0
RULE_PENALTY, SLOPE_PENALTY = 0.5, 0.1
STRENGTH_SLOPE = 2.0  # twice what is enough: odds of about four
HEADS = {  # question to the target and the class that it estimates
    **{name: (name, name.removeprefix("mood_")) for name in EMOTIONS},
    "energy": ("arousal_valence", "arousal"),
    "valence": ("arousal_valence", "valence"),
    "speech": ("speech", "speech"),
}
RULES = {
    "voice_instrumental": "voice",
    "danceability": "danceable",
    "mood_acoustic": "acoustic",
    "mood_electronic": "electronic",
}
# Genre to another that speaks against it, where the taggers know both: with
# what weight, and how much of the other's tags is usual in all kinds of music.
AGAINST = {
    "Classical": ("Rock", -1.0, 0.15),
    "Electronic": ("Hip Hop", -1.0, 0.015),
    "House": ("Hip Hop", -1.0, 0.015),
    "Rock": ("Electronic", -0.5, 0.15),
    "Techno": ("Hip Hop", -1.0, 0.015),
}

Estimates = dict[str, dict[str, Any]]


def fit_head(name: str, data: Data) -> dict[str, Any] | None:
    """Fit an estimate with a weight for each tag; None without a label."""
    wanted = labels(name, data)
    known = ~np.isnan(wanted)
    if not known.any():
        return None
    rows = data.take(known)
    inputs = np.log(FLOOR + rows.means)
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    trust = [MTT_TRUST if tag[:3] == "mtt" else 1.0 for tag in rows.tags]
    scaled = (inputs - mean) / spread * trust
    wanted, weights = wanted[known], _balanced(name, wanted[known], rows)
    penalty = SPEECH_PENALTY if name == "speech" else PENALTY
    folds = folds_of(rows.groups, FOLDS)
    unseen = _unseen(scaled, wanted, weights, folds, penalty)
    *found, bias = regress(scaled, wanted, weights, penalty)
    # Shrunken weights make scores timid; scores of unseen rows tell how much.
    slope, shift = regress(
        unseen[:, None], (wanted > 0.5).astype(float), weights, SLOPE_PENALTY
    )
    factors = np.array(found) * trust / spread * slope
    return {
        "floor": FLOOR,
        "bias": _short(bias * slope + shift - factors @ mean),
        "terms": [[_short(f), [tag]] for f, tag in zip(factors, rows.tags)],
    }


def _unseen(
    inputs: np.ndarray,
    wanted: np.ndarray,
    weights: np.ndarray,
    folds: np.ndarray,
    penalty: float,
) -> np.ndarray:
    """Return the log-odds of each row, by a fit without its fold."""
    z = np.zeros(len(wanted))
    for fold in np.unique(folds):
        rest = folds != fold
        b = regress(inputs[rest], wanted[rest], weights[rest], penalty)
        z[~rest] = inputs[~rest] @ b[:-1] + b[-1]
    return z


def _balanced(name: str, wanted: np.ndarray, rows: Data) -> np.ndarray:
    """Return weights of rows, with yes and no balanced where kinds answer."""
    if name not in MUSIC:
        return rows.weights
    yes = wanted > 0.5
    weights = rows.weights.copy()
    if yes.any() and not yes.all():
        ratio = weights[~yes].sum() / weights[yes].sum()
        weights[yes] *= MUSIC[name].favour * ratio
    return weights


def fit_rule(name: str, data: Data, groups: dict[str, Any]) -> dict[str, Any]:
    """Fit an estimate that compares two sums of tags."""
    wanted = labels(name, data)
    known = ~np.isnan(wanted)
    rows, wanted = data.take(known), wanted[known]
    sides = groups["for"], groups["against"]
    pro, con = (np.log(RULE_FLOOR + rows.sums(tags)) for tags in sides)
    weights = _balanced(name, wanted, rows)
    slope, bias = regress((pro - con)[:, None], wanted, weights, RULE_PENALTY)
    terms = [[_short(slope), sides[0]], [_short(-slope), sides[1]]]
    return {"floor": RULE_FLOOR, "bias": _short(bias), "terms": terms}


def strength(group: dict[str, Any]) -> dict[str, Any]:
    """Return an estimate that compares a sum of tags with what is enough."""
    bias = -STRENGTH_SLOPE * np.log(FLOOR + group["enough"])
    terms = [[STRENGTH_SLOPE, group["for"]]]
    return {"floor": FLOOR, "bias": _short(bias), "terms": terms}


def genre(name: str, groups: dict[str, Any]) -> dict[str, Any]:
    """Return an estimate of a genre."""
    found = strength(groups[name])
    if name in AGAINST:
        other, weight, usual = AGAINST[name]
        found["terms"].append([weight, groups[other]["for"]])
        found["bias"] = _short(found["bias"] - weight * np.log(FLOOR + usual))
    return found


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def fit(data: Data) -> Estimates:
    """Fit all estimates."""
    groups = json.loads((HERE / "groups.json").read_text(encoding="utf8"))
    found: Estimates = {}
    for name, target in RULES.items():
        found[name] = {target: fit_rule(name, data, groups[name])}
    for name, (target, answer) in HEADS.items():
        head = fit_head(name, data)
        if not head:
            continue
        unless = EMOTIONS[name].unless if name in EMOTIONS else None
        if unless:
            head["unless"] = strength(groups["unless"][unless])
        found.setdefault(target, {})[answer] = head
    found["genres"] = {
        name: genre(name, groups["genres"]) for name in groups["genres"]
    }
    return found


def cross_validate(data: Data, seen: np.ndarray) -> list[dict[str, Any]]:
    """Label each row by estimates that never saw its group.

    Parameters
    ----------
    data
        All rows.
    seen
        Which of them the estimates may be fitted to.
    """
    lines = []
    folds = folds_of(data.groups, FOLDS)
    for fold in range(FOLDS):
        rest = folds != fold
        estimates = catalogue.parse_estimates(fit(data.take(rest & seen)))
        with patch.object(catalogue, "estimates", lambda e=estimates: e):
            lines += label_tracks(_tracks(data.take(~rest)))
    return lines


def _tracks(data: Data) -> dict[str, dict[str, np.ndarray]]:
    half = len(data.tags) // 2
    return {
        str(name): {
            "msd-musicnn-1": means[:half],
            "mtt-musicnn-1": means[half:],
        }
        for name, means in zip(data.ids, data.means)
    }


def check(folder: Path, data: Data, out: Path) -> None:
    """Print what `score.py` says of cross-validated labels."""
    asked = ~np.isnan(data.shares["calmness"])
    listed = ~asked & ~data.are(("speech",))
    with tempfile.TemporaryDirectory() as place:
        for title, unseen, table in (
            ("all data", [], out),
            ("without Emotify", asked, Path(place, "lists.tsv")),
            ("without the lists", listed, Path(place, "emotify.tsv")),
        ):
            seen = np.ones(len(data.ids), bool)
            seen[unseen] = False
            write_table(cross_validate(data, seen), table)
            print(f"\n{title}", flush=True)
            script = folder / "score.py"
            call = [sys.executable, str(script), str(folder), str(table)]
            subprocess.run(call, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("labels", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--check", type=Path)
    options = parser.parse_args()
    data = read_data(options.labels, options.speech)
    if options.check:
        check(options.labels, data, options.check)
        return
    text = json.dumps(fit(data), separators=(",", ":"))
    text = text.replace("]],", "]],\n").replace('{"floor"', '\n{"floor"')
    (HERE / "estimates.json").write_text(text + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
