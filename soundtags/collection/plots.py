"""Pictures of track profiles, and of histograms of scores."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.atomic import writing
from soundtags.errors import NoMatplotlib
from soundtags.labelling.labels import mood_thresholds
from soundtags.models.catalogue import NUMBERS, SCORE, TEXT
from soundtags.text import cut
from soundtags.version import with_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from soundtags.collection.histograms import Histogram
    from soundtags.collection.profile import TrackProfile
    from soundtags.models.plan import Plan

try:
    from matplotlib import font_manager, style
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
except ImportError as exc:
    raise NoMatplotlib(
        f"drawing needs Matplotlib: pip install {with_extra('plot')}"
    ) from exc

TAGS = 15  # rows of the taggram
DOTS = 100  # per inch
TITLE, TAG, SCORE_LABEL, NOTE = 100, 22, 34, 150  # columns of text

# Colour-blind people can tell these apart (Okabe and Ito), also in grey.
ABOVE, OTHER, CUT = "#0072b2", "#9a9a9a", "#d55e00"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
# Matplotlib's own font has no Chinese, Japanese or Korean.
FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Hiragino Sans",
    "PingFang SC",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Arial Unicode MS",
    "WenQuanYi Zen Hei",
)
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
MOST_STEPS = 9


def draw_track(
    path: Path, title: str, profile: TrackProfile, plan: Plan
) -> None:
    """Draw the tags, the scores and the latent features of a track.

    Parameters
    ----------
    path
        The PNG file to write; it appears when it is complete.
    title
        What to call the track.
    profile
        What the models predict over the course of the track.
    plan
        Which models ran.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    scores = _scores(profile, plan)
    with _styled():
        figure = Figure((12, max(7.5, 2 + 0.27 * len(scores))))
        figure.set_layout_engine("constrained")
        figure.suptitle(
            cut(title, TITLE, ELLIPSIS), x=0.01, ha="left", weight="bold"
        )
        grid = figure.add_gridspec(2, 2, width_ratios=(2.4, 1))
        taggram = figure.add_subplot(grid[0, 0])
        latent = figure.add_subplot(grid[1, 0], sharex=taggram)
        _draw_tags(taggram, profile)
        _draw_latent(latent, profile)
        _draw_scores(figure.add_subplot(grid[:, 1]), scores)
        figure.supxlabel(_notes(profile, plan), x=0.01, ha="left", size=9)
        _save(figure, path)


