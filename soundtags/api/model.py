"""One model: from samples to predictions, or to any other output."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from soundtags.api.audio import all_mel_bands
from soundtags.api.common import model_folder, sessions
from soundtags.audio.patches import FRONT_ENDS, cut_patches, patch_starts
from soundtags.audio.resampling import RATE
from soundtags.errors import ParameterError, UnusableModel
from soundtags.inference.predict import predict
from soundtags.models import installed
from soundtags.models.plan import check_input

if TYPE_CHECKING:
    from soundtags.api.common import TextPath
    from soundtags.audio.patches import FrontEnd


class Model:
    """A model that makes predictions from audio.

    Corresponds to Essentia's ``TensorflowPredictMusiCNN``,
    ``TensorflowPredictVGGish`` or ``TensorflowPredictEffnetDiscogs``,
    whichever the model's metadata names. Given the same samples, activations
    agree to 1e-4.

    Parameters
    ----------
    name : str or os.PathLike
        Id or alias of a model that is part of the package or in `model_dir`,
        or the path of a ``.pb`` file with its ``.json`` beside it.
    model_dir : str or os.PathLike, optional
        Folder with more models, such as those that ``beet soundmodels fetch``
        downloads. The backbone of a head is looked for there, too; by default,
        next to the head if that is given as a path.

    Attributes
    ----------
    id : str
        Name of the file without its extension.
    classes : tuple of str
        Names of the columns of the predictions, as in the metadata;
        empty for a feature extractor.
    layers : tuple of str
        The nodes that the metadata lists as outputs.

    Raises
    ------
    UnknownModel
        If the model, or the backbone of a head, is not installed.
    UnusableModel
        If the metadata cannot be read, or describes a model that cannot be
        run.

    References
    ----------
    Pons, J. and Serra, X. (2019). "musicnn: Pre-trained convolutional neural
    networks for music audio tagging." Late-breaking demo, ISMIR.

    Hershey, S. et al. (2017). "CNN architectures for large-scale audio
    classification." ICASSP.

    Examples
    --------
    >>> import soundtags
    >>> model = soundtags.Model("msd-musicnn-1")
    >>> model.classes[:3]
    ('rock', 'pop', 'alternative')
    >>> model.layers
    ('model/Sigmoid', 'model/dense_1/BiasAdd', 'model/dense/BiasAdd')
    """

    def __init__(
        self,
        name: TextPath,
        model_dir: TextPath | None = None,
    ) -> None:
        path = Path(name)
        if path.suffix == ".pb":
            model = installed.read_model(path)
            folder = model_folder(model_dir or path.parent)
        else:
            folder = model_folder(model_dir)
            (model,) = installed.find([str(name)], folder)
        self._model = self._backbone = model
        if model.metadata.backbone:
            (self._backbone,) = installed.find(
                [model.metadata.backbone], folder
            )
        check_input(model, {self._backbone.id: self._backbone})
        self.id = model.id
        self.classes = model.metadata.classes
        self.layers = tuple(node for node, _ in model.metadata.outputs)

    def __repr__(self) -> str:
        return f"<soundtags.Model {self.id}>"

    def predict(
        self, audio: np.ndarray, output: str = "predictions"
    ) -> np.ndarray:
        """Run the model over all patches of some audio.

        As in Essentia, patches overlap by half (those of VGGish by 3 of 96
        frames), and an incomplete last patch is discarded. For a head, the
        backbone runs first. Graphs stay loaded for the next call.

        Parameters
        ----------
        audio : numpy.ndarray
            Shape (samples,), floating point, at 16 kHz, as returned by
            :func:`load`.
        output : str
            ``"predictions"``, ``"embedding"`` (the latent features that heads
            are trained on), or the name of a node with one row per patch,
            such as ``"model/dense_1/BiasAdd"``.

        Returns
        -------
        numpy.ndarray
            Shape (patches, classes) for predictions, (patches, ...) for other
            nodes; float32.

        Raises
        ------
        ParameterError
            If the audio is not such an array, contains NaN or infinity, is far
            beyond full scale or shorter than a patch, or if the model has no
            such output.
        UnusableModel
            If the graph cannot be run, or has more or fewer predictions than
            there are classes.

        Examples
        --------
        >>> import soundtags
        >>> audio = soundtags.load("song.flac")
        >>> model = soundtags.Model("msd-musicnn-1")
        >>> model.predict(audio).shape
        (15, 50)
        >>> model.predict(audio, output="embedding").shape
        (15, 200)
        """
        node = self._node(output)
        front_end = self._backbone.metadata.algorithm
        nodes = {self._model: (node,)}
        if self._backbone is not self._model:
            embedding = str(self._backbone.metadata.embedding)
            nodes = {self._backbone: (embedding,), **nodes}
        chunk = {front_end: self._patches(audio, FRONT_ENDS[front_end])}
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            try:
                (outputs,) = predict([chunk], nodes, sessions(), threads.map)
            except UnusableModel as exc:
                if node in self.layers:
                    raise
                raise ParameterError(f"{exc}; {self._outputs()}") from exc
        if node == self._model.metadata.predictions:
            return outputs.activations(self._model)
        return outputs.values[self.id][node]

    def top(
        self, activations: np.ndarray, n: int | None = None
    ) -> list[tuple[str, float]]:
        """Return the classes with the highest mean activations.

        Parameters
        ----------
        activations : numpy.ndarray
            Shape (patches, classes), as returned by :meth:`predict`.
        n : int, optional
            Number of classes; all by default.

        Returns
        -------
        list of tuple
            Class name and mean activation over the patches, highest first.

        Raises
        ------
        ParameterError
            If the activations have another shape, have no rows, or are not
            numbers, or if `n` is not a whole number of at least 1.

        Examples
        --------
        >>> import soundtags
        >>> model = soundtags.Model("msd-musicnn-1")
        >>> activations = model.predict(soundtags.load("song.flac"))
        >>> [name for name, mean in model.top(activations, 3)]
        ['electronic', 'dance', 'House']
        """
        if n is not None and not (isinstance(n, Integral) and n >= 1):
            raise ParameterError(
                f"n must be a positive whole number, not {n!r}"
            )
        means = self._checked(activations).mean(axis=0)
        order = np.argsort(-means, kind="stable")[:n]
        return [(self.classes[i], float(means[i])) for i in order]

    def _checked(self, activations: np.ndarray) -> np.ndarray:
        try:
            values = np.asarray(activations, float)
        except (TypeError, ValueError) as exc:
            raise ParameterError(
                f"activations of {self.id} must be numbers: {exc}"
            ) from exc
        shape = values.shape
        if len(shape) != 2 or not shape[0] or shape[1] != len(self.classes):
            raise ParameterError(
                f"activations of {self.id} must have the shape (patches,"
                f" {len(self.classes)}), not {shape}"
            )
        return values

    def _node(self, output: str) -> str:
        if not isinstance(output, str):
            raise ParameterError(
                f"output must be the name of a node, not {output!r};"
                f" {self._outputs()}"
            )
        metadata = self._model.metadata
        purposes = {
            "predictions": metadata.predictions,
            "embedding": metadata.embedding,
        }
        node = purposes.get(output, output)
        if node is None:
            raise ParameterError(
                f"{self.id} has no {output}; {self._outputs()}"
            )
        return node

    def _outputs(self) -> str:
        return f"its metadata names: {', '.join(self.layers)}"

    def _patches(self, audio: np.ndarray, front_end: FrontEnd) -> np.ndarray:
        bands = all_mel_bands(audio, front_end)
        if len(bands) - front_end.spare < front_end.frames:
            needed = (front_end.frames - 1) / front_end.frame_rate
            raise ParameterError(
                f"audio is too short: {len(audio) / RATE:.2f} s, but a patch"
                f" for {self.id} takes {needed:.2f} s"
            )
        starts = patch_starts(len(bands), front_end, limit=None)
        return cut_patches(bands, front_end, starts)
