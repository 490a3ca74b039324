"""Predictions saved beside the library, by the digest of what was analysed.

With them, labels can be derived anew when thresholds change, and a track that
is imported again needs no model.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundtags.errors import UnusableCache
from soundtags.inference.cache_index import CacheIndex, TrackVectors
from soundtags.inference.pooling import TrackPredictions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from soundtags.audio.features import FeatureSpec
    from soundtags.models.plan import Plan

TIMEOUT = 60  # seconds to wait for another program that writes
# Errors due to a file's permissions, folder or disk, not to its content.
OUTSIDE = (OSError, sqlite3.OperationalError)
IF_DAMAGED = " (if it is a damaged cache, delete it; re-analysing rebuilds it)"
ACTIVATIONS, EMBEDDING = np.dtype("<f4"), np.dtype("<f2")
TABLES = {"inputs", "means"}
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
SAVE_INPUT = "INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?, ?)"
# A model that is only a backbone in one plan may have activations in another.
SAVE_MEANS = """
INSERT INTO means VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    activations = coalesce(excluded.activations, activations),
    embedding = coalesce(excluded.embedding, embedding)
"""


class ModelUsage(NamedTuple):
    """How much of the cache a model takes: its identity, tracks and bytes."""

    model: str
    tracks: int
    size: int


class PredictionCache:
    """A file with the predictions for tracks.

    Parameters
    ----------
    path : pathlib.Path
        The file, which is created if necessary.

    Raises
    ------
    UnusableCache
        If it cannot be opened or created, or is some other file. All methods
        raise it if the file cannot be read or written, or if another program
        has locked it for too long.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._named():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=TIMEOUT)
            # What is lost in a power failure can be computed again.
            self._database.execute("PRAGMA synchronous = OFF")
            if self._tables() - TABLES:
                raise UnusableCache(
                    f"{path} is the database of something else; name another"
                    " file in soundtags.store"
                )
            self._database.executescript(SCHEMA)

    def _tables(self) -> set[str]:
        """Return the names of all tables that there are."""
        rows = self._database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        )
        return {name for (name,) in rows}

    def save(self, predictions: TrackPredictions, plan: Plan) -> None:
        """Save the predictions of a plan's models for a track."""
        inputs = [
            (
                digest,
                front_end,
                *_choice(plan.feature_spec),
                predictions.seconds,
                predictions.level,
            )
            for front_end, digest in predictions.inputs.items()
        ]
        means = [
            (
                predictions.inputs[plan.front_end_of[model.id]],
                plan.identity(model),
                _packed(predictions.activations.get(model.id), ACTIVATIONS),
                _packed(predictions.embeddings.get(model.id), EMBEDDING),
            )
            for model in {*plan.models, *plan.fed}
        ]
        with self._named(), self._database as database:
            database.executemany(SAVE_INPUT, inputs)
            database.executemany(SAVE_MEANS, means)

    def recall(
        self, inputs: Mapping[str, str], plan: Plan
    ) -> TrackPredictions | None:
        """Return the predictions of a plan's models for a track.

        Parameters
        ----------
        inputs : mapping of str to str
            Front end to the digest of the track's patches.
        plan : Plan
            The models.

        Returns
        -------
        TrackPredictions or None
            None if those of any model are missing.
        """
        means = self._means(inputs.values())
        activations, embeddings = {}, {}
        for model in {*plan.models, *plan.fed}:
            digest = inputs.get(plan.front_end_of[model.id], "")
            key = (digest, plan.identity(model))
            packed, embedding = means.get(key, (None, None))
            if packed is not None:
                activations[model.id] = np.frombuffer(packed, ACTIVATIONS)
            elif model in plan.models:
                return None
            if embedding is not None:
                embeddings[model.id] = _unpacked(embedding, EMBEDDING)
        seconds, level = self._duration_and_level(inputs.values())
        return TrackPredictions(inputs, seconds, level, activations, embeddings)

    def match_inputs(
        self, digests: Iterable[str], plan: Plan
    ) -> dict[str, str]:
        """Return the digests made with a plan's patches and resampler.

        Returns
        -------
        dict of str to str
            Front end to digest, the last one if there are several.
        """
        choice = _choice(plan.feature_spec)
        statement = (
            "SELECT front_end, patches, resampler FROM inputs WHERE input = ?"
        )
        return {
            front_end: digest
            for digest in digests
            for front_end, *chosen in self._rows(statement, digest)
            if tuple(chosen) == choice
        }

    def index(self, plan: Plan) -> CacheIndex:
        """Return which of a plan's models have predictions, for all tracks."""
        front_ends = dict(
            self._rows(
                "SELECT input, front_end FROM inputs"
                " WHERE patches = ? AND resampler = ?",
                *_choice(plan.feature_spec),
            )
        )
        statement = (
            "SELECT input FROM means"
            " WHERE model = ? AND activations IS NOT NULL"
        )
        models: defaultdict[str, set[str]] = defaultdict(set)
        for model in plan.models:
            for (digest,) in self._rows(statement, plan.identity(model)):
                models[digest].add(model.id)
        return CacheIndex(plan, front_ends, models)

    def embeddings(self, model: str) -> TrackVectors:
        """Return the mean embeddings of a model, for all tracks.

        Parameters
        ----------
        model : str
            Its identity, see :meth:`soundtags.models.plan.Plan.identity`.
        """
        return self._vectors("embedding", EMBEDDING, model)

    def activations(self, model: str) -> TrackVectors:
        """Return the mean activations of a model, for all tracks.

        The parameter is that of :meth:`embeddings`.
        """
        return self._vectors("activations", ACTIVATIONS, model)

    def silent(self, level: float) -> set[str]:
        """Return the digests of tracks that stay below a level."""
        found = self._rows("SELECT input FROM inputs WHERE level < ?", level)
        return {digest for (digest,) in found}

    def usage(self) -> list[ModelUsage]:
        """Return how much each model takes, ordered by identity."""
        rows = self._rows(
            "SELECT model, count(*), sum(coalesce(length(activations), 0)"
            " + coalesce(length(embedding), 0)) FROM means"
            " GROUP BY model ORDER BY model"
        )
        return [ModelUsage(*row) for row in rows]

    def prune(self, inputs: Collection[str]) -> int:
        """Delete all tracks except some.

        Parameters
        ----------
        inputs : collection of str
            The digests of the tracks to keep.

        Returns
        -------
        int
            Number of digests that were deleted.
        """
        present = {each for (each,) in self._rows("SELECT input FROM inputs")}
        others = [(each,) for each in present - set(inputs)]
        with self._named():
            with self._database as database:
                database.executemany(
                    "DELETE FROM inputs WHERE input = ?", others
                )
                database.executemany(
                    "DELETE FROM means WHERE input = ?", others
                )
            self._database.execute("VACUUM")
        return len(others)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _means(
        self, digests: Iterable[str]
    ) -> dict[tuple[str, str], tuple[bytes | None, bytes | None]]:
        """Return activations and embedding by digest and model."""
        statement = (
            "SELECT model, activations, embedding FROM means WHERE input = ?"
        )
        return {
            (digest, model): (activations, embedding)
            for digest in digests
            for model, activations, embedding in self._rows(statement, digest)
        }

    def _duration_and_level(
        self, digests: Iterable[str]
    ) -> tuple[float, float]:
        """Return seconds and level, each the highest over all front ends."""
        statement = "SELECT seconds, level FROM inputs WHERE input = ?"
        rows = [row for each in digests for row in self._rows(statement, each)]
        seconds, level = zip((0.0, 0.0), *rows)
        return max(seconds), max(level)

    def _vectors(
        self, column: str, dtype: np.dtype, model: str
    ) -> TrackVectors:
        found = self._rows(
            f"SELECT input, {column} FROM means"  # noqa: S608
            f" WHERE model = ? AND {column} IS NOT NULL",
            model,
        )
        rows = {digest: row for row, (digest, _) in enumerate(found)}
        flat = _unpacked(b"".join(vector for _, vector in found), dtype)
        values = flat.reshape(len(rows), -1) if rows else flat[:, None]
        return TrackVectors(rows, values)

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._named():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Have errors name the file."""
        try:
            yield
        except (OSError, sqlite3.Error) as exc:
            reason = getattr(exc, "strerror", None) or exc
            remedy = "" if isinstance(exc, OUTSIDE) else IF_DAMAGED
            raise UnusableCache(f"{self.path}: {reason}{remedy}") from exc


def _choice(spec: FeatureSpec) -> tuple[str, str]:
    """Return the settings that determine a track's patches, as stored."""
    return str(spec.patches), spec.resampler


def _packed(values: np.ndarray | None, dtype: np.dtype) -> bytes | None:
    """Return values as they are stored, clipped to the range of the type."""
    if values is None:
        return None
    ends = np.finfo(dtype)
    return values.clip(ends.min, ends.max).astype(dtype).tobytes()


def _unpacked(packed: bytes, dtype: np.dtype) -> np.ndarray:
    return np.frombuffer(packed, dtype).astype(np.float32)
