"""`DenoisingAutoencoder`."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from skae._checks import check_clip, check_number, is_auto
from skae._corruption.base import CorruptingTransformer, Corruption
from skae._corruption.gaussian import GaussianNoise
from skae._estimators.base import BaseAutoencoder
from skae._estimators.docs import shared_docs
from skae._estimators.fitting import Data, fit
from skae._estimators.routing import store_routed
from skae._typing import Activation


@shared_docs
class DenoisingAutoencoder(BaseAutoencoder):
    """Deep autoencoder that learns to remove noise.

    Every training step corrupts its rows with new random numbers, and compares the output with the
    *clean* rows [1]_.  After training, `reconstruct` removes noise, and the codes of `transform`
    depend less on noise than those of a `DeepAutoencoder`.

    Parameters
    ----------
    {network}
    corruption : corruption or None, default=None
        How training corrupts the rows: a `GaussianNoise`, `MaskingNoise`, `SwapNoise` or
        `SaltAndPepperNoise`, or an object of your own with a method ``corrupt(X, rng)``.  The
        method gets one mini-batch ``X``, a read-only float32 array, and returns a corrupted copy.
        It draws all random numbers from ``rng``, a `numpy.random.Generator`.  With
        ``missing_values="mask"``, ``X`` may have NaN, and the copy may have more: so a corruption
        hides values that the network learns to restore, as ``MaskingNoise(fill_value=np.nan)``.
        ``corruption__fraction`` sets the parameter ``fraction`` of the corruption.  None means
        `GaussianNoise` with ``noise_scale`` and ``clip``.  In rows with categories, masks and swaps
        act on whole cells.  Other corruptions act on the numbers, on their common scale, and
        categories and booleans are swapped with probability 0.15.
    shown_weight : float, default=1
        Weight in the loss of values that the network is shown, in [0, 1].  Values that the
        corruption hides as NaN have a weight of one.  A weight below one makes the network learn
        above all to restore hidden values [2]_, as an imputer should.  It needs
        ``missing_values="mask"``, and does not change `score`.
    noise_scale : float, default=0.5
        Standard deviation of the Gaussian noise, in the units of X.  At least 0.  Only used if
        ``corruption`` is None, and `fit` gets no ``X_clean``.
    clip : {"auto"}, tuple of (float, float) or None, default="auto"
        Lowest and highest value of the noisy rows.  "auto" is (0, 1) if all values to reconstruct
        fill [0, 1], else None, which does not limit them.  Only used if ``corruption`` is None, and
        `fit` gets no ``X_clean``.
    {training}
    {routed}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    DeepAutoencoder : Learns to reconstruct rows without noise.
    GaussianNoise : Adds normal noise to every value.
    MaskingNoise : Replaces a random share of the values by a constant.
    SwapNoise : Replaces a random share of the values by those of other rows.
    SaltAndPepperNoise : Replaces a random share of the values by a low or a high value.

    Notes
    -----
    {notes}

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol, "Extracting and Composing Robust
       Features with Denoising Autoencoders", ICML 2008.
    .. [2] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, "Stacked Denoising
       Autoencoders", JMLR 11, 2010: its "emphasized" variant.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder, GaussianNoise
    >>> X = load_digits().data / 16
    >>> noisy = GaussianNoise(scale=0.3, clip=(0, 1), random_state=0).fit_transform(X)
    >>> denoiser = DenoisingAutoencoder(noise_scale=0.3, random_state=0).fit(X)
    >>> bool(((denoiser.reconstruct(noisy) - X) ** 2).mean() < ((noisy - X) ** 2).mean())
    True
    """

    def __init__(
        self,
        n_components: int = 32,
        *,
        hidden_layer_sizes: int | Sequence[int] = (128, 64),
        decoder_layer_sizes: int | Sequence[int] | None = None,
        activation: Activation = "leaky_relu",
        code_activation: Activation = "linear",
        output_activation: Activation = "auto",
        tied_weights: bool = False,
        init: str = "random",
        features: str = "code",
        missing_values: str = "error",
        categorical_features: str | Sequence[str | int] | None = "from_dtype",
        min_frequency: float | None = None,
        handle_unknown: str = "ignore",
        feature_weights: Sequence[float] | Mapping[str, float] | None = None,
        dropout: float = 0.0,
        alpha: float = 0.0,
        code_penalty: float = 0.0,
        contraction: float = 0.0,
        corruption: Any = None,
        shown_weight: float = 1.0,
        noise_scale: float = 0.5,
        clip: str | tuple[float, float] | None = "auto",
        loss: Any = "auto",
        optimizer: Any = "muon",
        learning_rate: float | str = "auto",
        learning_rate_schedule: str | Callable[[Any], Any] = "one_cycle",
        batch_size: int | str = "auto",
        epochs: int = 20,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        metrics: Any = None,
        warm_start: bool = False,
        callbacks: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        **routed: Any,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_layer_sizes = decoder_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
        self.tied_weights = tied_weights
        self.init = init
        self.features = features
        self.missing_values = missing_values
        self.categorical_features = categorical_features
        self.min_frequency = min_frequency
        self.handle_unknown = handle_unknown
        self.feature_weights = feature_weights
        self.dropout = dropout
        self.alpha = alpha
        self.code_penalty = code_penalty
        self.contraction = contraction
        self.corruption = corruption
        self.shown_weight = shown_weight
        self.noise_scale = noise_scale
        self.clip = clip
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.batch_size = batch_size
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.metrics = metrics
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose
        store_routed(self, routed)

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        X_val: Any = None,
        X_clean: Any = None,
        X_val_clean: Any = None,
    ) -> Self:
        """Train the network to reconstruct clean rows from corrupted ones.

        Ctrl-C ends training with a warning.  The estimator is then fitted, and has the weights of
        that moment.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            Clean rows, which training corrupts.  If ``X_clean`` is given, the noisy rows.  At least
            two rows.
        {y}
        {sample_weight}
        X_val : {array-like, sparse matrix, source} of shape (n_validation_samples, n_features), \
                default=None
            Rows to measure ``val_loss`` on after each epoch.  They are corrupted like X, with the
            same random numbers after every epoch.
        X_clean : {array-like, sparse matrix, source} of shape (n_samples, n_features), default=None
            The clean row for each row of X, if you have pairs of noisy and clean rows.  Training
            then adds no corruption.
        X_val_clean : {array-like, sparse matrix, source} of shape \
                (n_validation_samples, n_features), default=None
            The clean row for each row of ``X_val``.  Required if both ``X_val`` and ``X_clean`` are
            given.

        Returns
        -------
        self : DenoisingAutoencoder
            The fitted estimator.

        Raises
        ------
        {fit_raises}
        """
        fit(self, Data(X, y, sample_weight, X_val, X_clean, X_val_clean))
        return self

    def partial_fit(
        self, X: Any, y: Any = None, *, sample_weight: Any = None, X_clean: Any = None
    ) -> Self:
        """Train for one more epoch on X, and continue from the last call.

        {partial_fit}

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            Clean rows, which training corrupts.  If ``X_clean`` is given, the noisy rows.
        {y}
        {sample_weight}
        X_clean : {array-like, sparse matrix, source} of shape (n_samples, n_features), default=None
            The clean row for each row of X.

        Returns
        -------
        self : DenoisingAutoencoder
            The fitted estimator.

        Raises
        ------
        {fit_raises}
        """
        fit(self, Data(X, y, sample_weight, X_clean=X_clean), single_epoch=True)
        return self

    def _corruption(
        self, bounded: bool, paired: bool, n_features: int | None = None
    ) -> Corruption | None:
        self._check_shown_weight()
        if self.corruption is None:
            noise = self._gaussian(bounded)
            return None if paired else noise
        self._check_own(paired, n_features)
        return self.corruption

    def _gaussian(self, bounded: bool) -> GaussianNoise:
        """Check ``noise_scale`` and ``clip``, and return the noise that they describe."""
        check_number("noise_scale", self.noise_scale, low=0)
        clip: Any = self.clip
        if is_auto(clip):
            clip = (0, 1) if bounded else None
        check_clip(clip)
        return GaussianNoise(self.noise_scale, clip=clip)

    def _check_own(self, paired: bool, n_features: int | None) -> None:
        """Check ``corruption``, and that no other argument contradicts it."""
        if isinstance(self.corruption, type) or not isinstance(self.corruption, Corruption):
            raise TypeError(
                "corruption must be None, a corruption such as SwapNoise() or MaskingNoise(), or "
                f"an object with a method corrupt(X, rng); got {self.corruption!r}."
            )
        if isinstance(self.corruption, CorruptingTransformer):
            self.corruption._check_parameters(n_features)
        if paired:
            raise ValueError(
                f"corruption={self.corruption!r} has no effect with X_clean, because X holds the "
                "corrupted rows already: set corruption=None, or leave out X_clean."
            )
        self._check_gaps()
        for name, default in (("noise_scale", 0.5), ("clip", "auto")):
            value = getattr(self, name)
            if not np.array_equal(value, default):
                raise ValueError(
                    f"{name}={value!r} has no effect with corruption={self.corruption!r}: leave it "
                    f"at {default!r}, and set the parameters of the corruption."
                )

    def _check_shown_weight(self) -> None:
        check_number("shown_weight", self.shown_weight, low=0, high=1)
        if self.shown_weight != 1 and self.missing_values == "error":
            raise ValueError(
                f"shown_weight={self.shown_weight!r} has no effect without missing_values='mask', "
                "because no value is hidden as NaN: set missing_values='mask', or leave it at 1."
            )

    def _check_gaps(self) -> None:
        """Refuse a corruption that makes values unknown to a network that is not told so."""
        if getattr(self.corruption, "_makes_gaps", False) and self.missing_values == "error":
            raise ValueError(
                f"corruption={self.corruption!r} makes values unknown, which needs "
                "missing_values='mask': set it, or give fill_value a number."
            )
