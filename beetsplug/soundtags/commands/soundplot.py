"""The command `beet soundplot`."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beets import config as beets_config
from beets.exceptions import UserError
from beets.util import displayable_path, syspath

from beetsplug.soundtags import configuration, fields
from beetsplug.soundtags.commands.showing import SEPARATOR, brief_name, say
from beetsplug.soundtags.database import matching_ids
from beetsplug.soundtags.library_access import get_item
from soundtags.collection.histograms import histograms
from soundtags.collection.profile import profile_track
from soundtags.errors import BrokenModels, SoundtagsError, capture_errors
from soundtags.inference.executor import file_predictor
from soundtags.inference.latent_features import find_layer
from soundtags.inference.predict import graph_specs
from soundtags.stderr import silence_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from optparse import Values

    from beets.library import Item, Library
    from confuse import ConfigView

    from soundtags.collection.histograms import Histogram
    from soundtags.collection.profile import TrackProfile
    from soundtags.inference.sessions import SessionPool
    from soundtags.labelling.interpret import Interpretation
    from soundtags.models.plan import Plan
    from soundtags.types import Path as Track

TAGGER = "msd-musicnn-1"  # whose latent features are drawn
HISTOGRAMS = "scores.png"
LONGEST = 130  # bytes of a name: most file systems take 255, but not all
UNSAFE = re.compile(r'[<>:"/\\|?*]')
# Names of devices on Windows, with any ending.
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)\s*\.", re.IGNORECASE)


def run(
    lib: Library, config: ConfigView, log: Any, opts: Values, query: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If nothing could be drawn.
    """
    if not query:
        raise UserError("name the tracks to draw: beet soundplot QUERY")
    ids = matching_ids(lib, query)
    if not ids:
        raise UserError("no track matches")
    folder = Path(opts.output).expanduser()
    from soundtags.collection.plots import draw_histograms, draw_track

    folder.mkdir(parents=True, exist_ok=True)
    with (
        silence_stderr(log, beets_config["verbose"].get(int) < 2),
        file_predictor(
            configuration.jobs(config),
            configuration.session_memory(config),
            configuration.engine_choice(config, log),
        ) as predictor,
    ):
        plan = _plan(config, predictor.pool, log)
        profile = partial(
            profile_track,
            plan=plan,
            layer=find_layer(TAGGER, None, configuration.model_dir(config)),
            predictor=predictor,
        )
        seen: list[Interpretation] = []
        for item, track in _profiles(lib, ids, profile, log):
            path = folder / file_name(item)
            draw_track(path, brief_name(item), track, plan)
            say(str(path))
            seen.append(track.analysis)
    if found := _histograms(seen, plan):
        path = folder / HISTOGRAMS
        draw_histograms(path, f"Scores of tracks: {len(seen)}", found)
        say(str(path))
    if not seen:
        raise UserError("no track could be drawn")


def _profiles(
    lib: Library,
    ids: list[int],
    profile: Callable[[Track], TrackProfile],
    log: Any,
) -> Iterator[tuple[Item, TrackProfile]]:
    """Yield items with their profiles; log why others have none."""
    for item_id in ids:
        item = get_item(lib, item_id)
        if item is None:
            continue  # removed from the library meanwhile
        found = capture_errors(profile, syspath(item.path))
        if isinstance(found, SoundtagsError):
            log.error("{}: {}", displayable_path(item.path), found)
            log.debug("{}", getattr(found, "trace", ""))
        else:
            yield item, found


def _plan(config: ConfigView, pool: SessionPool, log: Any) -> Plan:
    """Return the configured plan without models whose graphs are unusable."""
    left_out: set[str] = set()
    while True:
        plan = configuration.plan(config, log, without=left_out)
        faults = pool.check(graph_specs(plan))
        if not faults:
            return plan
        if configuration.models(config):
            raise BrokenModels(faults)
        for fault in faults.values():
            log.warning("left out: {}", fault)
        left_out |= faults.keys()


def _histograms(
    analyses: list[Interpretation], plan: Plan
) -> dict[str, Histogram]:
    """Return histograms of the scores of some tracks."""
    amounts = {
        name: Counter(
            analysis.fields[name]
            for analysis in analyses
            if analysis.fields.get(name) is not None
        )
        for name, kind in fields.item_types(plan.targets.values()).items()
        if fields.kind_of(kind) is float
    }
    return histograms(amounts, plan.targets, plan.settings)


def file_name(item: Item) -> str:
    """Return a name that no other item has and that any file system takes."""
    ending = f" ({item.id}).png"
    title = item.title or Path(displayable_path(item.path)).stem
    name = SEPARATOR.join(filter(None, (item.artist, title)))
    name = unicodedata.normalize("NFC", name)
    name = "".join(each for each in name if each.isprintable())
    name = UNSAFE.sub("_", name).strip(" .-")
    if DEVICE.match(name):
        name = f"_{name}"
    encoded = name.encode()[: LONGEST - len(ending)]
    return (encoded.decode(errors="ignore").rstrip() + ending).lstrip()
