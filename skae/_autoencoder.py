"""`DeepAutoencoder` and `DenoisingAutoencoder`."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from skae._base import Corruption, _Autoencoder
from skae._parameters import check_clip, check_number
from skae._typing import Activation


class DeepAutoencoder(_Autoencoder):
    """Nonlinear dimensionality reduction by a deep autoencoder.

    A network of dense layers is trained to give back its input through a code of
    ``n_components`` numbers.  `transform` is the way to the code, `inverse_transform` the way
    back, as in `sklearn.decomposition.PCA`, which is the best that a *linear* network can do.

    Parameters
    ----------
    n_components : int, default=32
        Width of the code, the bottleneck.
    hidden_layer_sizes : tuple of int, default=(128, 64)
        Widths of the encoder's hidden layers, outermost first and without the code.  The
        decoder mirrors them.  ``()`` makes a shallow autoencoder, which is linear where all
        activations are.
    activation : str or callable, default="relu"
        Activation of the hidden layers: the name of a Keras activation, or a function of a
        tensor.
    code_activation : str or callable, default="linear"
        Activation of the code.
    output_activation : {"auto"}, str or callable, default="auto"
        Activation of the last layer.  "auto" is "sigmoid" where all of the data to reconstruct
        lies in [0, 1], else "linear".
    loss : {"auto"}, str, Keras loss class, instance or function, default="auto"
        What training minimises.  "auto" is "binary_crossentropy" where all of the data to
        reconstruct lies in [0, 1] and the output is a sigmoid, else "mean_squared_error".  A
        function takes ``(y_true, y_pred)`` and returns a value for each row.
    optimizer : str, Keras optimizer class or instance, default="muon"
        Name such as "muon", "adam", "adadelta" or "sgd", a class, or an instance.  A name or a
        class takes parameters as ``optimizer__beta_1=0.8``.
    learning_rate : float or "auto", default="auto"
        Highest rate of the schedule, above 0.  "auto" is an instance's own rate; for a name or
        a class a rate that suits the schedule, such as 0.02 for "muon" and 0.008 for "adam"
        with "one_cycle", or the class' default with "constant".
    learning_rate_schedule : {"one_cycle", "cosine", "constant"} or \
            keras.optimizers.schedules.LearningRateSchedule, default="one_cycle"
        How the rate changes from step to step.  "one_cycle" rises for 30 % of the steps and
        falls along a cosine to zero; "cosine" only falls.  A Keras schedule gives the rates
        itself.
    batch_size : int or "auto", default="auto"
        Rows of a mini-batch.  "auto" is a power of two from 32 to 256 that makes 32 or more
        steps an epoch where there are the rows for it.
    epochs : int, default=20
        Passes over the data; the most of them where ``early_stopping`` is set.
    early_stopping : bool, default=False
        Whether to stop once the validation loss no longer falls, and to keep the weights that
        had the lowest.
    validation_fraction : float, default=0.1
        Part of the rows, in (0, 1), that early stopping sets aside where `fit` is given no
        ``X_val``.
    n_iter_no_change : int, default=10
        Epochs without a gain of ``tol`` after which early stopping stops.
    tol : float, default=1e-4
        What counts as a gain for early stopping, in units of the loss.
    metrics : str, Keras metric or list of these, default=None
        Recorded in ``history_`` after each epoch, weighted as the loss is.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last fit.
    callbacks : keras.callbacks.Callback or list of these, default=None
        Called at the beginning and the end of training and of each epoch, with a Keras model that
        has the weights of the moment.  What they do to weights, learning rate (which scales what
        is left of the schedule) and ``stop_training`` counts.  Callbacks that need batches are
        refused.  scikit-learn's own callbacks go to ``set_callbacks``.
    checkpoint : str or path-like, default=None
        File that `fit` writes after each epoch, and goes on from where it is there: the same call
        after a process was killed ends with the same bits as an undisturbed one, and a call that
        had ended gives its result at once.  A file of other data, other parameters or other
        versions is refused.  See the page "From a laptop to more" of the documentation.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, shuffling and the validation rows.  An int gives the
        same bits at each call.
    verbose : int, default=0
        1 shows a progress bar in a terminal and in a notebook, and prints a line after each epoch
        where the output is neither.
    **routed : dict
        ``optimizer__NAME`` and ``loss__NAME``: parameters of the optimizer's and the loss'
        Keras class.

    Attributes
    ----------
    history_ : dict of str to list of float
        ``loss``, ``learning_rate`` and the metrics of each epoch, and ``val_loss`` and
        ``val_`` metrics where there are validation rows.
    n_iter_ : int
        Number of epochs run.
    encoder_, decoder_, autoencoder_ : keras.Model
        The network as Keras models, which share their layers.  Built when first asked for.
    callbacks_ : list of keras.callbacks.Callback
        The callbacks as training left them: shallow copies of ``callbacks``.  Where there are
        any; no part of a pickle.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, where X has names that are all strings.

    See Also
    --------
    DenoisingAutoencoder : Is trained to remove noise.
    sklearn.decomposition.PCA : The linear counterpart: much faster, and better on little data.

    Notes
    -----
    Training computes in float32; after ``keras.config.set_dtype_policy("mixed_bfloat16")`` its
    matrix products take bfloat16.  `transform` and `inverse_transform` compute, and return,
    float32 for float32 input and float64 for everything else.  They run in NumPy: a pickled
    estimator works where TensorFlow is not installed.

    Fits that differ in data, seed or learning rate alone share one compiled program.

    A *source* holds rows that need not be in memory: a `numpy.memmap`, an `h5py.Dataset`, a
    `zarr.Array`, a Dask array, or anything with ``shape``, a NumPy ``dtype`` and slices.  It is
    read in blocks of 1 MiB or of whole chunks, each checked for NaN and infinity as it comes.
    Training shuffles the blocks, and their rows within a buffer of ``2 ** 25`` values, 128 MiB; a
    source of no more values is read into memory once, and gives the same bits as an array.

    References
    ----------
    G. E. Hinton and R. R. Salakhutdinov, "Reducing the Dimensionality of Data with Neural
    Networks", Science 313, 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DeepAutoencoder
    >>> X = load_digits().data / 16
    >>> autoencoder = DeepAutoencoder(n_components=8, epochs=5, random_state=0).fit(X)
    >>> autoencoder.transform(X).shape
    (1797, 8)
    >>> autoencoder.reconstruct(X).shape
    (1797, 64)
    """

    def __init__(
        self,
        n_components: int = 32,
        *,
        hidden_layer_sizes: int | Sequence[int] = (128, 64),
        activation: Activation = "relu",
        code_activation: Activation = "linear",
        output_activation: Activation = "auto",
        loss: Any = "auto",
        optimizer: Any = "muon",
        learning_rate: float | str = "auto",
        learning_rate_schedule: str | Callable[[Any], Any] = "one_cycle",
        batch_size: int | str = "auto",
        epochs: int = 20,
        early_stopping: bool = False,
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
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
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
        self._init_routed(routed)

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None, X_val: Any = None) -> Self:
        """Train the network to reconstruct X.

        Ctrl-C ends training with a warning; the estimator is then fitted with the weights that
        it had reached.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            The rows; at least two.  Sparse rows are made dense a chunk at a time.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts.  Not negative; rows of weight zero are left out.
        X_val : {array-like, sparse matrix, source} of shape (n_validation_samples, n_features), \
                default=None
            Rows to measure ``val_loss`` on after each epoch.

        Returns
        -------
        self : DeepAutoencoder
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If X, a weight or a parameter is not as described, or training diverges.  The
            estimator is then as it was before.
        OSError
            If a source cannot be read, or ends early; likewise.
        """
        return self._fit(X, y, sample_weight=sample_weight, X_val=X_val)

    def partial_fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Train one more epoch, on X, from where the last call ended.

        The first call draws new weights.  The optimizer's state is carried from call to call,
        and the learning rate is constant, as the end is not known: the optimizer's own where
        ``learning_rate="auto"``.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            The rows.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts.

        Returns
        -------
        self : DeepAutoencoder
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight=sample_weight, single_epoch=True)

    def _corruption(self, bounded: bool, has_clean: bool) -> Corruption:
        return None, None


class DenoisingAutoencoder(_Autoencoder):
    """A deep autoencoder that is trained to remove noise.

    At every step each row gets fresh normal noise, and the network is trained to give back the
    *clean* row.  `reconstruct` then denoises, and the codes of `transform` depend less on noise
    than those of a `DeepAutoencoder`.

    Parameters
    ----------
    n_components : int, default=32
        Width of the code, the bottleneck.
    hidden_layer_sizes : tuple of int, default=(128, 64)
        Widths of the encoder's hidden layers, outermost first and without the code.  The
        decoder mirrors them.  ``()`` makes a shallow autoencoder, which is linear where all
        activations are.
    activation : str or callable, default="relu"
        Activation of the hidden layers: the name of a Keras activation, or a function of a
        tensor.
    code_activation : str or callable, default="linear"
        Activation of the code.
    output_activation : {"auto"}, str or callable, default="auto"
        Activation of the last layer.  "auto" is "sigmoid" where all of the data to reconstruct
        lies in [0, 1], else "linear".
    loss : {"auto"}, str, Keras loss class, instance or function, default="auto"
        What training minimises.  "auto" is "binary_crossentropy" where all of the data to
        reconstruct lies in [0, 1] and the output is a sigmoid, else "mean_squared_error".  A
        function takes ``(y_true, y_pred)`` and returns a value for each row.
    optimizer : str, Keras optimizer class or instance, default="muon"
        Name such as "muon", "adam", "adadelta" or "sgd", a class, or an instance.  A name or a
        class takes parameters as ``optimizer__beta_1=0.8``.
    learning_rate : float or "auto", default="auto"
        Highest rate of the schedule, above 0.  "auto" is an instance's own rate; for a name or
        a class a rate that suits the schedule, such as 0.02 for "muon" and 0.008 for "adam"
        with "one_cycle", or the class' default with "constant".
    learning_rate_schedule : {"one_cycle", "cosine", "constant"} or \
            keras.optimizers.schedules.LearningRateSchedule, default="one_cycle"
        How the rate changes from step to step.  "one_cycle" rises for 30 % of the steps and
        falls along a cosine to zero; "cosine" only falls.  A Keras schedule gives the rates
        itself.
    batch_size : int or "auto", default="auto"
        Rows of a mini-batch.  "auto" is a power of two from 32 to 256 that makes 32 or more
        steps an epoch where there are the rows for it.
    epochs : int, default=20
        Passes over the data; the most of them where ``early_stopping`` is set.
    early_stopping : bool, default=False
        Whether to stop once the validation loss no longer falls, and to keep the weights that
        had the lowest.
    validation_fraction : float, default=0.1
        Part of the rows, in (0, 1), that early stopping sets aside where `fit` is given no
        ``X_val``.
    n_iter_no_change : int, default=10
        Epochs without a gain of ``tol`` after which early stopping stops.
    tol : float, default=1e-4
        What counts as a gain for early stopping, in units of the loss.
    metrics : str, Keras metric or list of these, default=None
        Recorded in ``history_`` after each epoch, weighted as the loss is.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last fit.
    callbacks : keras.callbacks.Callback or list of these, default=None
        Called at the beginning and the end of training and of each epoch, with a Keras model that
        has the weights of the moment.  What they do to weights, learning rate (which scales what
        is left of the schedule) and ``stop_training`` counts.  Callbacks that need batches are
        refused.  scikit-learn's own callbacks go to ``set_callbacks``.
    checkpoint : str or path-like, default=None
        File that `fit` writes after each epoch, and goes on from where it is there: the same call
        after a process was killed ends with the same bits as an undisturbed one, and a call that
        had ended gives its result at once.  A file of other data, other parameters or other
        versions is refused.  See the page "From a laptop to more" of the documentation.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, shuffling, noise and the validation rows.  An int gives the
        same bits at each call.
    verbose : int, default=0
        1 shows a progress bar in a terminal and in a notebook, and prints a line after each epoch
        where the output is neither.
    noise_scale : float, default=0.5
        Standard deviation of the noise, in the units of X.  At least 0.
    clip : {"auto"}, tuple of (float, float) or None, default="auto"
        Lowest and highest value of the noisy rows.  "auto" is (0, 1) where all of the data to
        reconstruct lies there, else None.
    **routed : dict
        ``optimizer__NAME`` and ``loss__NAME``: parameters of the optimizer's and the loss'
        Keras class.

    Attributes
    ----------
    history_ : dict of str to list of float
        ``loss``, ``learning_rate`` and the metrics of each epoch, and ``val_loss`` and
        ``val_`` metrics where there are validation rows.
    n_iter_ : int
        Number of epochs run.
    encoder_, decoder_, autoencoder_ : keras.Model
        The network as Keras models, which share their layers.  Built when first asked for.
    callbacks_ : list of keras.callbacks.Callback
        The callbacks as training left them: shallow copies of ``callbacks``.  Where there are
        any; no part of a pickle.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, where X has names that are all strings.

    See Also
    --------
    DeepAutoencoder : The same network without noise.
    GaussianNoise : Makes noisy rows, for tests.

    Notes
    -----
    `score` and `score_samples` compare the reconstruction with the rows they are given; to
    measure denoising, compare ``reconstruct(X_noisy)`` with the clean rows.

    Training computes as for `DeepAutoencoder`; `transform`, `inverse_transform` and `reconstruct`
    run in NumPy, in float32 for float32 input and in float64 for everything else.

    A *source* is as for `DeepAutoencoder`: rows that need not be in memory, read in blocks.

    References
    ----------
    P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol, "Extracting and Composing Robust
    Features with Denoising Autoencoders", ICML 2008.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder, GaussianNoise
    >>> X = load_digits().data / 16
    >>> X_noisy = GaussianNoise(0.3, clip=(0, 1), random_state=0).fit_transform(X)
    >>> denoiser = DenoisingAutoencoder(noise_scale=0.3, epochs=30, random_state=0).fit(X)
    >>> error = ((denoiser.reconstruct(X_noisy) - X) ** 2).mean()
    >>> bool(error < ((X_noisy - X) ** 2).mean() / 2)
    True
    """

    def __init__(
        self,
        n_components: int = 32,
        *,
        hidden_layer_sizes: int | Sequence[int] = (128, 64),
        activation: Activation = "relu",
        code_activation: Activation = "linear",
        output_activation: Activation = "auto",
        loss: Any = "auto",
        optimizer: Any = "muon",
        learning_rate: float | str = "auto",
        learning_rate_schedule: str | Callable[[Any], Any] = "one_cycle",
        batch_size: int | str = "auto",
        epochs: int = 20,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        metrics: Any = None,
        warm_start: bool = False,
        callbacks: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        noise_scale: float = 0.5,
        clip: str | tuple[float, float] | None = "auto",
        **routed: Any,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.output_activation = output_activation
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
        self.noise_scale = noise_scale
        self.clip = clip
        self._init_routed(routed)

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
        """Train the network to reconstruct clean rows from noisy ones.

        Ctrl-C ends training with a warning; the estimator is then fitted with the weights that
        it had reached.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            Clean rows, to which noise is added; the noisy rows themselves where ``X_clean`` is
            given.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts.  Not negative; rows of weight zero are left out.
        X_val : {array-like, sparse matrix, source} of shape (n_validation_samples, n_features), \
                default=None
            Rows to measure ``val_loss`` on after each epoch, with the same noise each time.
        X_clean : {array-like, sparse matrix, source} of shape (n_samples, n_features), default=None
            The clean row of each row of X, for real pairs.  No noise is added then.
        X_val_clean : {array-like, sparse matrix, source} of shape \
                (n_validation_samples, n_features), default=None
            The clean rows of ``X_val``; needed with ``X_clean``.

        Returns
        -------
        self : DenoisingAutoencoder
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If X, a weight or a parameter is not as described, or training diverges.  The
            estimator is then as it was before.
        OSError
            If a source cannot be read, or ends early; likewise.
        """
        return self._fit(
            X,
            y,
            X_clean=X_clean,
            sample_weight=sample_weight,
            X_val=X_val,
            X_val_clean=X_val_clean,
        )

    def partial_fit(
        self, X: Any, y: Any = None, *, sample_weight: Any = None, X_clean: Any = None
    ) -> Self:
        """Train one more epoch, on X, from where the last call ended.

        The first call draws new weights.  The optimizer's state is carried from call to call,
        and the learning rate is constant, as the end is not known: the optimizer's own where
        ``learning_rate="auto"``.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            Clean rows, or noisy ones where ``X_clean`` is given.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts.
        X_clean : {array-like, sparse matrix, source} of shape (n_samples, n_features), default=None
            The clean row of each row of X.

        Returns
        -------
        self : DenoisingAutoencoder
            The fitted estimator.
        """
        return self._fit(X, y, X_clean=X_clean, sample_weight=sample_weight, single_epoch=True)

    def _corruption(self, bounded: bool, has_clean: bool) -> Corruption:
        check_number("noise_scale", self.noise_scale, low=0)
        clip: Any = self.clip
        if isinstance(clip, str) and clip == "auto":
            clip = (0, 1) if bounded else None
        check_clip(clip)
        return (None, None) if has_clean else (self.noise_scale, clip)
