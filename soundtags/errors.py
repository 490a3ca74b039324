"""The exceptions, one class per cause, in groups.

Errors that are reported to the user in one line derive from
:class:`SoundtagsError`::

    SoundtagsError
    +-- ParameterError (also a ValueError)
    +-- UnusableRecipe
    +-- AudioError
    |   +-- UnreadableAudio
    |   +-- CrashedDecoder
    |   +-- HangingDecoder
    |   +-- NoDecoderProcess
    +-- ModelError
    |   +-- UnknownModel
    |   +-- UnusableModel
    |   +-- BrokenModels
    +-- WordError
    |   +-- UnusableWord
    |   +-- UnteachableWord
    +-- DownloadError
    |   +-- UnreachableSource
    |   |   +-- UnreachableHost
    |   +-- NotPublished
    |   +-- WrongDigest
    |   +-- NotAModel
    |   +-- InsecureSource
    |   +-- NoSpace
    |   +-- UnwritableFolder
    +-- StorageError
    |   +-- UnwritableTags
    |   +-- ChangedMeanwhile
    |   +-- UnusableLibrary
    |   +-- UnusableCache
    +-- ClusterError
    |   +-- UnreachableCluster
    |   +-- LostCluster
    |   +-- UnfitWorker
    |   +-- UnsharedFile
    |   +-- CrashedWorker
    +-- MissingDependency
    |   +-- NoTensorFlow
    |   +-- NoResampler
    |   +-- NoMatplotlib
    |   +-- NoDistributed
    +-- Stopped
    +-- UnexpectedFailure
"""

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
    """A function of the Python API was called with a wrong argument."""


class UnusableRecipe(SoundtagsError):
    """Something in the recipe of a playlist cannot be understood."""


class AudioError(SoundtagsError):
    """A file could not be decoded."""


class UnreadableAudio(AudioError):
    """The file is missing, is not a regular file, or contains no audio."""


class CrashedDecoder(AudioError):
    """The file crashes the process that decodes it."""


class HangingDecoder(AudioError):
    """The decoder, or the disk, makes no progress with the file."""


class NoDecoderProcess(AudioError):
    """No process can be started to decode files in."""


class ModelError(SoundtagsError):
    """A model is missing or cannot be used."""


class UnknownModel(ModelError):
    """No installed model has this id."""


class UnusableModel(ModelError):
    """The model's graph or metadata cannot be used."""


class BrokenModels(ModelError):
    """Models of a plan have graphs that turn out to be unusable.

    Parameters
    ----------
    faults : dict of str to UnusableModel
        Model id to what is wrong with it.
    """

    def __init__(self, faults: dict[str, UnusableModel]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults.values()))
        self.faults = faults

    def __reduce__(self) -> tuple[type, tuple[dict[str, UnusableModel]]]:
        return type(self), (self.faults,)


class WordError(SoundtagsError):
    """A word cannot be taught or used."""


class UnusableWord(WordError):
    """A word's name or file cannot be used."""


class UnteachableWord(WordError):
    """A word cannot be learned from the examples there are."""


class DownloadError(SoundtagsError):
    """A model could not be fetched."""


class UnreachableSource(DownloadError):
    """The source cannot be reached, or the connection breaks off."""


class UnreachableHost(UnreachableSource):
    """No model can be fetched from the source at the moment."""


class NotPublished(DownloadError):
    """The source does not have the file."""


class WrongDigest(DownloadError):
    """The file's digest differs from the one that is known."""


class NotAModel(DownloadError):
    """The source sends something else: a web page, or far too much."""


class InsecureSource(DownloadError):
    """The source, or where it redirects to, could be tampered with."""


class NoSpace(DownloadError):
    """The disk with the model folder is full."""


class UnwritableFolder(DownloadError):
    """The model folder cannot be created or written to."""


class StorageError(SoundtagsError):
    """A result could not be stored."""


class UnwritableTags(StorageError):
    """The tags of a file cannot be read or written."""


class ChangedMeanwhile(StorageError):
    """Another program has written to the file in the meantime."""


class UnusableLibrary(StorageError):
    """The library is locked by another program, or cannot be written."""


class UnusableCache(StorageError):
    """The cache of predictions cannot be read or written."""


class ClusterError(SoundtagsError):
    """The cluster, or one of its workers, cannot do its part."""


class UnreachableCluster(ClusterError):
    """No scheduler answers, or the cluster has no worker."""


class LostCluster(ClusterError):
    """The cluster has gone away during a run."""


class UnfitWorker(ClusterError):
    """The worker lacks something that every track needs."""


class UnsharedFile(ClusterError):
    """The file exists here, but not where the worker looks for it."""


class CrashedWorker(ClusterError):
    """The file crashes the workers that analyse it."""


class MissingDependency(SoundtagsError):
    """A package is missing, or does not load on this machine."""


class NoTensorFlow(MissingDependency):
    """TensorFlow should run the models, but is missing or does not load."""


class NoResampler(MissingDependency):
    """A resampler was chosen whose package is missing."""


class NoMatplotlib(MissingDependency):
    """Matplotlib, which draws pictures, is missing."""


class NoDistributed(MissingDependency):
    """Dask distributed, which a cluster needs, is missing."""


class Stopped(SoundtagsError):
    """The run has ended before the file was read."""


class UnexpectedFailure(SoundtagsError):
    """An error that nobody foresaw; the run goes on without that track.

    Attributes
    ----------
    trace : str
        The traceback, for debugging.
    """

    trace = ""


def first_line(exc: BaseException) -> str:
    """Return the first line of an error's message, or the error's type."""
    return (_message(exc).strip() or type(exc).__name__).splitlines()[0]


def _message(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:  # other packages' errors may fail here, too
        return ""


def capture_errors(
    work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T | SoundtagsError:
    """Return the result of some work on a track, or what went wrong."""
    try:
        return work(*args, **kwargs)
    except SoundtagsError as exc:
        return exc
    except Exception as exc:  # one track must not end the run
        kind = type(exc).__name__
        failure = UnexpectedFailure(f"unexpected {kind}: {_message(exc)}")
        failure.trace = traceback.format_exc()
        return failure
