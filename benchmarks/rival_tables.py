"""The tables of rivals.py, in reStructuredText."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from rival_contenders import CLASSIFIER, cores

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rival_arena import Answer, Answers, Contender

    Ratios = dict[tuple[str, str], list[tuple[Answer, Answer]]]

RATIOS = [  # keys of contenders
    ("essentia", "every"),
    ("essentia", "ours"),
    ("vibenet", "default"),
    ("vibenet", "default, NumPy"),
    ("every, NumPy", "every"),
    ("default, NumPy", "default"),
    ("every", "ours"),
    ("heads", "ours"),
    ("one job", "ours"),
    ("one job", "two jobs"),
    ("essentia fifteen", "heads, few"),
    ("essentia fifteen", "copies, few"),
    ("essentia extractor", "heads, few"),
]


def summary(values: Iterable[float], form: str = ".2f") -> str:
    """Return the median of values, with the range if there are several."""
    values = list(values)
    median = format(statistics.median(values), form)
    if len(values) == 1:
        return median
    return f"{median} ({min(values):{form}} to {max(values):{form}})"


def table(*rows: tuple[str, ...]) -> str:
    """Return a simple table in reStructuredText; the first row has headings."""
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
                summary(each["seconds"] / tracks for each in several),
                f"{median_of(several, 'cpu') / tracks:.2f}",
                f"{patches / tracks:.0f}" if patches else "\\-",
                f"{last['peak']:.0f}",
            )
        )
    return table(*rows)


def starts_table(
    contenders: Mapping[str, Contender],
    starts: Mapping[str, list[float]],
    tracks: int,
) -> str:
    first, *_ = starts
    name = contenders[first].name
    rows = [("per track, with start", "seconds", f"{name} / this")]
    for key, several in starts.items():
        ratios = (a / b for a, b in zip(starts[first], several))
        rows.append(
            (
                contenders[key].name,
                summary(seconds / tracks for seconds in several),
                summary(ratios),
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
                summary(a["seconds"] / b["seconds"] for a, b in pairs),
                summary(a["cpu"] / b["cpu"] for a, b in pairs),
            )
        )
    return table(*rows)


def agreement(answers: Answers) -> str:
    """Return how far Essentia's scores and ours differ, with all patches."""
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
            (name, summary((each[key] for each in found), form))
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
    for late in ("decode", "scores"):  # stages within these come between
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


def rounds_of(answers: Mapping[str, list[Any]]) -> int:
    return max(map(len, answers.values()), default=0)


def length_of(answers: Answers) -> str:
    """Return the length of the tracks, if a contender has measured it."""
    for several in answers.values():
        if "audio" in several[-1]:
            return f", {several[-1]['audio'] / 60:.1f} minutes"
    return ""
