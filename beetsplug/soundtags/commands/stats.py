"""`beet soundtags --stats`: counts of what was found, as text."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from beets import ui
from rich.cells import set_cell_size

from beetsplug.soundtags import configuration, fields
from beetsplug.soundtags.commands.showing import tracks as in_words
from beetsplug.soundtags.database import (
    count_values,
    field_type,
    field_values,
    matching_ids,
)
from beetsplug.soundtags.taught import all_targets
from soundtags.collection.histograms import histograms, occurrences
from soundtags.labelling.estimates import GENRES
from soundtags.text import cut

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

    from beets.library import Library
    from confuse import ConfigView

    from soundtags.collection.histograms import Histogram

HEIGHT = 4  # lines of a histogram
MARGIN = 10  # columns left of it
MOST = 20  # names of a field; there can be hundreds
NAME, BAR = 32, 28  # columns
# From an empty to a full character. Not every terminal can show the first set.
LEVELS = (" ▁▂▃▄▅▆▇█", " .:#")


def run(lib: Library, config: ConfigView, query: list[str]) -> None:
    """Print histograms of scores, and how often names occur."""
    targets = all_targets(configuration.model_dir(config))
    settings = configuration.settings(config)
    types = fields.item_types(targets.values())
    kinds = {name: types[name] for name in types if name not in fields.INTERNAL}
    ids = matching_ids(lib, query)
    found = count_values(lib, ids, kinds)
    missing = len(set(ids) - field_values(lib, fields.PLAN).keys())
    remedy = "; run: beet soundtags" if missing else ""
    ui.print_(f"{in_words(len(ids))}, {missing} of them not analysed{remedy}")

    numbers = {
        name: _numbers(found[name])
        for name in kinds
        if fields.kind_of(kinds[name]) is float and name in found
    }
    chart = Chart(_levels())
    for name, histogram in histograms(numbers, targets, settings).items():
        _print_block(chart.histogram(name, histogram))
    texts = {GENRES: field_type(GENRES), **kinds}
    for name, kind in texts.items():
        if name in found and name not in numbers:
            split = [
                (_names(kind.from_sql(value)), tracks)
                for value, tracks in found[name].items()
            ]
            total = sum(tracks for names, tracks in split if names)
            if total:
                _print_block(chart.names(name, occurrences(split), total))


def _numbers(found: Mapping[str, int]) -> dict[float, int]:
    """Return stored values as numbers, each with how many tracks have it."""
    read = ((fields.NUMBER.from_sql(each), n) for each, n in found.items())
    return {
        value: tracks
        for value, tracks in read
        if value is not None and math.isfinite(value)
    }


def _names(value: Any) -> list[str]:
    return [
        each for each in (value if isinstance(value, list) else [value]) if each
    ]


def _print_block(lines: Iterator[str]) -> None:
    ui.print_()
    for line in lines:
        ui.print_(line.rstrip())


def _levels() -> str:
    """Return the best characters that standard output can take."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        LEVELS[0].encode(encoding)
    except UnicodeEncodeError:
        return LEVELS[1]
    return LEVELS[0]


class Chart:
    """Draws with characters.

    Parameters
    ----------
    levels
        Characters from nothing to full.
    """

    def __init__(self, levels: str) -> None:
        self._levels = levels
        self._steps = len(levels) - 1

    def histogram(self, name: str, histogram: Histogram) -> Iterator[str]:
        """Yield the lines of a histogram, and where the threshold cuts."""
        yield f"{name}: {in_words(histogram.total)}"
        if histogram.threshold is not None:
            above = histogram.total - histogram.below
            yield (
                f"  threshold {histogram.threshold:g}:"
                f" {_part(histogram.below, histogram.total)} below,"
                f" {_part(above, histogram.total)} at or above"
            )
        most = int(histogram.counts.max())
        for row in reversed(range(HEIGHT)):
            label = {HEIGHT - 1: str(most), 0: "0"}.get(row, "")
            columns = (
                self._cell(count / most * HEIGHT - row)
                for count in histogram.counts
            )
            yield f"{label:>{MARGIN - 2}} |{''.join(columns)}"
        low, *_, high = histogram.edges
        yield f"{'':{MARGIN - 1}}{low:<{len(histogram.counts)}g}{high:g}"
        if histogram.threshold is not None and histogram.threshold <= high:
            place = sum(histogram.edges[1:] <= histogram.threshold)
            yield f"{'':{MARGIN + place}}^ {histogram.threshold:g}"

    def names(
        self, field: str, counts: Counter[str], total: int
    ) -> Iterator[str]:
        """Yield lines with the names of a field, the commonest first."""
        yield f"{field}: {in_words(total)}"
        common = counts.most_common()
        for name, tracks in common[:MOST]:
            bar = tracks / total * BAR
            cells = "".join(self._cell(bar - place) for place in range(BAR))
            part = f"{tracks:>7} {tracks / total:>4.0%}"
            yield f"  {set_cell_size(cut(name, NAME), NAME)} {part}  {cells}"
        if len(common) > MOST:
            yield f"  and {len(common) - MOST} more"

    def _cell(self, filled: float) -> str:
        """Return the character for a filled share, visible if above 0."""
        step = math.ceil(filled * self._steps)
        return self._levels[min(max(step, 0), self._steps)]


def _part(tracks: int, total: int) -> str:
    return f"{tracks} ({tracks / total:.0%})"
