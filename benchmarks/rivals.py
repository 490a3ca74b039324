"""Measure this package beside others, in turn, on the same files.

    python benchmarks/rivals.py MUSIC --models MODELS [--essentia PYTHON]
        [--vibenet PYTHON] [--rounds 3] [--minutes 15] [--fifteen-tracks 4]
        [--only TEXT ...]

MUSIC is a folder of audio files, MODELS one with upstream's whole classifiers
(``*-musicnn-msd-2.pb`` and ``.json``). PYTHON is the interpreter of an
environment with essentia-tensorflow, or with vibenet; without it, that one is
left out.

Every contender is a process of its own that has loaded its models and worked
once before it is timed, from files to scores. In each round, each works through
all files, in turn; ratios are those of the same round. Fifteen classifiers, and
Essentia's music extractor, get only a few files, of a middle size, once. After
the first round, no other begins that would not end within the minutes given.

Printed are tables in reStructuredText: medians, with the least and the most.
The exit status is 1 if a contender failed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Nothing large may be imported here: on Linux, a process starts with the peak
# memory of the one that starts it.
HERE = Path(__file__).resolve().parent
OURS = "rival_ours.py"
CLASSIFIER = "mood_happy-musicnn-msd-2"
FIFTEEN = 15
SAID = 15  # last lines of what a dead child has said
NO_MUSIC = {".md", ".txt", ".jpg", ".png", ".cue", ".log"}

Answer = dict[str, Any]
Answers = dict[str, list[Answer]]  # by key of contender, one per round
Ratios = dict[tuple[str, str], list[tuple[Answer, Answer]]]

RATIOS = [  # keys of contenders
    ("essentia", "every"),
    ("essentia", "ours"),
    ("vibenet", "default"),
    ("every", "ours"),
    ("heads", "ours"),
    ("one job", "ours"),
    ("one job", "two jobs"),
    ("essentia fifteen", "heads, few"),
    ("essentia fifteen", "copies, few"),
    ("essentia extractor", "heads, few"),
]


@dataclass(frozen=True)
class Contender:
    """Somebody with something to do.

    Attributes
    ----------
    name
        For the tables.
    script
        What the child runs, beside this file.
    python
        With which interpreter.
    task, options
        What is asked for.
    environment
        Set for the child.
    """

    name: str
    script: str
    python: str
    task: str
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A contender at work, until the end of the block."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender

    def __enter__(self) -> Child:
        self._log = tempfile.TemporaryFile("w+", errors="replace")
        self._process = subprocess.Popen(
            [self.contender.python, str(HERE / self.contender.script)],
            env={
                **os.environ,
                "TF_CPP_MIN_LOG_LEVEL": "3",
                **self.contender.environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):  # it may be dead
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def ask(self, files: Iterable[Path] = ()) -> Answer:
        """Have it work through files.

        Raises
        ------
        RuntimeError
            If it failed, with what it said.
        """
        request = {
            "task": self.contender.task,
            "options": self.contender.options,
            "files": [str(file) for file in files],
        }
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": self._death()}
        if "error" in answer:
            raise RuntimeError(f"{answer['error']}\n{self._said()}")
        return answer

    def _death(self) -> str:
        return f"ended with status {self._process.wait()}"

    def _said(self) -> str:
        self._log.seek(0)
        lines = self._log.read().splitlines()[-SAID:]
        return "".join(f"  | {line}\n" for line in lines)


class Arena:
    """Contenders that take turns; one that fails is out.

    Parameters
    ----------
    contenders
        By key.
    warmup
        Files for what is not counted: at first, everything takes longer.
    """

    def __init__(
        self, contenders: Mapping[str, Contender], warmup: list[Path]
    ) -> None:
        self.failed: list[str] = []
        self._contenders = contenders
        self._warmup = warmup
        self._stack = ExitStack()
        self._children: dict[str, Child] = {}

    def __enter__(self) -> Arena:
        for key, contender in self._contenders.items():
            tell(f"starting: {contender.name}")
            try:
                child = self._stack.enter_context(Child(contender))
            except OSError as exc:
                self._drop(key, exc)
            else:
                self._children[key] = child
        for key in list(self._children):
            self.turn(key, self._warmup)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def round(self, files: list[Path], answers: Answers) -> None:
        """Let everyone work through files, and add what they answer."""
        for key in list(self._children):
            answer = self.turn(key, files)
            if answer is not None:
                answers.setdefault(key, []).append(answer)
                tell(f"  {self._contenders[key].name}: {brief(answer)}")

    def turn(self, key: str, files: Iterable[Path] = ()) -> Answer | None:
        """Let one work; None if it is out."""
        if key not in self._children:
            return None
        try:
            return self._children[key].ask(files)
        except (RuntimeError, OSError, ValueError) as exc:
            self._drop(key, exc)
            return None

    def _drop(self, key: str, exc: Exception) -> None:
        tell(f"{self._contenders[key].name} FAILED: {exc}")
        self.failed.append(key)
        self._children.pop(key, None)


def tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def brief(answer: Answer) -> str:
    return f"{answer['seconds']:.1f} s, {answer['cpu']:.1f} s of CPU"


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
) -> dict[str, Contender]:
    """Return who works through all files in each round."""
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
    for jobs, key in ((1, "one job"), (2, "two jobs")):
        if jobs != cores():
            found[key] = analysis(
                f"ours, one classifier, --jobs {jobs}",
                CLASSIFIER,
                models,
                jobs=jobs,
            )
    found["heads"] = analysis("ours, fifteen heads", "heads", models)
    found["default"] = analysis("ours, default plan", "default", models)
    if vibenet:
        found["vibenet"] = Contender(
            "VibeNet, seven numbers", "rival_vibenet.py", vibenet, "seven"
        )
    return found


def few_files(models: Path, essentia: str | None) -> dict[str, Contender]:
    """Return who works through a few files, once."""
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


def gauges() -> dict[str, Contender]:
    """Return who measures the machine, and models alone on it."""
    return {
        "product": ours("matrix product", "product"),
        "model": ours("MusiCNN alone", "model", jobs=cores()),
    }


def stages(models: Path) -> dict[str, Contender]:
    """Return who times stages, in one thread."""
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


def only(
    contenders: dict[str, Contender], texts: list[str] | None
) -> dict[str, Contender]:
    return {
        key: contender
        for key, contender in contenders.items()
        if texts is None or any(text in contender.name for text in texts)
    }


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
    """Return so many files of a middle size."""
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


def spread(values: Iterable[float], form: str = ".2f") -> str:
    """Return the median of values, with the least and the most of several."""
    values = list(values)
    median = format(statistics.median(values), form)
    if len(values) == 1:
        return median
    return f"{median} ({min(values):{form}} to {max(values):{form}})"


def table(*rows: tuple[str, ...]) -> str:
    """Return a simple table in reStructuredText; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths))
        for row in rows
    ]
    head, *body = [line.rstrip() for line in lines]
    return "\n".join([rule, head, rule, *body, rule])


