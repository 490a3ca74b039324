"""The exceptions, one class per cause; all derive from SoundtagsError."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class SoundtagsError(Exception):
    """Base of every error that is reported to the user in one line."""


class ParameterError(SoundtagsError, ValueError):
    """Raised when a function of the Python interface is misused."""


class UnreadableAudio(SoundtagsError):
    """A file that is not there, not a file, or holds no audio."""


class CrashedDecoder(SoundtagsError):
    """A file on which a decoder takes the process down that it runs in."""


class HangingDecoder(SoundtagsError):
    """A file that a decoder, or the disk, does not get on with."""


class NoDecoderProcess(SoundtagsError):
    """There can be no process in which files are read."""


class UnknownModel(SoundtagsError):
    """A model id that nothing installed answers to."""


class UnusableModel(SoundtagsError):
    """A model whose graph or metadata cannot be used."""


class BrokenModels(SoundtagsError):
    """Models of a plan whose graphs turn out to be unusable.

    Parameters
    ----------
    faults
        Id of each to what is wrong with it.
    """

    def __init__(self, faults: dict[str, UnusableModel]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults.values()))
        self.faults = faults

    def __reduce__(self) -> tuple[type, tuple[dict[str, UnusableModel]]]:
        return type(self), (self.faults,)


class UnwritableTags(SoundtagsError):
    """A file whose tags cannot be read or written."""


class ChangedMeanwhile(SoundtagsError):
    """A file that somebody else has written while we meant to."""


class LockedLibrary(SoundtagsError):
    """A library that another program does not let go of."""


class UnusableCache(SoundtagsError):
    """Raised when the cache of predictions cannot be read or written."""


class Stopped(SoundtagsError):
    """A run that is over before a file has been read."""


class UnexpectedFailure(SoundtagsError):
    """Anything nobody foresaw; the run goes on without that track.

    Attributes
    ----------
    trace
        Where it happened, for those who look into it.
    """

    trace = ""


class NoTensorFlow(SoundtagsError):
    """TensorFlow is not installed, or does not load on this machine."""


class NoMatplotlib(SoundtagsError):
    """Matplotlib, which draws, is not installed."""


class NoDistributed(SoundtagsError):
    """Dask distributed, which a cluster needs, is not installed."""


class UnreachableCluster(SoundtagsError):
    """A cluster without a scheduler that answers, or without a worker."""


class LostCluster(SoundtagsError):
    """A cluster that goes away during a run."""


class UnfitWorker(SoundtagsError):
    """A worker of a cluster that lacks what each track needs."""


class UnsharedFile(SoundtagsError):
    """A file that is here, but not where a worker looks for it."""


class CrashedWorker(SoundtagsError):
    """A file on which workers of a cluster die."""


class UnreachableSource(SoundtagsError):
    """A source of models that cannot be reached, or breaks off."""


class NotPublished(SoundtagsError):
    """A model file that the source does not have."""


class WrongDigest(SoundtagsError):
    """A model file that is another than the one that is known."""


class NotAModel(SoundtagsError):
    """What a source has in a model's place: a web page, or far too much."""


class InsecureSource(SoundtagsError):
    """A source, or where it leads, that anybody could have tampered with."""


class NoSpace(SoundtagsError):
    """The disk with the model folder is full."""


class UnwritableFolder(SoundtagsError):
    """A model folder that cannot be made or written to."""


def capture_errors(
    work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T | SoundtagsError:
    """Return what some work on tracks returns, or what went wrong."""
    try:
        return work(*args, **kwargs)
    except SoundtagsError as exc:
        return exc
    except Exception as exc:  # one track must not end the run
        failure = UnexpectedFailure(f"unexpected {type(exc).__name__}: {exc}")
        failure.trace = traceback.format_exc()
        return failure
