"""Which models from elsewhere can be used, as trials have shown.

The result of a trial is kept, so that each model is tried only once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundtags.errors import NoTensorFlow, UnusableModel
from soundtags.inference.engine_choice import EngineChoice
from soundtags.inference.trial import Candidate, try_all
from soundtags.inference.verdict_file import load_reasons, save_reasons
from soundtags.models import installed
from soundtags.version import package_version

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from soundtags.inference.engine import Engine
    from soundtags.inference.verdict_file import Reasons
    from soundtags.models.installed import Model

PART = "models"  # of the file


class Verdicts:
    """The results of trials, kept in a file.

    Parameters
    ----------
    path : pathlib.Path
        The file. Where it cannot be read or written, models are tried again.
    announce : callable
        Called with the number of models that are about to be tried.
    choice : EngineChoice, optional
        What is going to run the models; by default, TensorFlow if it loads,
        else NumPy.
    """

    def __init__(
        self,
        path: Path,
        announce: Callable[[int], None],
        choice: EngineChoice | None = None,
    ) -> None:
        self._path = path
        self._announce = announce
        self._choice = choice or EngineChoice()

    def faults(
        self, models: Collection[Model], here: Mapping[str, Model]
    ) -> dict[str, UnusableModel]:
        """Find models that cannot be used, backbones of heads among them.

        Parameters
        ----------
        models : collection of Model
            The models that are to run.
        here : mapping of str to Model
            All models at hand, by id.

        Returns
        -------
        dict of str to UnusableModel
            Id of each unusable model to the reason.

        Raises
        ------
        NoTensorFlow
            If models have to run on TensorFlow, but it does not load.
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
        try:
            reasons = self._reasons(foreign)
        except NoTensorFlow as exc:
            self._choice.give_up(exc)
            reasons = self._reasons(foreign)
        return {
            each.model.id: UnusableModel(f"{each.model.id}: {reason}")
            for key, each in foreign.items()
            if (reason := reasons.get(key))
        }

    def _reasons(self, candidates: Mapping[str, Candidate]) -> Reasons:
        """Return what is known of candidates, after trying those that are new.

        Parameters
        ----------
        candidates : mapping of str to Candidate
            The candidates, by key.
        """
        known = load_reasons(self._path, PART, self._versions())
        new = [each for key, each in candidates.items() if key not in known]
        if new:
            self._choice.check()
            self._announce(len(new))
            known |= self._try(new, known)
        return known

    def _try(self, new: Iterable[Candidate], known: Reasons) -> Reasons:
        """Try candidates, and keep the results."""
        found: Reasons = {}
        try:
            for candidate, reason in try_all(new, self._engine.name):
                found[candidate.key] = reason
        except OSError as exc:
            reason = f"cannot be tried: {exc.strerror or exc}"
            return {each.key: reason for each in new} | found
        finally:
            reasons = {**known, **found}
            save_reasons(self._path, PART, self._versions(), reasons)
        return found

    def _versions(self) -> list[str]:
        """Return the versions that the outcome of a trial depends on."""
        engine = self._engine
        return [package_version(), engine.name, engine.version]

    @property
    def _engine(self) -> Engine:
        return self._choice.expected
