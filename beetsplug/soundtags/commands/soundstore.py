"""The command `beet soundstore`."""

from __future__ import annotations

import csv
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from beets import ui
from beets.exceptions import UserError
from beets.util import displayable_path
from beets.util.units import human_bytes

from beetsplug.soundtags import configuration
from beetsplug.soundtags.commands.showing import say, tracks
from beetsplug.soundtags.database import field_values, matching_ids
from beetsplug.soundtags.fields import INPUT
from beetsplug.soundtags.library_access import get_items
from soundtags.atomic import writing
from soundtags.inference.cache import PredictionCache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from optparse import Values

    from beets.library import Item, Library
    from confuse import ConfigView

    from soundtags.models.plan import Plan

    Row = list[Any]

BATCH_SIZE = 500  # tracks that are read and written together
FACTS = ("id", "artist", "album", "title", "path")


def run(
    lib: Library, config: ConfigView, log: Any, opts: Values, args: list[str]
) -> None:
    """Carry out the command.

    Raises
    ------
    beets.exceptions.UserError
        If the action is unknown, or cannot be carried out.
    """
    action, *rest = args or ["stats"]
    if action not in ACTIONS:
        raise UserError(f"{action} is not one of: {', '.join(ACTIONS)}")
    with closing(PredictionCache(configuration.store(config))) as store:
        ACTIONS[action](StoreCommand(store, lib, config, log, opts), rest)


@dataclass(frozen=True)
class StoreCommand:
    """The cached predictions, and the library that they belong to."""

    store: PredictionCache
    lib: Library
    config: ConfigView
    log: Any
    opts: Values

    def stats(self, _rest: list[str]) -> None:
        """Print how much is in the cache."""
        for model, count, size in self.store.usage():
            name = model.split()[0]
            say(f"{name}: {tracks(count)}, {human_bytes(size)}")
        size = self.store.path.stat().st_size
        say(f"{self.store.path}: {human_bytes(size)}")

    def prune(self, _rest: list[str]) -> None:
        """Delete predictions that belong to no track of the library."""
        forgotten = self.store.prune(
            {
                each
                for audio in field_values(self.lib, INPUT).values()
                for each in audio.split()
            }
        )
        ui.print_(f"{forgotten} not in the library, and forgotten")

    def export(self, query: list[str]) -> None:
        """Write the mean activations of tracks to a table."""
        if not self.opts.output:
            raise UserError("name the file to write: -o FILE")
        target = Path(self.opts.output).expanduser()
        if target.suffix not in TABLES:
            raise UserError(
                f"{target}: the name must end in {' or '.join(TABLES)}"
            )
        plan = configuration.plan(self.config, self.log)
        names = [
            f"{model.id}: {name}"
            for model in plan.models
            for name in model.metadata.classes
        ]
        ids = matching_ids(self.lib, query)
        if not ids:
            raise UserError("no track matches")
        with writing(target) as file:
            rows = self._rows(ids, plan)
            done = TABLES[target.suffix](file, [*FACTS, *names], rows)
            if not done:
                raise UserError(
                    "no matching track has been analysed; run: beet soundtags"
                )
        say(f"{done} of {tracks(len(ids))}: {target}")

    def _rows(self, ids: list[int], plan: Plan) -> Iterator[list[Row]]:
        """Yield rows of tracks with predictions of all models, in batches."""
        for start in range(0, len(ids), BATCH_SIZE):
            items = get_items(self.lib, ids[start : start + BATCH_SIZE])
            rows = (self._row(item, plan) for item in items)
            yield [row for row in rows if row]

    def _row(self, item: Item, plan: Plan) -> Row | None:
        audio = item.get(INPUT, with_album=False) or ""
        inputs = self.store.match_inputs(audio.split(), plan)
        predictions = self.store.recall(inputs, plan)
        if predictions is None:
            return None
        facts = [item.id, item.artist, item.album, item.title]
        means = [predictions.activations[model.id] for model in plan.models]
        # Tables cannot contain bytes that are not text.
        path = displayable_path(item.path).encode(errors="replace").decode()
        return [*facts, path, *np.concatenate(means).tolist()]


def write_csv(
    file: BinaryIO, names: list[str], rows: Iterator[list[Row]]
) -> int:
    """Write a table as CSV; return how many rows it has."""
    count = 0
    with TextIOWrapper(file, "utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(names)
        for several in rows:
            writer.writerows(several)
            count += len(several)
    return count


def write_parquet(
    file: BinaryIO, names: list[str], rows: Iterator[list[Row]]
) -> int:
    """Write a table as Parquet; return how many rows it has."""
    try:
        arrow, parquet = map(import_module, ("pyarrow", "pyarrow.parquet"))
    except ImportError as exc:
        raise UserError(
            "Parquet needs pyarrow; get it: pip install pyarrow"
        ) from exc
    numbers = [(name, arrow.float32()) for name in names[len(FACTS) :]]
    texts = [(name, arrow.string()) for name in FACTS[1:]]
    schema = arrow.schema([(FACTS[0], arrow.int64()), *texts, *numbers])
    count = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for several in rows:
            columns = list(zip(*several)) or [()] * len(names)
            writer.write_table(
                arrow.table(
                    [
                        arrow.array(column, field.type)
                        for column, field in zip(columns, schema)
                    ],
                    schema=schema,
                )
            )
            count += len(several)
    return count


TABLES = {".csv": write_csv, ".parquet": write_parquet}
ACTIONS = {
    "stats": StoreCommand.stats,
    "prune": StoreCommand.prune,
    "export": StoreCommand.export,
}
