"""Analyses items; shared by the command and the import."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from beets import config as beets_config
from beets.util import displayable_path, syspath

from beetsplug.soundtags.database import own_value
from beetsplug.soundtags.fields import INPUT, PLAN
from soundtags.errors import BrokenModels, UnusableCache, capture_errors
from soundtags.inference.cache_index import Coverage
from soundtags.labelling.interpret import interpret
from soundtags.stderr import silence_stderr

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Generator,
        Iterable,
        Iterator,
        Mapping,
    )
    from contextlib import AbstractContextManager
    from logging import Logger

    from beets.library import Item

    from soundtags.inference.cache import PredictionCache
    from soundtags.inference.executor import Executor
    from soundtags.inference.pipeline import TrackResult
    from soundtags.inference.pooling import TrackPredictions
    from soundtags.labelling.interpret import Interpretation, Outcome
    from soundtags.models.plan import Plan
    from soundtags.types import Path


@dataclass
class Analyser:
    """Analyses the files of items by one plan.

    Attributes
    ----------
    plan : Plan
        Which models run on which patches.
    executor : Executor
        Reads files and runs models.
    cache : PredictionCache or None
        Where predictions are saved; None if it cannot be used.
    force : bool
        Whether to analyse items that are up to date, too, and to ignore
        earlier predictions.
    logger : logging.Logger
        Receives warnings.
    replan : callable or None
        Makes a plan without some models, given their ids; None if the user
        named the models.
    left_out : set of str
        Ids of models whose graphs have proved unusable.
    """

    plan: Plan
    executor: Executor
    cache: PredictionCache | None
    force: bool
    logger: Logger
    replan: Callable[[Collection[str]], Plan] | None
    left_out: set[str] = field(default_factory=set, kw_only=True)

    def is_stale(self, item: Item) -> bool:
        """Return whether an item is to be analysed with the current plan."""
        return self.force or own_value(item, PLAN) != self.plan.digest

    def analyse(
        self, items: Iterable[Item], models: Collection[str] | None = None
    ) -> Iterator[tuple[Item, Outcome | None]]:
        """Analyse the files of items, several at a time.

        A model whose graph proves unusable is left out of the plan from then
        on, unless the user named it.

        Parameters
        ----------
        items : iterable of Item
            What to analyse.
        models : collection of str, optional
            Ids of the models to run, if the predictions of the others are in
            the cache; all models by default.

        Yields
        ------
        item : Item
        outcome : Interpretation, SoundtagsError or None
            None if the item has turned out to be up to date: a model was left
            out, and the new plan is the one that the item was analysed with.

        Raises
        ------
        UnusableModel
            If the graph of a model that the user named cannot be used.
        NoTensorFlow
            If TensorFlow does not load.
        """
        with self._silence():
            if models is not None:
                items = yield from self._analyse_with(models, items)
            yield from self._analyse_with(None, items)

    def _analyse_with(
        self, models: Collection[str] | None, items: Iterable[Item]
    ) -> Generator[tuple[Item, Outcome | None], None, list[Item]]:
        """Analyse items with some models; None stands for all.

        Returns
        -------
        list of Item
            Those without an outcome yet: the cache has no predictions of the
            other models for what is in the file now.
        """
        queue = _Queue(items)
        incomplete: list[Item] = []
        while True:
            plan = self.plan if models is None else self.plan.only(models)
            if models is not None and not plan.models:  # they were left out
                return [*incomplete, *queue.unfinished()]
            try:
                for result in self.executor.predict(
                    queue.tracks(), plan, self._recall
                ):
                    item = queue.finish(result.key)
                    outcome = self._outcome(item, result, plan)
                    if outcome is None:
                        incomplete.append(item)
                    else:
                        yield item, outcome
                return incomplete
            except BrokenModels as exc:
                self._leave_out(exc)
            left = queue.unfinished()
            yield from ((i, None) for i in left if not self.is_stale(i))
            queue = _Queue(filter(self.is_stale, left))

    def _outcome(
        self, item: Item, result: TrackResult[int], plan: Plan
    ) -> Outcome | None:
        """Save and interpret predictions.

        None if those of other models are needed, but are not in the cache.
        """
        if result.error:
            return result.error
        if result.warning:
            path = displayable_path(item.path)
            self.logger.warning("{}: {}", path, result.warning)
        predictions = result.unwrap()
        with self._cached() as cache:
            if cache:
                cache.save(predictions, plan)
        if plan.models == self.plan.models:
            return capture_errors(interpret, predictions, plan)
        return self.derive([*input_digests(item), *predictions.inputs.values()])

    def _leave_out(self, broken: BrokenModels) -> None:
        if self.replan is None:
            raise next(iter(broken.faults.values()))
        for fault in broken.faults.values():
            self.logger.warning("left out: {}", fault)
        self.left_out |= broken.faults.keys()
        self.plan = self.replan(self.left_out)

    def coverage(self) -> Callable[[Iterable[str]], Coverage]:
        """Return a function that looks up what the cache has for a track.

        The function takes the digests that the track's field holds, see
        :func:`input_digests`.
        """
        with self._cached() as cache:
            if cache:
                return cache.index(self.plan).coverage
        models = frozenset(model.id for model in self.plan.models)
        return lambda _: Coverage(cached=frozenset(), missing=models)

    def derive(self, inputs: Iterable[str]) -> Interpretation | None:
        """Interpret the predictions of an earlier run.

        Parameters
        ----------
        inputs : iterable of str
            The digests that a track's field holds, see :func:`input_digests`.

        Returns
        -------
        Interpretation or None
            None if the predictions of a model are not in the cache.
        """
        with self._cached() as cache:
            if cache:
                digests = cache.match_inputs(inputs, self.plan)
                predictions = cache.recall(digests, self.plan)
                if predictions:
                    return interpret(predictions, self.plan)
        return None

    def close(self) -> None:
        """Close the executor and the cache."""
        self.executor.close()
        if self.cache:
            self.cache.close()

    def _recall(
        self, inputs: Mapping[str, str], plan: Plan
    ) -> TrackPredictions | None:
        with self._cached() as cache:
            if cache and not self.force:
                return cache.recall(inputs, plan)
        return None

    @contextmanager
    def _cached(self) -> Iterator[PredictionCache | None]:
        """Yield the cache; do without it from the first error on."""
        try:
            yield self.cache
        except UnusableCache as exc:
            self.logger.warning("predictions are not cached: {}", exc)
            self.cache = None

    def _silence(self) -> AbstractContextManager[None]:
        return silence_stderr(self.logger, beets_config["verbose"].get(int) < 2)


class _Queue:
    """Items that wait for an outcome, or have been handed to an executor."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._waiting = iter(items)
        self._handed_out: dict[int, Item] = {}

    def tracks(self) -> Iterator[tuple[int, Path]]:
        """Hand out items: yield a key, and the path of the file."""
        # A path is resolved against the library's folder in this thread only,
        # so it is read here, not where the file is opened.
        for key, item in enumerate(self._waiting):
            self._handed_out[key] = item
            yield key, syspath(item.path)

    def finish(self, key: int) -> Item:
        """Return the item of a key, which has its outcome now."""
        return self._handed_out.pop(key)

    def unfinished(self) -> list[Item]:
        """Return all items that have no outcome."""
        return [*self._handed_out.values(), *self._waiting]


def input_digests(item: Item) -> list[str]:
    """Return the digests of the input that models got from an item's file.

    See :class:`soundtags.audio.features.Features`.
    """
    digests: str = own_value(item, INPUT) or ""
    return digests.split()
