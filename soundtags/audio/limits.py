"""Limits on audio: what a header may claim, and what counts as silence."""

from __future__ import annotations

from soundtags.errors import UnreadableAudio

MIN_RATE = 4_000  # Hz; below this, resampling makes a file many times larger
MAX_RATE = 2_822_400  # Hz: DSD512, as FFmpeg decodes it
# Above the first, rates of music are multiples of the second (both in Hz). At
# others, a resampler needs as many filters as there are samples in a second.
HIGH_RATE, STEP = 200_000, 100
MAX_CHANNELS = 64  # ambisonics of the seventh order
MAX_SAMPLES_PER_BYTE = 1 << 13  # FLAC packs silence into half of this

SILENCE = 1e-3  # below this level, 60 dB below full scale, a track is silent

BLOCK = 1 << 18  # samples per channel that are decoded in one go
WIDE = 8  # channels up to which blocks have that length


def check_plausible(rate: int, channels: int) -> None:
    """Refuse sample rates and numbers of channels that no music has.

    Parameters
    ----------
    rate
        Sample rate in Hz.
    channels
        Number of channels.

    Raises
    ------
    UnreadableAudio
        If one of them is absurd.
    """
    odd = rate > HIGH_RATE and rate % STEP
    if odd or not MIN_RATE <= rate <= MAX_RATE:
        raise UnreadableAudio(
            f"implausible sample rate: {rate} Hz; the header may be damaged"
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise UnreadableAudio(
            f"implausible number of channels: {channels}; the header may be"
            " damaged"
        )


def block_length(channels: int) -> int:
    """Return how many samples per channel to decode in one go."""
    return BLOCK * WIDE // max(WIDE, channels)