def times_table(
    contenders: Mapping[str, Contender], answers: Answers, tracks: int
) -> str:
    rows = [("per track", "seconds", "CPU seconds", "patches", "peak MB")]
    for key, several in answers.items():
        last = several[-1]
        patches = last.get("patches")
        rows.append(
            (
                contenders[key].name,
                spread(each["seconds"] / tracks for each in several),
                f"{median_of(several, 'cpu') / tracks:.2f}",
                f"{patches / tracks:.0f}" if patches else "\\-",
                f"{last['peak']:.0f}",
            )
        )
    return table(*rows)


def median_of(answers: list[Answer], what: str) -> float:
    return statistics.median(each[what] for each in answers)


def ratios_of(answers: Answers) -> Ratios:
    """Return pairs of answers of the same rounds."""
    return {
        (above, below): list(zip(answers[above], answers[below]))
        for above, below in RATIOS
        if above in answers and below in answers
    }


def ratios_table(contenders: Mapping[str, Contender], ratios: Ratios) -> str:
    rows = [("ratio", "time", "CPU time")]
    for (above, below), pairs in ratios.items():
        rows.append(
            (
                f"{contenders[above].name} / {contenders[below].name}",
                spread(a["seconds"] / b["seconds"] for a, b in pairs),
                spread(a["cpu"] / b["cpu"] for a, b in pairs),
            )
        )
    return table(*rows)


def agreement(answers: Answers) -> str:
    """Say how far scores of Essentia and ours, of all patches, differ."""
    if not {"essentia", "every"} <= answers.keys():
        return ""
    (theirs, *_), (mine, *_) = answers["essentia"], answers["every"]
    apart = max(
        abs(a - b)
        for first, second in zip(theirs["scores"], mine["scores"])
        for a, b in zip(first, second[CLASSIFIER].values())
    )
    return (
        f"Scores of {CLASSIFIER}, of all patches, differ by {apart:.4f} at"
        " most between Essentia and ours.\n"
    )


