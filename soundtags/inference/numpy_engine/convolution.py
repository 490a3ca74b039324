"""Convolutions as matrix products, in pieces that fit into the CPU cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

if TYPE_CHECKING:
    from collections.abc import Iterator

# Bytes of windows that are copied for one matrix product: few enough to stay in
# the CPU cache, and enough for a product to be fast.
PIECE = 2**20
# From this many adjacent values in a window, it pays to copy window by window.
SHORT = 16


class Geometry(NamedTuple):
    """How windows lie in an image; each pair is of height and width.

    Attributes
    ----------
    size : tuple of int
        Size of a window.
    strides : tuple of int
        Distances from one window to the next.
    dilations : tuple of int
        Distances from one value of a window to the next.
    is_padded : bool
        Whether there is a window per stride (SAME in TensorFlow), or only
        windows that are inside the image (VALID).
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int] = (1, 1)
    is_padded: bool = False

    def windows(self, images: np.ndarray, padding: float) -> np.ndarray:
        """Return a view of all windows.

        Parameters
        ----------
        images : numpy.ndarray
            Shape (images, height, width, channels).
        padding : float
            The value around the images, if they are padded.

        Returns
        -------
        numpy.ndarray
            Shape (images, rows, columns, height, width, channels).
        """
        if self.is_padded:
            images = self._pad(images, padding)
        count, height, width, channels = images.shape
        places = [
            (length - extent) // stride + 1
            for length, extent, stride in zip(
                (height, width), self._extents, self.strides
            )
        ]
        if min(places) < 1:
            raise ValueError(f"{height} x {width} is too small for {self.size}")
        first, down, right, deep = images.strides
        return as_strided(
            images,
            (count, *places, *self.size, channels),
            (
                first,
                down * self.strides[0],
                right * self.strides[1],
                down * self.dilations[0],
                right * self.dilations[1],
                deep,
            ),
            writeable=False,
        )

    def _pad(self, images: np.ndarray, value: float) -> np.ndarray:
        inner, shape = [slice(None)], [len(images)]
        for axis, length in enumerate(images.shape[1:3]):
            stride, extent = self.strides[axis], self._extents[axis]
            last = (-(-length // stride) - 1) * stride
            margin = max(last + extent - length, 0)
            inner.append(slice(margin // 2, margin // 2 + length))
            shape.append(length + margin)
        shape.append(images.shape[3])
        padded = np.full_like(images, value, shape=shape)  # same layout
        padded[tuple(inner)] = images
        return padded

    @property
    def _extents(self) -> list[int]:
        """How far a window reaches, in height and width."""
        return [(s - 1) * d + 1 for s, d in zip(self.size, self.dilations)]


def convolve(
    images: np.ndarray, kernel: np.ndarray, geometry: Geometry
) -> np.ndarray:
    """Convolve images with a kernel.

    Parameters
    ----------
    images : numpy.ndarray
        Shape (images, height, width, channels).
    kernel : numpy.ndarray
        Shape (height, width, channels, filters).

    Returns
    -------
    numpy.ndarray
        Shape (images, rows, columns, filters).
    """
    if kernel.shape[1] == 1 < kernel.shape[0]:
        images = _by_columns(images)
    windows = geometry.windows(images, 0)
    if windows.shape[3:] != kernel.shape[:3]:
        raise ValueError(
            f"kernel of shape {kernel.shape} for {windows.shape[-1]} channels"
        )
    length, filters = kernel[..., 0].size, kernel.shape[-1]
    matrix = kernel.reshape(length, filters)
    out = np.empty((*windows.shape[:3], filters), images.dtype)
    if kernel.shape[:2] == (1, 1):
        np.matmul(windows.reshape(-1, length), matrix, out=_rows(out))
        return out
    buffer = np.empty(0, images.dtype)
    for piece in _pieces(windows):
        each = windows[piece]
        if buffer.size < each.size:
            buffer = np.empty(each.size, images.dtype)
        copied = buffer[: each.size].reshape(each.shape)
        _copy(each, copied)
        np.matmul(copied.reshape(-1, length), matrix, out=_rows(out[piece]))
    return out


def _by_columns(images: np.ndarray) -> np.ndarray:
    """Lay out images column by column, as windows one column wide need them."""
    columns = np.ascontiguousarray(images.swapaxes(1, 2))
    laid_out: np.ndarray = columns.swapaxes(1, 2)
    return laid_out


def _rows(values: np.ndarray) -> np.ndarray:
    """Return a view of contiguous values, one row per place."""
    return values.reshape(-1, values.shape[-1])


def _pieces(windows: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Yield images and rows whose windows are copied together."""
    count, rows, *_ = windows.shape
    size = windows[:1, :1].nbytes
    images = max(1, PIECE // (rows * size))
    step = max(1, PIECE // size)
    for image in range(0, count, images):
        for row in range(0, rows, step):
            yield slice(image, image + images), slice(row, row + step)


def _copy(windows: np.ndarray, to: np.ndarray) -> None:
    """Copy windows, which may overlap, to memory of their own."""
    *_, height, width, channels = windows.shape
    adjacent = channels * (height if width == 1 else width)
    if adjacent >= SHORT:
        np.copyto(to, windows)
        return
    for row in range(height):
        for column in range(width):
            to[..., row, column, :] = windows[..., row, column, :]


def convolve_channels(
    images: np.ndarray, kernel: np.ndarray, geometry: Geometry
) -> np.ndarray:
    """Convolve each channel with kernels of its own.

    Parameters
    ----------
    images : numpy.ndarray
        Shape (images, height, width, channels).
    kernel : numpy.ndarray
        Shape (height, width, channels, multiplier).

    Returns
    -------
    numpy.ndarray
        Shape (images, rows, columns, channels * multiplier).
    """
    windows = geometry.windows(images, 0)
    height, width, channels, multiplier = kernel.shape
    if windows.shape[3:] != (height, width, channels):
        raise ValueError(
            f"kernel of shape {kernel.shape} for {windows.shape[-1]} channels"
        )
    out = np.zeros((*windows.shape[:3], channels, multiplier), images.dtype)
    for image, sums in zip(windows, out):
        for row in range(height):
            for column in range(width):
                values = image[:, :, row, column, :, None]
                sums += values * kernel[row, column]
    return out.reshape(*windows.shape[:3], channels * multiplier)


def maxima(images: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Return the maximum of each window, by channel."""
    windows = geometry.windows(images, -np.inf)
    found: np.ndarray = windows.max(axis=(3, 4))
    return found


def averages(images: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Return the average of each window without its padding, by channel."""
    windows = geometry.windows(images, np.nan)
    found: np.ndarray = np.nanmean(windows, axis=(3, 4), dtype=images.dtype)
    return found
