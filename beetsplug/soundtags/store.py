"""What was heard, kept beside the library: listen once, decide many times."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .errors import UnusableStore
from .hearing import Heard

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from .features import Wanted
    from .plan import Plan

TIMEOUT = 60  # seconds to wait for another program that writes
ACTIVATIONS, EMBEDDING = np.dtype("<f4"), np.dtype("<f2")
SCHEMA = """
CREATE TABLE IF NOT EXISTS inputs (
    input TEXT PRIMARY KEY,
    front_end TEXT NOT NULL,
    patches TEXT NOT NULL,
    resampler TEXT NOT NULL,
    seconds REAL NOT NULL,
    level REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS means (
    input TEXT NOT NULL,
    model TEXT NOT NULL,
    activations BLOB,
    embedding BLOB,
    PRIMARY KEY (input, model)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS means_of_models ON means (model, input);
"""
# A model that is only a backbone in one plan has classes in another.
KEEP = """
INSERT INTO means VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    activations = coalesce(excluded.activations, activations),
    embedding = coalesce(excluded.embedding, embedding)
"""


class Known(NamedTuple):
    """What the store has for a plan.

    Attributes
    ----------
    front_ends
        Input to its front end, of those that were chosen as the plan wants.
    models
        Input to the ids of the plan's models that have heard it.
    """

    front_ends: dict[str, str]
    models: defaultdict[str, set[str]]

    def missing(
        self, inputs: Iterable[str], plan: Plan
    ) -> frozenset[str] | None:
        """Return the ids of those models that have not heard a track.

        None if that is all of them.

        Parameters
        ----------
        inputs
            What the track was at a former time, of any plan.
        plan
            The plan that this was asked for.
        """
        last = {self.front_ends.get(each): each for each in inputs}
        last.pop(None, None)
        heard = {name for each in last.values() for name in self.models[each]}
        missing = frozenset(m.id for m in plan.models if m.id not in heard)
        return missing if heard else None


class Store:
    """A file with the means of tracks, by what models were fed.

    Parameters
    ----------
    path
        The file, which need not exist.

    Raises
    ------
    UnusableStore
        If it cannot be opened, made, or is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._named():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=TIMEOUT)
            # What is lost when power fails can be heard again.
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.executescript(SCHEMA)

    def keep(self, heard: Heard, plan: Plan) -> None:
        """Keep what models of a plan made of a track.

        Raises
        ------
        UnusableStore
            If it cannot be written, or another program has it locked.
        """
        wanted = plan.wanted
        inputs = [
            (each, name, *_how(wanted), heard.seconds, heard.level)
            for name, each in heard.inputs.items()
        ]
        means = [
            (
                heard.inputs[plan.front_end_of[model.id]],
                plan.identity(model),
                _packed(heard.activations.get(model.id), ACTIVATIONS),
                _packed(heard.embeddings.get(model.id), EMBEDDING),
            )
            for model in {*plan.models, *plan.fed}
        ]
        with self._named(), self._database as database:
            database.executemany(
                "INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?, ?)",
                inputs,
            )
            database.executemany(KEEP, means)

    def recall(self, inputs: Mapping[str, str], plan: Plan) -> Heard | None:
        """Return what all models of a plan once made of a track.

        Parameters
        ----------
        inputs
            Front end to what they would be fed, for those of the plan.
        plan
            Its models.

        Returns
        -------
        Heard or None
            None if any of them has not heard it.

        Raises
        ------
        UnusableStore
            If it cannot be read.
        """
        seconds = level = 0.0
        rows = {}
        for each in inputs.values():
            found = self._rows(
                "SELECT seconds, level FROM inputs WHERE input = ?", each
            )
            for row in found:
                seconds, level = max(seconds, row[0]), max(level, row[1])
            for model, *blobs in self._rows(
                "SELECT model, activations, embedding FROM means"
                " WHERE input = ?",
                each,
            ):
                rows[each, model] = blobs
        activations, embeddings = {}, {}
        for model in {*plan.models, *plan.fed}:
            heard = inputs.get(plan.front_end_of[model.id], "")
            packed, embedding = rows.get(
                (heard, plan.identity(model)), (None, None)
            )
            if packed is not None:
                activations[model.id] = np.frombuffer(packed, ACTIVATIONS)
            elif model in plan.models:
                return None
            if embedding is not None:
                embeddings[model.id] = np.frombuffer(
                    embedding, EMBEDDING
                ).astype(np.float32)
        return Heard(inputs, seconds, level, activations, embeddings)

    def inputs(self, audio: Iterable[str], plan: Plan) -> dict[str, str]:
        """Return those of some inputs that are as a plan wants, by front end.

        The last one of a front end counts.
        """
        how = _how(plan.wanted)
        return {
            front_end: each
            for each in audio
            for front_end, *chosen in self._rows(
                "SELECT front_end, patches, resampler FROM inputs"
                " WHERE input = ?",
                each,
            )
            if tuple(chosen) == how
        }

    def known(self, plan: Plan) -> Known:
        """Return what there is for a plan, of all tracks."""
        how = "patches = ? AND resampler = ?"
        front_ends = dict(
            self._rows(
                f"SELECT input, front_end FROM inputs WHERE {how}",  # noqa: S608
                *_how(plan.wanted),
            )
        )
        models: defaultdict[str, set[str]] = defaultdict(set)
        for model in plan.models:
            for (each,) in self._rows(
                "SELECT input FROM means WHERE model = ?"
                " AND activations IS NOT NULL",
                plan.identity(model),
            ):
                models[each].add(model.id)
        return Known(front_ends, models)

    def embeddings(self, model: str) -> tuple[dict[str, int], np.ndarray]:
        """Return all embeddings of a model.

        Parameters
        ----------
        model
            Its :meth:`plan.Plan.identity`.

        Returns
        -------
        rows : dict
            Input to its row.
        embeddings : numpy.ndarray
            Shape (inputs, dimensions), float32.

        Raises
        ------
        UnusableStore
            If the store cannot be read.
        """
        return self._vectors("embedding", EMBEDDING, model)

    def activations(self, model: str) -> tuple[dict[str, int], np.ndarray]:
        """Return all mean activations of a model.

        Parameters, results, errors: as of :meth:`embeddings`, of shape
        (inputs, classes).
        """
        return self._vectors("activations", ACTIVATIONS, model)

    def silent(self, level: float) -> set[str]:
        """Return the inputs that never get as loud as a level."""
        found = self._rows("SELECT input FROM inputs WHERE level < ?", level)
        return {each for (each,) in found}

    def counts(self) -> list[tuple[str, int, int]]:
        """Return each model, how many tracks it has heard, and the bytes."""
        return self._rows(
            "SELECT model, count(*), sum(coalesce(length(activations), 0)"
            " + coalesce(length(embedding), 0)) FROM means"
            " GROUP BY model ORDER BY model"
        )

    def forget_others(self, inputs: Collection[str]) -> int:
        """Forget all tracks but some; return how many were forgotten.

        Raises
        ------
        UnusableStore
            If it cannot be written.
        """
        here = {each for (each,) in self._rows("SELECT input FROM inputs")}
        others = [(each,) for each in here - set(inputs)]
        with self._named():
            with self._database as database:
                for table in ("inputs", "means"):
                    database.executemany(
                        f"DELETE FROM {table} WHERE input = ?",  # noqa: S608
                        others,
                    )
            self._database.execute("VACUUM")
        return len(others)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _vectors(
        self, column: str, kind: np.dtype, model: str
    ) -> tuple[dict[str, int], np.ndarray]:
        found = self._rows(
            f"SELECT input, {column} FROM means"  # noqa: S608
            f" WHERE model = ? AND {column} IS NOT NULL",
            model,
        )
        rows = {each: row for row, (each, _) in enumerate(found)}
        packed = b"".join(vector for _, vector in found)
        flat = np.frombuffer(packed, kind).astype(np.float32)
        return rows, flat.reshape(len(rows), -1) if rows else flat[:, None]

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._named():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say which file it is that fails."""
        try:
            yield
        except (OSError, sqlite3.Error) as exc:
            reason = getattr(exc, "strerror", None) or exc
            raise UnusableStore(
                f"{self.path}: {reason} (if it is damaged, delete it: all of"
                " it can be heard again)"
            ) from exc


def _how(wanted: Wanted) -> tuple[str, str]:
    return str(wanted.patches), wanted.resampler


def _packed(values: np.ndarray | None, kind: np.dtype) -> bytes | None:
    return None if values is None else values.astype(kind).tobytes()
