"""Measure the plugin with more models than the memory for sessions can hold.

    python benchmarks/pressure.py MUSIC [--models DIR] [--repeat TIMES]
        [--classifiers ID ...]

The classifiers (default: the fifteen that are a whole VGGish, 288 MB each) are
stand-ins of full size with random weights: 4.3 GB on disk, in DIR if given,
where they are kept and used again. Prints how often models were loaded, the
time and the peak memory of analysing the tracks in MUSIC, TIMES over, first
with the default memory for sessions, then with enough for all models; and time
and peak memory of `beet soundtags` in a library with copies of the tracks. The
exit status is 1 if the default took 3.5 GB or more, or if a field has no value.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import pytest
import yaml
from beets.library import Item, Library
from beets.util import displayable_path
from footprint import beet, make_library
from own_process import in_own_process
from support.models import CountingLoader
from support.standins import write_standin

from beetsplug.soundtags import fields
from soundtags.inference import pipeline
from soundtags.inference.sessions import SessionPool
from soundtags.models import catalogue, plan
from soundtags.models.settings import Settings
from soundtags.stderr import silence_stderr

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL, LARGE = 2, 8  # GB for sessions: the default, and enough for all models
BOUND = 3500  # MB that a process may take with the default


@dataclass
class Run:
    """What a run took, and what went wrong."""

    seconds: float
    peak: float  # MB
    failures: list[str]
    loads: Counter[str] = field(default_factory=Counter)


def write_standins(models: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(models):
        path = folder / f"{name}.pb"
        if not path.exists():
            facts = catalogue.published()[name].metadata
            outputs, classes = dict(facts.outputs), len(facts.classes)
            write_standin(path, facts.algorithm, outputs, classes, seed=seed)


def analyse(
    tracks: list[Path], models: list[str], folder: Path, memory: int
) -> Run:
    """Analyse tracks in this process, which should have done nothing else."""
    made = plan.make_plan(models, folder, Settings(), sys.exit)
    pool = SessionPool(memory * 10**9)
    with pytest.MonkeyPatch.context() as patch:
        loader = CountingLoader(patch)
        started = time.perf_counter()
        results = list(pipeline.predict_all(zip(tracks, tracks), made, pool, 2))
        seconds = time.perf_counter() - started
    failures = [
        f"{result.key}: {result.error}" for result in results if result.error
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, peak * unit / 1e6, failures, Counter(loader.loaded))


def tag(music: Path, models: list[str], folder: Path, memory: int) -> Run:
    """Run beet in a library of its own."""
    options = {"session_memory": f"{memory}GB", "model_dir": str(folder)}
    with tempfile.TemporaryDirectory() as temporary:
        library = make_library(Path(temporary) / "library", "soundtags")
        config = library / "pressure.yaml"
        config.write_text(yaml.safe_dump({"soundtags": options}))
        beet(library, "import", str(music))
        named = [each for name in models for each in ("-m", name)]
        took = beet(library, "-c", str(config), "soundtags", *named)
        return Run(*took, missing(library / "library.db", models))


def missing(database: Path, models: list[str]) -> list[str]:
    """Return which fields of the models' targets have no value."""
    items = list(Library(str(database)).items())
    return [
        f"{displayable_path(item.path)}: no {name}"
        for item in items
        for name in expected(item, models)
        if item.get(name) in (None, "")
    ] or ["no tracks"] * (not items)


def expected(item: Item, models: list[str]) -> set[str]:
    """Return the fields that an item should have."""
    targets = catalogue.targets()
    asked = [targets[str(catalogue.published()[m].target)] for m in models]
    # No mood may pass the threshold, and no model gives tags.
    names = fields.item_types(asked).keys() - set(fields.LISTS)
    if item.get("voice_instrumental") == "instrumental":
        names -= {"gender", "gender_score"}
    return names


def silently(work: Callable[..., Any], *args: Any) -> Any:
    with silence_stderr(logging.getLogger()):
        return work(*args)


def show(name: str, run: Run) -> None:
    counts = run.loads.values() or [0]
    of_each = " to ".join(map(str, sorted({min(counts), max(counts)})))
    loads = f"{sum(counts):3} loads, {of_each} of each; " if run.loads else ""
    print(
        f"{name}: {loads}{run.seconds:.0f} s, {run.peak:.0f} MB at its peak",
        flush=True,
    )
    for failure in run.failures:
        print(f"  {failure}")


def measure(music: Path, models: list[str], folder: Path, repeat: int) -> bool:
    """Measure and print; return whether all was as it should be."""
    in_own_process(silently, write_standins, models, folder)
    tracks = sorted(path for path in music.rglob("*") if path.is_file())
    size = sum((folder / f"{name}.pb").stat().st_size for name in models)
    print(f"{len(tracks)} tracks, {len(models)} models, {size / 1e6:.0f} MB")
    runs = []
    for memory in (SMALL, LARGE):
        run = in_own_process(
            silently, analyse, tracks * repeat, models, folder, memory
        )
        runs.append(run)
        show(f"analysis of {len(tracks) * repeat}, {memory}GB", runs[-1])
    runs.append(tag(music, models, folder, SMALL))
    show(f"beet soundtags, {SMALL}GB", runs[-1])
    small, _, command = runs
    within = max(small.peak, command.peak) < BOUND
    return within and not any(run.failures for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument(
        "--classifiers",
        nargs="+",
        metavar="ID",
        choices=catalogue.published(),
        default=catalogue.groups()["vggish-audioset"],
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.models or Path(temporary)).absolute()
        good = measure(
            options.music, options.classifiers, folder, options.repeat
        )
    sys.exit(not good)


if __name__ == "__main__":
    main()
