"""Which models from elsewhere can be used, as trials have shown.

What came of a trial is kept, so that it is made once for each model.
"""

from __future__ import annotations

import json
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING

from soundtags.atomic import writing
from soundtags.errors import UnusableModel
from soundtags.inference.trial import Candidate, try_all
from soundtags.models import installed
from soundtags.version import package_version

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from soundtags.models.installed import Model

    # Key of a candidate to what is wrong with it; None for nothing.
    Reasons = dict[str, str | None]


# What reading something else than what was kept leads to.
MALFORMED = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Verdicts:
    """What came of trials, kept in a file.

    Parameters
    ----------
    path : pathlib.Path
        The file. Where it cannot be read or written, models are tried again.
    announce : callable
        Told how many models are about to be tried.
    """

    def __init__(self, path: Path, announce: Callable[[int], None]) -> None:
        self._path = path
        self._announce = announce

    def faults(
        self, models: Collection[Model], here: Mapping[str, Model]
    ) -> dict[str, UnusableModel]:
        """Find models that cannot be used, backbones of heads among them.

        Parameters
        ----------
        models : collection of Model
            Those that are to run.
        here : mapping of str to Model
            All models at hand, by id.

        Returns
        -------
        dict of str to UnusableModel
            Id of each unusable model to the reason.

        Raises
        ------
        NoTensorFlow
            If TensorFlow crashes when it is loaded.
        """
        heads = {m: m.metadata.backbone for m in models if m.metadata.backbone}
        fed = [model for model in models if model not in heads]
        fed += [here[backbone] for backbone in heads.values()]
        faults = self.judge(Candidate.of(each, here) for each in fed)
        for head, backbone in heads.items():
            if backbone in faults:
                faults[head.id] = UnusableModel(
                    f"{head.id}: needs {backbone}, which cannot be used"
                )
        rest = [head for head in heads if head.id not in faults]
        return faults | self.judge(Candidate.of(each, here) for each in rest)

    def judge(
        self, candidates: Iterable[Candidate]
    ) -> dict[str, UnusableModel]:
        """Find candidates that cannot be used, and try those that are new.

        What comes with the package is known to work, and is not tried.
        """
        foreign = {
            each.key: each
            for each in candidates
            if not installed.is_embedded(each.model.graph)
        }
        if not foreign:
            return {}
        reasons = self._load()
        new = [foreign[key] for key in foreign if key not in reasons]
        if new:
            self._announce(len(new))
            reasons |= self._try(new, reasons)
        return {
            each.model.id: UnusableModel(f"{each.model.id}: {reason}")
            for key, each in foreign.items()
            if (reason := reasons.get(key))
        }

    def _try(self, new: Iterable[Candidate], known: Reasons) -> Reasons:
        """Try candidates, and keep what comes of it."""
        found: Reasons = {}
        try:
            for candidate, reason in try_all(new):
                found[candidate.key] = reason
        except OSError as exc:
            reason = f"cannot be tried: {exc.strerror or exc}"
            return {each.key: reason for each in new} | found
        finally:
            self._save({**known, **found})
        return found

    def _load(self) -> Reasons:
        """Return what was found with these versions."""
        try:
            content = json.loads(self._path.read_bytes())
            reasons = (
                content["reasons"] if content["versions"] == _versions() else {}
            )
            return {
                key: reason
                for key, reason in reasons.items()
                if reason is None or isinstance(reason, str)
            }
        except (OSError, *MALFORMED):
            return {}

    def _save(self, reasons: Reasons) -> None:
        content = {"versions": _versions(), "reasons": reasons}
        with suppress(OSError), writing(self._path) as file:
            file.write(json.dumps(content, indent=1).encode())


def _versions() -> list[str]:
    """Return the versions that the outcome of a trial depends on."""
    try:
        return [package_version(), metadata.version("tensorflow")]
    except metadata.PackageNotFoundError:  # it may go by another name
        return [package_version(), ""]