def machine_table(found: list[Answer]) -> str:
    gflop = found[0]["gflop"]
    rows = {
        "matrix products, GFLOP/s": ("product", ".0f"),
        "cores that these were given": ("cores", ".2f"),
        f"MusiCNN ({gflop:.2f} GFLOP), patches/s": ("rate", ".1f"),
        "MusiCNN, GFLOP/s": ("reached", ".0f"),
        "share of matrix products": ("share", ".0%"),
    }
    return table(
        (f"{cores()} cores", "median"),
        *(
            (name, spread((each[key] for each in found), form))
            for name, (key, form) in rows.items()
        ),
    )


def stages_table(
    contenders: Mapping[str, Contender], answers: Answers, tracks: int
) -> str:
    found = {
        contenders[key].name: several[-1]["stages"]
        for key, several in answers.items()
    }
    names = list(
        dict.fromkeys(name for each in found.values() for name in each)
    )
    for late in ("decode", "scores"):  # what is within comes before
        if late in names:
            names.remove(late)
            names.insert(0 if late == "decode" else len(names), late)
    rows = [
        (
            name,
            *(
                f"{each[name] * 1000 / tracks:.1f}" if name in each else "\\-"
                for each in found.values()
            ),
        )
        for name in names
    ]
    total = [f"{sum(s.values()) * 1000 / tracks:.1f}" for s in found.values()]
    return table(
        ("ms per track, one thread", *found), *rows, ("together", *total)
    )


def contest(
    gauges: dict[str, Contender],
    contenders: dict[str, Contender],
    tracks: list[Path],
    warmup: list[Path],
    rounds: int,
    until: float,
) -> tuple[Answers, list[Answer], list[str]]:
    """Let contenders take turns, as long as there is time.

    Returns
    -------
    tuple
        Answers, what the machine can, and who failed.
    """
    answers: Answers = {}
    found = []
    with Arena(gauges, []) as gauge, Arena(contenders, warmup) as arena:
        took = 0.0
        for number in range(rounds):
            started = time.monotonic()
            if took and started + took > until:
                tell("no time for another round")
                break
            tell(f"round {number + 1} of {rounds}, {len(tracks)} tracks")
            found.append(measure_machine(gauge))
            arena.round(tracks, answers)
            took = time.monotonic() - started
    return answers, list(filter(None, found)), arena.failed + gauge.failed


def once(
    contenders: dict[str, Contender], tracks: list[Path], warmup: list[Path]
) -> tuple[Answers, list[str]]:
    """Let each work once, by itself."""
    answers: Answers = {}
    failed = []
    for key, contender in contenders.items():
        # Fifteen of Essentia's take too long for more.
        short = warmup if contender.script == OURS else warmup[:1]
        with Arena({key: contender}, short) as arena:
            arena.round(tracks, answers)
        failed += arena.failed
    return answers, failed


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
    tracks, warmup = given.tracks, smallest_of_each(given.tracks)
    few = middle(tracks, given.fifteen_tracks)
    many = only(
        all_files(given.models, given.essentia, given.vibenet), given.only
    )
    some = only(few_files(given.models, given.essentia), given.only)
    steps = only(stages(given.models), given.only)

    until = time.monotonic() + 60 * given.minutes
    fifteen, fell = once(some, few, warmup)
    taken, out = once(steps, tracks, warmup)
    answers, found, failed = contest(
        only(gauges(), given.only), many, tracks, warmup, given.rounds, until
    )

    if found:
        print(f"{machine_table(found)}\n")
    for contenders, each, files, times in (
        (many, answers, tracks, f"{rounds_of(answers)} rounds"),
        (some, fifteen, few, "once"),
    ):
        if each:
            print(f"{len(files)} tracks{length_of(each)}, {times}:\n")
            print(f"{times_table(contenders, each, len(files))}\n")
    everyone = {**many, **some}
    if ratios := ratios_of({**answers, **fifteen}):
        print(f"{ratios_table(everyone, ratios)}\n")
    print(agreement(answers))
    if taken:
        print(stages_table(steps, taken, len(tracks)))
    sys.exit(bool(failed + fell + out))


def rounds_of(answers: Answers) -> int:
    return max(map(len, answers.values()), default=0)


def length_of(answers: Answers) -> str:
    """Return how long the tracks are, where somebody has said it."""
    for several in answers.values():
        if "audio" in several[-1]:
            return f", {several[-1]['audio'] / 60:.1f} minutes"
    return ""


if __name__ == "__main__":
    main()
