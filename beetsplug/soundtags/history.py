"""What was there before we last wrote, kept to be put back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from beetsplug.soundtags.fields import BEFORE, INTERNAL, PLAN, SAID, own, put
from beetsplug.soundtags.provenance import is_ours, leave

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from beets.dbcore import Model

    from beetsplug.soundtags.file_tags import Tags


def snapshot(model: Model, names: Iterable[str]) -> dict[str, Any]:
    """Return what some fields and our own of a track or an album are."""
    return {name: own(model, name) for name in (*names, *INTERNAL)}


def note(model: Model, before: Mapping[str, Any]) -> None:
    """Keep what fields were, of those that have changed since.

    What was kept before a write that was not finished, as it was killed or
    failed, stays: nobody has seen the state in between. It stays, too, where
    nothing has changed.

    Parameters
    ----------
    model
        The track or the album, with its new values.
    before
        What :func:`snapshot` returned.
    """
    record = _record(model)
    changed = {
        name: value
        for name, value in before.items()
        if name != BEFORE and value != own(model, name)
    }
    if record["plan"] != before[PLAN]:
        record["fields"] = {**changed, **record["fields"]}
    elif changed.keys() - INTERNAL:
        record = {"fields": changed, "tags": {}}
    _keep(model, {**record, "plan": own(model, PLAN)})


def note_tags(model: Model, tags: Tags) -> None:
    """Keep what tags its file had, besides; the first ones count."""
    record, plan = _record(model), own(model, PLAN)
    tags = {**tags, **record["tags"]}
    _keep(model, {**record, "plan": plan, "tags": tags})


def put_back(model: Model) -> Tags:
    """Give fields what they had before, but for those that are not ours.

    Returns
    -------
    dict
        The tags that its file had, of those fields.
    """
    record, said = _record(model), own(model, SAID) or ""
    theirs = {
        name
        for name in {*record["fields"], *record["tags"]} - {*INTERNAL}
        if not is_ours(said, name, own(model, name))
    }
    put(model, _without(record["fields"], theirs))
    put(model, {BEFORE: None})
    changed = theirs & record["fields"].keys()
    if changed:
        model[SAID] = leave(own(model, SAID) or "", changed)
    return _without(record["tags"], theirs)


def _without(values: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: values[name] for name in values.keys() - names}


def _record(model: Model) -> dict[str, Any]:
    kept = own(model, BEFORE)
    return (
        json.loads(kept) if kept else {"plan": None, "fields": {}, "tags": {}}
    )


def _keep(model: Model, record: dict[str, Any]) -> None:
    if record["fields"] or record["tags"]:
        model[BEFORE] = json.dumps(record, separators=(",", ":"))
