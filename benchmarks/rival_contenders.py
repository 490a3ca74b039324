"""The contenders of rivals.py."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from rival_arena import Contender

if TYPE_CHECKING:
    from pathlib import Path

OURS = "rival_ours.py"
CLASSIFIER = "mood_happy-musicnn-msd-2"
FIFTEEN = 15

Contenders = dict[str, Contender]  # by key


def cores() -> int:
    """Return how many cores we may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def ours(name: str, task: str, **options: Any) -> Contender:
    return Contender(name, OURS, sys.executable, task, options)


def analysis(name: str, which: str, models: Path, **options: Any) -> Contender:
    options = {"jobs": cores(), **options, "models": str(models)}
    return ours(name, "analyse", which=which, **options)


def all_files(
    models: Path, essentia: str | None, vibenet: str | None
) -> Contenders:
    """Return those that work through all files in each round."""
    found = {}
    if essentia:
        found["essentia"] = Contender(
            "Essentia, one classifier",
            "rival_essentia.py",
            essentia,
            "classifiers",
            {"graphs": [str(models / f"{CLASSIFIER}.pb")]},
        )
    found["every"] = analysis(
        "ours, one classifier, all patches",
        CLASSIFIER,
        models,
        every_patch=True,
    )
    found["ours"] = analysis("ours, one classifier", CLASSIFIER, models)
    found |= with_other_jobs(models)
    found["every, NumPy"] = analysis(
        "ours, one classifier, all patches, NumPy",
        CLASSIFIER,
        models,
        every_patch=True,
        engine="numpy",
    )
    found["heads"] = analysis("ours, fifteen heads", "heads", models)
    found["default, NumPy"] = analysis(
        "ours, default plan, NumPy", "default", models, engine="numpy"
    )
    found["default"] = analysis("ours, default plan", "default", models)
    if vibenet:
        found["vibenet"] = Contender(
            "VibeNet, seven numbers", "rival_vibenet.py", vibenet, "seven"
        )
    return found


def with_other_jobs(models: Path) -> Contenders:
    """Return those with more or fewer jobs than cores."""
    return {
        key: analysis(
            f"ours, one classifier, --jobs {jobs}",
            CLASSIFIER,
            models,
            jobs=jobs,
        )
        for jobs, key in ((1, "one job"), (2, "two jobs"))
        if jobs != cores()
    }


def few_files(models: Path, essentia: str | None) -> Contenders:
    """Return those that work through a few files, once."""
    found = {}
    if essentia:
        graphs = sorted(map(str, models.glob("*-musicnn-msd-2.pb")))
        fifteen = (graphs * FIFTEEN)[:FIFTEEN]
        found["essentia fifteen"] = Contender(
            "Essentia, fifteen classifiers",
            "rival_essentia.py",
            essentia,
            "classifiers",
            {"graphs": fifteen},
        )
        found["essentia extractor"] = Contender(
            "Essentia, MusicExtractor",
            "rival_essentia.py",
            essentia,
            "extractor",
        )
    found["copies, few"] = analysis(
        "ours, fifteen classifiers", "copies", models
    )
    found["heads, few"] = analysis("ours, fifteen heads", "heads", models)
    return found


def gauges(seconds: float) -> Contenders:
    """Return those that measure the machine, and a model alone on it."""
    return {
        "product": ours("matrix product", "product", seconds=seconds),
        "model": ours("MusiCNN alone", "model", jobs=cores(), seconds=seconds),
    }


def stages(models: Path) -> Contenders:
    """Return those that time stages, in one thread."""
    plans = {"default plan": "default", "one classifier": CLASSIFIER}
    one = dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"], "1")
    return {
        name: Contender(
            name,
            OURS,
            sys.executable,
            "stages",
            {"which": which, "models": str(models)},
            one,
        )
        for name, which in plans.items()
    }


def only(contenders: Contenders, texts: list[str] | None) -> Contenders:
    """Return those with any of the texts in their names."""
    return {
        key: contender
        for key, contender in contenders.items()
        if texts is None or any(text in contender.name for text in texts)
    }
