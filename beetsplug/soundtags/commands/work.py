"""What a run of `beet soundtags` has to do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from beetsplug.soundtags.database import field_values, items_without
from beetsplug.soundtags.fields import INPUT, PLAN, WRITTEN
from beetsplug.soundtags.provenance import Provenance
from soundtags.labelling.estimates import GENRES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beets.library import Library

    from beetsplug.soundtags.tagger import Tagger
    from soundtags.inference.cache_index import Coverage


@dataclass
class Work:
    """What has to be done, as ids of items.

    Attributes
    ----------
    analyse
        Items that need all models of the plan.
    derive
        Items whose predictions are all in the cache.
    by_models
        Items that need only some models, by the ids of these.
    again
        How many of these items were analysed before, with another plan.
    lost
        How many of these are up to date, except that values have been emptied.
    up_to_date
        Number of items for which nothing has to be done.
    """

    analyse: list[int] = field(default_factory=list)
    derive: list[int] = field(default_factory=list)
    by_models: dict[frozenset[str], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    again: int = 0
    lost: int = 0
    up_to_date: int = 0

    @classmethod
    def find(cls, lib: Library, ids: Sequence[int], tagger: Tagger) -> Work:
        """Find out what has to be done for some items."""
        if tagger.force:
            return cls(analyse=[*ids])
        plans, inputs = field_values(lib, PLAN), field_values(lib, INPUT)
        stale = [each for each in ids if plans.get(each) != tagger.plan.digest]
        emptied = _emptied(lib, tagger).difference(stale)
        lost = [each for each in ids if each in emptied]
        work = cls(
            again=sum(each in plans for each in stale),
            lost=len(lost),
            up_to_date=len(ids) - len(stale) - len(lost),
        )
        coverage_of = tagger.coverage()
        for each in (*stale, *lost):
            work.add(each, coverage_of(inputs.get(each, "").split()))
        return work

    def add(self, item_id: int, coverage: Coverage) -> None:
        """Add an item, given which models the cache covers."""
        if not coverage.cached:
            self.analyse.append(item_id)
        elif coverage.missing:
            self.by_models[coverage.missing].append(item_id)
        else:
            self.derive.append(item_id)

    @property
    def total(self) -> int:
        """Number of items for which something has to be done."""
        partly = sum(map(len, self.by_models.values()))
        return len(self.analyse) + len(self.derive) + partly


def _emptied(lib: Library, tagger: Tagger) -> set[int]:
    """Return the items that have lost a value that we had given them.

    `beet update` empties fields that a file could contain, but does not.
    """
    return {
        item_id
        for item_id, name, written in items_without(
            lib, tagger.file_tags, WRITTEN
        )
        if (name != GENRES or tagger.genre != "never")
        and Provenance.parse(written).gave(name)
    }
