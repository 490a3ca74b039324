"""The command `beet soundlike`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from beets import config as beets_config
from beets import ui
from beets.exceptions import UserError

from beetsplug.soundtags import configuration
from beetsplug.soundtags.fields import INPUT
from beetsplug.soundtags.queries import field_values, get_items, matching_ids
from soundtags.collection.similarity import nearest
from soundtags.inference.cache import PredictionCache

if TYPE_CHECKING:
    from optparse import Values

    from beets.library import Library
    from confuse import ConfigView

BATCH_SIZE = 500  # items that are fetched together


def run(
    lib: Library, config: ConfigView, log: Any, opts: Values, query: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If no matching track has an embedding.
    """
    if opts.number < 1:
        raise UserError(f"--number: {opts.number} is not 1 or more")
    ids, embeddings = _embeddings(lib, config, log, opts.model)
    matches = set(matching_ids(lib, query))
    seeds = np.array([n for n, each in enumerate(ids) if each in matches], int)
    if not len(seeds):
        raise UserError(
            "no matching track has been analysed with"
            f" {opts.model}; run: beet soundtags"
        )
    found = [ids[n] for n in nearest(embeddings, seeds, opts.number)]
    form = opts.format or beets_config["format_item"].as_str()
    for start in range(0, len(found), BATCH_SIZE):
        some = found[start : start + BATCH_SIZE]
        items = {item.id: item for item in get_items(lib, some)}
        for each in some:
            if each in items:
                ui.print_(format(items[each], form))


def _embeddings(
    lib: Library, config: ConfigView, log: Any, model: str
) -> tuple[list[int], np.ndarray]:
    """Return the ids of tracks and their embeddings, from the cache."""
    plan = configuration.plan(config, log, [model])
    with closing(PredictionCache(configuration.store(config))) as store:
        rows, embeddings = store.embeddings(plan.identity(plan.fed[0]))
    ids, places = [], []
    for item_id, audio in field_values(lib, INPUT).items():
        known = [rows[each] for each in audio.split() if each in rows]
        if known:
            ids.append(item_id)
            places.append(known[-1])
    return ids, embeddings[places]
