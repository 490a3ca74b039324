"""Measure the plugin with more models than the memory for sessions can hold.

    python benchmarks/pressure.py MUSIC [--models DIR] [--repeat TIMES]

All classifiers that are a whole VGGish (288 MB each) are configured, by
stand-ins of full size with random weights: 4.3 GB of disk, in DIR if given,
where they are kept and used again. Prints how often models were loaded, the
time and the peak memory of the analysis of the tracks in MUSIC, TIMES over, in
as much memory as is the default and in as much as all models need; then those
of `beet soundtags` over a library with copies of the tracks. The exit status is
1 if the default took 3.5 GB or more, or if a field was left without a value.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import yaml
from beets.library import Item, Library
from beets.util import displayable_path
from footprint import beet, make_library
from support.standins import write_standin

from beetsplug.soundtags import fields
from soundtags.inference import pipeline, sessions
from soundtags.models import catalogue, plan
from soundtags.models.settings import Settings
from soundtags.stderr import silence_stderr

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS = catalogue.groups()["vggish-audioset"]
SMALL, LARGE = 2, 8  # GB for sessions: the default, and enough for all models
BOUND = 3500  # MB that a process may take with the default


@dataclass
class Run:
    """What a run took."""

    seconds: float
    peak: float  # MB
    failures: list[str]
    loads: Counter[str] = field(default_factory=Counter)


def write_standins(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(MODELS):
        path = folder / f"{name}.pb"
        if not path.exists():
            facts = catalogue.published()[name].metadata
            outputs, classes = dict(facts.outputs), len(facts.classes)
            write_standin(path, facts.algorithm, outputs, classes, seed=seed)


def analyse(tracks: list[Path], folder: Path, memory: int) -> Run:
    """Analyse tracks in this process, which should have done nothing else."""
    loads: Counter[str] = Counter()
    load = sessions._load

    def counted(job: sessions.GraphSpec) -> Any:
        loads[job.graph.stem] += 1
        return load(job)

    sessions._load = counted
    made = plan.make_plan(MODELS, folder, Settings(), sys.exit)
    pool = sessions.SessionPool(memory * 10**9)
    started = time.perf_counter()
    results = list(pipeline.predict_all(zip(tracks, tracks), made, pool, 2))
    seconds = time.perf_counter() - started
    failures = [
        f"{result.key}: {result.error}" for result in results if result.error
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, peak * unit / 1e6, failures, loads)


def tag(music: Path, folder: Path, memory: int) -> Run:
    """Run beet over a library of its own."""
    options = {"session_memory": f"{memory}GB", "model_dir": str(folder)}
    with tempfile.TemporaryDirectory() as temporary:
        library = make_library(Path(temporary) / "library", "soundtags")
        config = library / "pressure.yaml"
        config.write_text(yaml.safe_dump({"soundtags": options}))
        beet(library, "import", str(music))
        named = [each for name in MODELS for each in ("-m", name)]
        took = beet(library, "-c", str(config), "soundtags", *named)
        return Run(*took, missing(library / "library.db"))


def missing(database: Path) -> list[str]:
    """Return which fields of the models' targets are without a value."""
    items = list(Library(str(database)).items())
    return [
        f"{displayable_path(item.path)}: no {name}"
        for item in items
        for name in expected(item)
        if item.get(name) in (None, "")
    ] or ["no tracks"] * (not items)


def expected(item: Item) -> set[str]:
    """Return the fields that an item should have."""
    targets = catalogue.targets()
    asked = [targets[str(catalogue.published()[m].target)] for m in MODELS]
    # Moods are those that hold, which can be none; tags are not asked for.
    names = fields.item_types(asked).keys() - set(fields.LISTS)
    if item.get("voice_instrumental") == "instrumental":
        names -= {"gender", "gender_score"}
    return names


def fresh(work: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a process of its own.

    On Linux, a process starts with the peak memory of the one that starts it.
    So this one has to stay small: nothing large is done in it.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        return executor.submit(hushed, work, *args).result()


def hushed(work: Callable[..., Any], *args: Any) -> Any:
    with silence_stderr(logging.getLogger()):
        return work(*args)


def show(name: str, run: Run) -> None:
    counts = [run.loads[model] for model in MODELS]
    of_each = " to ".join(map(str, sorted({min(counts), max(counts)})))
    loads = f"{sum(counts):3} loads, {of_each} of each; " if run.loads else ""
    print(
        f"{name}: {loads}{run.seconds:.0f} s, {run.peak:.0f} MB at its peak",
        flush=True,
    )
    for failure in run.failures:
        print(f"  {failure}")


def measure(music: Path, folder: Path, repeat: int) -> bool:
    """Measure and print; return whether all was as it should be."""
    fresh(write_standins, folder)
    tracks = sorted(path for path in music.rglob("*") if path.is_file())
    size = sum((folder / f"{name}.pb").stat().st_size for name in MODELS)
    print(f"{len(tracks)} tracks, {len(MODELS)} models, {size / 1e6:.0f} MB")
    runs = []
    for memory in (SMALL, LARGE):
        runs.append(fresh(analyse, tracks * repeat, folder, memory))
        show(f"analysis of {len(tracks) * repeat}, {memory}GB", runs[-1])
    runs.append(tag(music, folder, SMALL))
    show(f"beet soundtags, {SMALL}GB", runs[-1])
    small, _, command = runs
    within = max(small.peak, command.peak) < BOUND
    return within and not any(run.failures for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.models or Path(temporary)
        good = measure(options.music, folder.absolute(), options.repeat)
    sys.exit(not good)


if __name__ == "__main__":
    main()
