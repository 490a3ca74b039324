"""Compare this package with others, in turn, on the same files.

    python benchmarks/rivals.py MUSIC --models MODELS [--essentia PYTHON]
        [--vibenet PYTHON] [--rounds 3] [--minutes 15] [--fifteen-tracks 4]
        [--gauge 12] [--only TEXT ...]

MUSIC is a folder of audio files, MODELS one with upstream's whole classifiers
(`*-musicnn-msd-2.pb` and `.json`). PYTHON is the interpreter of an environment
with essentia-tensorflow, or with vibenet; without it, that one is left out.

Every contender is a process of its own, timed from files to scores after it
has loaded its models and worked once. In each round, all of them work through
all files, in turn; ratios are those of the same round. The default plan, and
VibeNet, are also timed with their start, in as many rounds. Fifteen
classifiers, and Essentia's music extractor, get only a few files of medium
size, once. After the first round, another one begins only if it is likely to
end within the minutes given.

Prints tables in reStructuredText: medians, with the least and the most. The
exit status is 1 if a contender failed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

# Nothing large may be imported here: on Linux, a process starts with the peak
# memory of the one that starts it.
import processor
import rival_contenders as rivals
from rival_arena import Arena, tell, whole_run
from rival_contenders import CLASSIFIER, OURS, only
from rival_tables import (
    agreement,
    length_of,
    machine_table,
    ratios_of,
    ratios_table,
    rounds_of,
    stages_table,
    starts_table,
    times_table,
)

if TYPE_CHECKING:
    from rival_arena import Answer, Answers
    from rival_contenders import Contenders

STARTED = ("vibenet", "default", "default, NumPy")  # timed with their start
NO_MUSIC = {".md", ".txt", ".jpg", ".png", ".cue", ".log"}


def tracks_in(music: Path) -> list[Path]:
    return sorted(
        path.resolve()
        for path in music.rglob("*")
        if path.is_file()
        and not path.name.startswith(".")
        and path.suffix.lower() not in NO_MUSIC
    )


def size(path: Path) -> int:
    return path.stat().st_size


def smallest_of_each(tracks: list[Path]) -> list[Path]:
    """Return the smallest file of each format."""
    found: dict[str, Path] = {}
    for track in sorted(tracks, key=size):
        found.setdefault(track.suffix.lower(), track)
    return list(found.values())


def middle(tracks: list[Path], count: int) -> list[Path]:
    """Return this many files of medium size."""
    ordered = sorted(tracks, key=size)
    start = max(0, (len(ordered) - count) // 2)
    return ordered[start : start + count]


def measure_machine(arena: Arena) -> Answer | None:
    """Return what matrix products and a model reach, one after the other."""
    products = [arena.turn("product")]
    model = arena.turn("model")
    products.append(arena.turn("product"))
    if model is None or None in products:
        return None
    best = max(products, key=lambda each: each["gflops"])
    product = best["gflops"]
    reached = model["rate"] * model["gflop"]
    found = {
        "product": product,
        "cores": best["cpu"] / best["seconds"],
        "rate": model["rate"],
        "gflop": model["gflop"],
        "reached": reached,
        "share": reached / product,
    }
    tell(
        f"  products {product:.0f} GFLOP/s, MusiCNN {model['rate']:.1f}"
        f" patches/s, {reached:.0f} GFLOP/s"
    )
    return found


def contest(
    gauges: Contenders,
    contenders: Contenders,
    given: argparse.Namespace,
    until: float,
) -> tuple[Answers, list[Answer], list[str]]:
    """Let contenders take turns, as long as there is time.

    Returns
    -------
    tuple
        Answers, what the machine reaches, and who failed.
    """
    warmup = smallest_of_each(given.tracks)
    answers: Answers = {}
    found = []
    with Arena(gauges, []) as gauge, Arena(contenders, warmup) as arena:
        took = 0.0
        for number in range(1, given.rounds + 1):
            started = time.monotonic()
            if took and started + took > until:
                tell("no time for another round")
                break
            tell(f"round {number} of {given.rounds}")
            found.append(measure_machine(gauge))
            arena.round(given.tracks, answers)
            took = time.monotonic() - started
    return answers, list(filter(None, found)), arena.failed + gauge.failed


def once(
    contenders: Contenders, tracks: list[Path], warmup: list[Path]
) -> tuple[Answers, list[str]]:
    """Let each work once, by itself."""
    answers: Answers = {}
    failed = []
    for key, contender in contenders.items():
        # Fifteen classifiers of Essentia take too long for more files.
        short = warmup if contender.script == OURS else warmup[:1]
        with Arena({key: contender}, short) as arena:
            arena.round(tracks, answers)
        failed += arena.failed
    return answers, failed


def with_start(
    contenders: Contenders, tracks: list[Path], rounds: int
) -> tuple[dict[str, list[float]], list[str]]:
    """Start each anew in each round; return its seconds, and who failed."""
    waiting = {key: contenders[key] for key in STARTED if key in contenders}
    took: dict[str, list[float]] = {}
    failed = []
    for number in range(1, rounds + 1):
        tell(f"started anew, round {number} of {rounds}")
        for key, contender in list(waiting.items()):
            try:
                seconds = whole_run(contender, tracks)
            except (RuntimeError, OSError, ValueError) as exc:
                tell(f"{contender.name} FAILED: {exc}")
                failed.append(key)
                waiting.pop(key)
            else:
                took.setdefault(key, []).append(seconds)
    return took, failed


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--essentia", metavar="PYTHON")
    parser.add_argument("--vibenet", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--fifteen-tracks", type=int, default=4)
    parser.add_argument(
        "--gauge",
        type=float,
        default=12,
        metavar="SECONDS",
        help="for each measurement of the machine (default: %(default)s)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="TEXT",
        help="only contenders with such a text in their names",
    )
    given = parser.parse_args()
    given.tracks = tracks_in(given.music)
    given.models = given.models.resolve()
    if not given.tracks:
        parser.error(f"no audio files in {given.music}")
    if not (given.models / f"{CLASSIFIER}.pb").exists():
        parser.error(f"no {CLASSIFIER}.pb in {given.models}")
    return given


def main() -> None:
    given = parse()
    models, tracks = given.models, given.tracks
    warmup = smallest_of_each(tracks)
    few = middle(tracks, given.fifteen_tracks)
    many = rivals.all_files(models, given.essentia, given.vibenet)
    many = only(many, given.only)
    some = only(rivals.few_files(models, given.essentia), given.only)
    steps = only(rivals.stages(models), given.only)
    gauges = only(rivals.gauges(given.gauge), given.only)

    until = time.monotonic() + 60 * given.minutes
    fifteen, fell = once(some, few, warmup)
    staged, out = once(steps, tracks, warmup)
    answers, found, failed = contest(gauges, many, given, until)
    starts, lost = with_start(many, tracks, given.rounds)

    print(f"{processor.describe()}\n")
    if found:
        print(f"{machine_table(found)}\n")
    for contenders, each, files, times in (
        (many, answers, tracks, f"{rounds_of(answers)} rounds"),
        (some, fifteen, few, "once"),
    ):
        if each:
            print(f"{len(files)} tracks{length_of(each)}, {times}:\n")
            print(f"{times_table(contenders, each, len(files))}\n")
    if ratios := ratios_of({**answers, **fifteen}):
        print(f"{ratios_table({**many, **some}, ratios)}\n")
    if starts:
        print(f"With start, {rounds_of(starts)} rounds:\n")
        print(f"{starts_table(many, starts, len(tracks))}\n")
    print(agreement(answers))
    if staged:
        print(stages_table(steps, staged, len(tracks)))
    sys.exit(bool(failed + fell + out + lost))


if __name__ == "__main__":
    main()