def draw_histograms(
    path: Path, title: str, histograms: Mapping[str, Histogram]
) -> None:
    """Draw histograms of the scores of some tracks.

    Parameters and errors are like those of :func:`draw_track`.
    """
    columns = min(3, len(histograms))
    rows = -(-len(histograms) // columns)
    with _styled():
        figure = Figure((4 * columns, 2.2 * rows + 0.5))
        figure.set_layout_engine("constrained")
        figure.suptitle(cut(title, 40 * columns, ELLIPSIS), weight="bold")
        for place, (name, histogram) in enumerate(histograms.items(), start=1):
            axis = figure.add_subplot(rows, columns, place)
            _draw_histogram(axis, name, histogram)
        _save(figure, path)


def _draw_tags(axis: Any, profile: TrackProfile) -> None:
    names = list(profile.tags)[:TAGS]
    mesh = axis.pcolormesh(
        _edges(profile),
        np.arange(len(names) + 1),
        np.stack([profile.tags[name] for name in names]),
        cmap="viridis",
        vmin=0,
        vmax=1,
    )
    axis.invert_yaxis()
    axis.set_yticks(
        np.arange(len(names)) + 0.5,
        [cut(name, TAG, ELLIPSIS) for name in names],
    )
    axis.set_title(f"Strongest tags: {_patches(profile)}")
    axis.tick_params(labelbottom=False, left=False)
    bar = axis.figure.colorbar(mesh, ax=axis, pad=0.01)
    bar.set_label("activation (probability, 0 to 1)")


def _draw_latent(axis: Any, profile: TrackProfile) -> None:
    size = profile.latent.shape[1]
    mesh = axis.pcolormesh(
        _edges(profile),
        np.arange(size + 1),
        profile.latent.T,
        cmap="cividis",
    )
    axis.set_title(f"Latent features: {profile.layer}")
    axis.set_ylabel("number of the feature")
    axis.set_xlabel("time (min:s)")
    axis.xaxis.set_major_locator(
        MultipleLocator(_step(profile.analysis.predictions.seconds))
    )
    axis.xaxis.set_major_formatter(FuncFormatter(_time))
    bar = axis.figure.colorbar(mesh, ax=axis, pad=0.01)
    bar.set_label("value (no unit)")


def _draw_scores(
    axis: Any, scores: list[tuple[str, float, float | None]]
) -> None:
    for place, (_, value, threshold) in enumerate(scores):
        passes = threshold is None or value >= threshold
        axis.barh(place, value, 0.6, color=ABOVE if passes else OTHER)
        axis.text(1.02, place, f"{value:.4f}", va="center")
        if threshold is not None:
            axis.vlines(threshold, place - 0.45, place + 0.45, color=CUT)
    if not scores:
        axis.text(0.5, 3.5, "no labels for this track", ha="center")
    axis.set_yticks(range(len(scores)), [label for label, _, _ in scores])
    axis.set_xlim(0, 1)
    axis.set_ylim(max(len(scores), 8) - 0.5, -0.5)
    axis.set_xlabel(
        "score (probability, 0 to 1)\norange: threshold of the mood"
    )
    axis.set_title("Scores")


def _draw_histogram(axis: Any, name: str, histogram: Histogram) -> None:
    cut_at, begins = histogram.threshold, histogram.edges[:-1]
    axis.bar(
        begins,
        histogram.counts,
        np.diff(histogram.edges),
        align="edge",
        color=[
            ABOVE if cut_at is None or begin >= cut_at else OTHER
            for begin in begins
        ],
    )
    sides = f"{histogram.total} of the tracks"
    if cut_at is not None:
        axis.axvline(cut_at, color=CUT)
        above = histogram.total - histogram.below
        sides = f"{histogram.below} below {cut_at:g}, {above} at or above"
    axis.set_title(f"{cut(name, SCORE_LABEL, ELLIPSIS)}\n{sides}")
    axis.set_xlim(histogram.edges[0], histogram.edges[-1])
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.set_ylabel("tracks")


def _scores(
    profile: TrackProfile, plan: Plan
) -> list[tuple[str, float, float | None]]:
    """Return labels and scores, with thresholds where there are any."""
    fields = profile.analysis.fields
    thresholds = mood_thresholds(plan.targets, plan.settings)
    found = []
    for name, target in plan.targets.items():
        if target.kind == SCORE:
            found.append((name, fields.get(name), thresholds.get(name)))
        elif target.kind == TEXT:
            label = f"{name}: {fields.get(name)}"
            found.append((label, fields.get(f"{name}_score"), None))
    return [
        (cut(label, SCORE_LABEL, ELLIPSIS), value, threshold)
        for label, value, threshold in found
        if value is not None
    ]


def _notes(profile: TrackProfile, plan: Plan) -> str:
    """Return the labels of the track besides its scores, one line each."""
    fields = profile.analysis.fields
    numbers = {
        field
        for target in plan.targets.values()
        if target.kind == NUMBERS
        for field in target.classes.values()
    }
    notes = []
    for name, value in fields.items():
        if isinstance(value, list) and value:
            notes.append(f"{name}: {', '.join(value)}")
        elif name in numbers and value is not None:
            notes.append(f"{name}: {value:.2f}")
    return "\n".join(cut(note, NOTE, ELLIPSIS) for note in notes)


def _patches(profile: TrackProfile) -> str:
    """Return how many patches there are, and how far apart."""
    count, times = len(profile.times), profile.times
    if count == 1:
        return f"one patch of {profile.extent:.0f} s"
    hop = (times[-1] - times[0]) / (count - 1)
    return f"{count} patches of {profile.extent:.0f} s, one every {hop:.1f} s"


def _edges(profile: TrackProfile) -> np.ndarray:
    """Return where one patch gives way to the next: between their middles."""
    seconds = profile.analysis.predictions.seconds
    middles = profile.times + profile.extent / 2
    between = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[0], between, [seconds]])


def _step(seconds: float) -> int:
    """Return the seconds between the times written on an axis."""
    return next(
        (step for step in STEPS if seconds / step <= MOST_STEPS), STEPS[-1]
    )


def _time(seconds: float, _place: int) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


@contextmanager
def _styled() -> Iterator[None]:
    """Draw in our style, whatever the user's settings of Matplotlib."""
    here = set(font_manager.get_font_names())
    ours = {
        "font.family": [name for name in FONTS if name in here],
        "font.size": 9,
        "text.parse_math": False,  # a dollar sign is plain text
    }
    with style.context(["default", ours]):
        yield


def _save(figure: Figure, path: Path) -> None:
    with writing(path) as file, warnings.catch_warnings():
        # Characters that no font has are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(file, format="png", dpi=DOTS)
