"""What can go wrong, one class per cause."""

from __future__ import annotations


class SoundtagsError(Exception):
    """Base of every error that is reported to the user in one line."""


class UnreadableAudio(SoundtagsError):
    """A file that is not there, not a file, or holds no audio."""


class UnknownModel(SoundtagsError):
    """A model id that nothing installed answers to."""


class UnusableModel(SoundtagsError):
    """A model whose graph or metadata cannot be used."""


class UnwritableTags(SoundtagsError):
    """A file whose tags cannot be read or written."""


class UnexpectedFailure(SoundtagsError):
    """Anything nobody foresaw; the run goes on without that track."""


class NoTensorFlow(SoundtagsError):
    """TensorFlow is not installed, or does not load on this machine."""
