"""Undo: the values from before the last change, kept to be restored."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from beetsplug.soundtags.database import own_value, set_values
from beetsplug.soundtags.fields import INTERNAL, PLAN, UNDO
from beetsplug.soundtags.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from beets.dbcore import Model

    from beetsplug.soundtags.file_tags import Tags


@dataclass(frozen=True)
class Record:
    """What a track or an album had before the last change.

    Attributes
    ----------
    fields
        Values of fields that have changed since.
    tags
        Tags of its file that have been written since.
    plan
        Plan that it has been up to date with since that change.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)
    plan: str | None = None

    @classmethod
    def from_field(cls, model: Model) -> Record:
        """Read the record of a track or an album, which may be empty."""
        try:
            return cls(**json.loads(own_value(model, UNDO) or "{}"))
        except (TypeError, ValueError):  # somebody else wrote to the field
            return cls()

    def to_field(self, model: Model) -> None:
        """Set the record of a track or an album, unless it is empty."""
        if self.fields or self.tags:
            model[UNDO] = json.dumps(asdict(self), separators=(",", ":"))


def snapshot(model: Model, names: Iterable[str]) -> dict[str, Any]:
    """Return the values of some fields, and of our internal ones."""
    return {name: own_value(model, name) for name in (*names, *INTERNAL)}


def record_changes(model: Model, before: Mapping[str, Any]) -> None:
    """Record the values of the fields that have changed.

    If the last write was never finished, because it was killed or failed, what
    was recorded then stays: nobody has seen the state in between. It also
    stays if nothing has changed.

    Parameters
    ----------
    model
        The track or the album, with its new values.
    before
        What :func:`snapshot` returned.
    """
    record = Record.from_field(model)
    changed = {
        name: value
        for name, value in before.items()
        if name != UNDO and value != own_value(model, name)
    }
    if record.plan != before[PLAN]:
        record = replace(record, fields={**changed, **record.fields})
    elif changed.keys() - INTERNAL:
        record = Record(changed)
    replace(record, plan=own_value(model, PLAN)).to_field(model)


def record_tags(model: Model, tags: Tags) -> None:
    """Record tags of an item's file, too; those recorded first stay."""
    record = Record.from_field(model)
    replace(
        record, tags={**tags, **record.tags}, plan=own_value(model, PLAN)
    ).to_field(model)


def restore_fields(model: Model) -> Tags:
    """Restore fields of a track or an album, unless others have set them.

    Returns
    -------
    dict
        The tags to restore in its file.
    """
    record = Record.from_field(model)
    provenance = Provenance.from_field(model) or Provenance()
    theirs = {
        name
        for name in {*record.fields, *record.tags} - {*INTERNAL}
        if not provenance.is_ours(name, own_value(model, name))
    }
    set_values(model, _without(record.fields, theirs))
    set_values(model, {UNDO: None})
    changed = theirs & record.fields.keys()
    if changed:
        restored = Provenance.from_field(model) or Provenance()
        restored.leave(changed).to_field(model)
    return _without(record.tags, theirs)


def _without(values: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: values[name] for name in values.keys() - names}
