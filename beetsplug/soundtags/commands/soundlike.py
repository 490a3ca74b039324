"""The command `beet soundlike`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from beets import config as beets_config
from beets import ui
from beets.exceptions import UserError

from beetsplug.soundtags import configuration
from beetsplug.soundtags.fields import AUDIO
from beetsplug.soundtags.library import fetch_all
from beetsplug.soundtags.queries import matching, values
from soundtags.collection.similarity import nearest
from soundtags.errors import SoundtagsError
from soundtags.inference.cache import PredictionCache

if TYPE_CHECKING:
    from optparse import Values

    from beets.library import Library
    from confuse import ConfigView

AT_ONCE = 500  # tracks that are fetched together


def run(
    lib: Library, config: ConfigView, log: Any, opts: Values, query: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If there is nothing to compare with.
    """
    if opts.number < 1:
        raise UserError(f"--number: {opts.number} is not 1 or more")
    try:
        ids, embeddings = _heard(lib, config, log, opts.model)
    except SoundtagsError as exc:
        raise UserError(str(exc)) from exc
    wanted = set(matching(lib, query))
    seeds = np.array([n for n, each in enumerate(ids) if each in wanted], int)
    if not len(seeds):
        raise UserError(
            "no matching track has been heard by"
            f" {opts.model}; run: beet soundtags"
        )
    found = [ids[n] for n in nearest(embeddings, seeds, opts.number)]
    form = opts.format or beets_config["format_item"].as_str()
    for start in range(0, len(found), AT_ONCE):
        some = found[start : start + AT_ONCE]
        items = {item.id: item for item in fetch_all(lib, some)}
        for each in some:
            if each in items:
                ui.print_(format(items[each], form))


def _heard(
    lib: Library, config: ConfigView, log: Any, model: str
) -> tuple[list[int], np.ndarray]:
    """Return the ids of tracks that a model has heard, and embeddings."""
    plan = configuration.plan(config, log, [model])
    with closing(PredictionCache(configuration.store(config))) as store:
        rows, embeddings = store.embeddings(plan.identity(plan.fed[0]))
    ids, places = [], []
    for item_id, audio in values(lib, AUDIO).items():
        known = [rows[each] for each in audio.split() if each in rows]
        if known:
            ids.append(item_id)
            places.append(known[-1])
    return ids, embeddings[places]
