"""Descriptions that several estimators share, and the decorator that puts them into docstrings."""

import inspect
import re
import textwrap
from typing import Any, TypeVar

T = TypeVar("T", bound=type)
PLACEHOLDER = re.compile(r"^( *)\{(\w+)\}$", re.MULTILINE)

NETWORK = """\
n_components : int, default=32
    Width of the code (the bottleneck).
hidden_layer_sizes : int or sequence of int, default=(128, 64)
    Widths of the encoder's hidden layers, from the input to the code, without the code.  ``()``
    makes an encoder without hidden layers.
decoder_layer_sizes : int or sequence of int, default=None
    Widths of the decoder's hidden layers, from the code to the output, without the output.  None
    means those of the encoder in reverse order.
activation : str or callable, default="leaky_relu"
    Activation of the hidden layers: the name of a Keras activation, or a function of a tensor.  A
    unit of "relu" that is zero for every row cannot learn again, and in long fits many units end
    so; "leaky_relu" has a slope everywhere.
code_activation : str or callable, default="linear"
    Activation of the code.
output_activation : {"auto"}, str or callable, default="auto"
    Activation of the last layer.  "auto" is "sigmoid" if the values to reconstruct fill [0, 1]: all
    are in it, and they take up at least half of it.  Else "auto" is "linear".  It is "linear", too,
    if fewer than a tenth of the values are not zero and their mean is below 0.5, as for TF-IDF.
tied_weights : bool, default=False
    Whether the kernels of the decoder are those of the encoder, transposed (Vincent et al., 2010).
    Biases are not shared.  The network then has half the parameters to learn.  The decoder must
    mirror the encoder.  ``alpha`` counts each shared kernel once.  Kernels are shared in training;
    a fitted network has separate ones.  With a linear output and a squared or absolute error, the
    last kernel is the transpose of the first times the mean variance of the columns.  If `fit`
    corrects an output that is worse than the mean of its column, this output has another factor.
    `partial_fit` and a warm start continue from the kernels of the encoder.  Callbacks can change
    these kernels, but not those of the decoder.
init : {"pca", "random"}
    Where training starts: by default "pca" for `DeepAutoencoder`, and "random" for
    `DenoisingAutoencoder`, whose features are better so.  With "pca", a linear path is beside the
    hidden layers of the encoder, and one beside those of the decoder.  These paths start at the
    solution of PCA, with codes of variance one, and the hidden layers add nothing at first.  So the
    untrained network *is* PCA.  PCA is computed from up to 10 random rows for each column, and from
    at least 2,000 rows.  With a sigmoid output, the decoder starts at a logistic regression on
    PCA's codes.  With ``tied_weights``, codes have the variances of PCA's, and the regression has
    one coefficient for each component, so that the error of many components starts above PCA's.
    Other outputs and a nonlinear ``code_activation`` are applied to the linear path, which is then
    not PCA any more.  "random" makes a network without linear paths, and draws its weights from
    Glorot's distribution.
features : {"code", "hidden", "all"}, default="code"
    What `transform` returns: the code, the outputs of all hidden layers of the encoder, or both,
    with the code first.  Hidden layers are often better features for a classifier.  The parameter
    may change after `fit`.  `inverse_transform` takes what `transform` returns; with
    ``init="pca"`` it refuses "hidden", because hidden layers alone do not determine the code.
missing_values : {"error", "mask"}, default="error"
    What NaN means.  "error" refuses it.  With "mask", NaN is an unknown value, and so are None and
    NA in frames.  The network is told which values are unknown, and starts with the mean of the
    column instead of each.  Unknown values are not compared: the loss and the score of a row are
    means over its known values, and zero for a row without any.  `reconstruct` returns all values.
    A column that `fit` knows no value of is reconstructed as 0, or as 0.5 if the output is a
    sigmoid.  Rows without NaN are treated as with "error".  Infinite values stay an error.  "mask"
    excludes ``tied_weights``, ``contraction`` and ``metrics``, and needs a loss that is a mean over
    the features.
categorical_features : "from_dtype", list of str or int, or None, default="from_dtype"
    The columns of X with categories.  "from_dtype" are the columns of a frame that hold categories
    or strings; None are no columns.  A list has names or places of columns.  The output for each
    such column is a softmax over its categories, and its loss is the cross-entropy; that for a
    boolean column of a frame is a sigmoid.  Each column counts once in the loss, and numbers are
    put on a common scale: their median is subtracted, and they are divided by the interquartile
    range over 1.349.  `reconstruct` and `inverse_transform` then return a frame like X with the
    most probable categories, and `score_samples` minus the mean over the columns of squared errors
    on the common scale and of cross-entropies.  ``loss`` is that of the numbers.
min_frequency : float or int, default=None
    A category that is rarer shares its output with all others that are rarer, and is reconstructed
    as the most frequent of them: an int is a number of rows, and a float is a share of them.
handle_unknown : {"ignore", "error"}, default="ignore"
    What a category means that `fit` did not see: an unknown value, or an error.
feature_weights : array-like of shape (n_features,), dict or None, default=None
    How much each column of X counts in the loss and in `score`, at least 0; None means once each.
    A dict has weights by the names of the columns of a frame, and columns that it does not name
    have the weight 1.  Losses and scores become weighted means over the columns.  Only ratios of
    weights count: they are divided by their mean.  A column of categories has one weight.  A column
    of weight 0 is an input only: nothing is learnt about its reconstruction.  With ``init="pca"``,
    training starts at the linear network of lowest weighted squared error, but with
    ``tied_weights`` at that of equal weights.  Weights need a loss that is a mean over the
    features, and do not change ``metrics``.  Scores with different weights cannot be compared: give
    a search over weights a ``scoring`` of its own.
dropout : float, default=0
    Share of the values of each hidden layer that a training step sets to zero, in [0, 1).
    `transform` and the other methods use all values.
alpha : float, default=0
    Weight of the L2 penalty, at least 0: ``alpha`` times the sum of the squared kernels is added to
    the mean loss of each mini-batch, as by ``keras.regularizers.L2(alpha)``.
    `sklearn.neural_network.MLPRegressor` divides its penalty by twice the number of rows of the
    mini-batch.
code_penalty : float, default=0
    Weight of the L1 penalty on codes, at least 0: ``code_penalty`` times the sum of the absolute
    values of a row's code is added to the loss of that row.  It moves codes towards zero.  With
    ``code_activation="relu"``, many are exactly zero.
contraction : float, default=0
    Weight of the contractive penalty, at least 0: ``contraction`` times the sum of the squared
    derivatives of each value of a row's code with respect to each feature is added to the loss of
    that row.  Small changes of a row then change its code less.  A training step takes three to
    five times as long."""
TRAINING = """\
loss : {"auto"}, str, Keras loss class, instance or function, default="auto"
    Loss that training minimises.  "auto" is "binary_crossentropy" if the values to reconstruct
    fill [0, 1] and the output is a sigmoid, else "mean_squared_error".  A function takes
    ``(y_true, y_pred)`` and returns a value for each row.
optimizer : str, Keras optimizer class or instance, default="muon"
    A name such as "muon", "adam", "adadelta" or "sgd", a class, or an instance.  With a name or a
    class, ``optimizer__beta_1=0.8`` sets a parameter of the optimizer.
learning_rate : float or "auto", default="auto"
    Highest rate of the schedule, above 0.  "auto" is the rate of an optimizer instance.  For a name
    or a class, "auto" is a rate that suits the schedule: with "one_cycle" it is 0.02 for "muon" and
    0.008 for "adam", and with "constant" it is the default of the class.
learning_rate_schedule : {"one_cycle", "cosine", "constant"} or \
        keras.optimizers.schedules.LearningRateSchedule, default="one_cycle"
    How the rate changes from step to step.  "one_cycle" rises for 30 % of the steps, and then falls
    along a cosine to zero; "cosine" only falls.  A Keras schedule determines all rates itself.
batch_size : int or "auto", default="auto"
    Number of rows in a mini-batch.  "auto" is a power of two from 32 to 256.  It gives at least 32
    steps in each epoch if there are enough rows.
epochs : int, default=20
    Number of passes over the data.  With ``early_stopping``, the largest number.
early_stopping : bool or "auto", default="auto"
    Whether to set rows aside, and to stop when the loss on them, the validation loss, no longer
    falls.  "auto" is True for 20 to 9,999 rows: few rows are easily overfitted.  The rate then
    falls to zero within as many epochs as there were before, but at least five, and never more than
    ``epochs`` in all.  The estimator keeps the weights with the lowest validation loss: those after
    an epoch, their average over recent epochs, or those before the first epoch.  These last are
    also kept if they have a lower loss on the training rows.
validation_fraction : float, default=0.1
    Share of the rows, in (0, 1), that early stopping validates on instead of training on them.
    Only used if `fit` is called without ``X_val``.
n_iter_no_change : int, default=10
    With early stopping, the rate begins to fall to zero after this number of epochs in which the
    validation loss did not fall by more than ``tol``.  The first epoch, and epochs with a rising
    rate, do not count: with "one_cycle", that is the first 30 % of ``epochs``.
tol : float, default=1e-4
    Smallest improvement that early stopping counts, in units of the loss.  At least 0.  For squared
    and absolute errors with a linear output, it is relative to rows with a variance of one.
metrics : str, Keras metric or list of these, default=None
    Metrics that ``history_`` records after each epoch.  They are weighted by the weights of the
    rows.
warm_start : bool, default=False
    Whether `fit` continues from the weights of the last fit.
callbacks : keras.callbacks.Callback or list of these, default=None
    Called at the beginning and the end of training and of each epoch, with a Keras model that has
    the current weights.  Changes to the weights and to ``stop_training`` take effect.  A change of
    the learning rate scales the rest of the schedule.  Callbacks that need batches are refused.
    Pass scikit-learn's own callbacks to ``set_callbacks``.
checkpoint : str or path-like, default=None
    File to which `fit` saves its state after each epoch.  If the file exists, `fit` continues from
    it, and the result has the same bits as that of a fit without an interruption.  If that fit had
    finished, `fit` returns its result at once.  A file of a fit with other data, parameters or
    versions is refused.  See the page "From a laptop to more" of the documentation.
random_state : int, RandomState instance or None, default=None
    Determines the initial weights, the order of the rows, the corruption, dropout and the choice of
    validation rows.  An int gives the same bits in every call.
verbose : int, default=0
    1 shows a progress bar in a terminal or a notebook.  Elsewhere, it prints a line after each
    epoch."""
ROUTED = """\
**routed : dict
    Parameters of the Keras classes of the optimizer and the loss, as ``optimizer__NAME`` and
    ``loss__NAME``.  `fit` checks them."""
ATTRIBUTES = """\
history_ : dict of str to list of float
    ``loss``, ``learning_rate`` and the metrics of each epoch.  With validation rows, also
    ``val_loss`` and the metrics as ``val_NAME``.  A value that was not measured is NaN.
n_iter_ : int
    Number of epochs of training.
encoder_, decoder_, autoencoder_ : keras.Model
    The network as three Keras models that share their layers.  They are built on first access.
callbacks_ : list of keras.callbacks.Callback
    Shallow copies of ``callbacks``, as they were at the end of training.  Only present if there are
    callbacks, and not part of a pickle.
n_features_in_ : int
    Number of features seen during `fit`.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of features seen during `fit`, if all names of X are strings."""
NOTES = """\
Training computes in float32.  After ``keras.config.set_dtype_policy("mixed_bfloat16")``, it
computes matrix products in bfloat16.  `transform` and `inverse_transform` compute and return
float32 for float32 input, and float64 for everything else.  They use NumPy, so that a pickled
estimator works without TensorFlow.

With a linear output and a squared or absolute error, the network sees rows with a mean of zero and
a variance of one; shift and scale become part of its weights.  So units do not change what is
learnt.  ``history_`` is in the units of X, and penalties are relative to a variance of one.

Fits that differ only in data, seed, learning rate or penalties share one compiled program.

A *source* is an object whose rows need not be in memory: a `numpy.memmap`, an `h5py.Dataset`, a
`zarr.Array`, a Dask array, or any other object with ``shape``, a NumPy ``dtype`` and slices.  It is
read in blocks of 1 MiB or of whole chunks, and each block is checked for NaN and infinity.
Training shuffles the blocks, and shuffles rows within a buffer of ``2 ** 25`` values (128 MiB).  A
source with no more values than the buffer is read into memory once, and gives the same bits as an
array."""
SAMPLE_WEIGHT = """\
sample_weight : array-like of shape (n_samples,), default=None
    Weight of each row in the loss.  Not negative.  Rows with weight zero are left out."""
X_ROWS = """\
X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
    Rows with the features seen in `fit`.  A source is read in blocks."""
X_FIT = """\
X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
    The rows."""
CODES = """\
X_new : ndarray of shape (n_samples, n_features_out)
    The codes, or what ``features`` says: float32 if X is float32 or has categories, else
    float64."""
Y_IGNORED = """\
y : array-like of shape (n_samples,), default=None
    Ignored, so that searches and pipelines may pass labels.  A ``y`` of several columns is refused:
    clean rows belong to ``X_clean``."""
Y_OF_SCORE = """\
y : object, default=None
    Ignored, so that searches may pass labels."""
OUT_NOTE = """\
    Array to write the result to, such as a `numpy.memmap` or an HDF5 dataset, of a floating-point
    dtype.  The method then returns this object.  Its first row is NaN until all rows are
    written.  It may be X itself, but must not share memory with X in another order."""
FIT_RAISES = """\
ValueError, TypeError
    If a parameter or an argument is not as described, or training diverges.  The estimator is then
    unchanged.
OSError
    If a source cannot be read, or has fewer rows than its shape says.  The estimator is then
    unchanged."""
USE_RAISES = """\
ValueError
    If X does not have the features seen in `fit`, if it contains infinity, masked values, or NaN
    without ``missing_values="mask"``, or if a result overflows its dtype."""
PARTIAL_FIT = """\
The first call draws new weights.  Each call continues with the optimizer's state of the call
before.  The learning rate is constant, because the number of calls is not known.  If it is "auto",
it is the default of the optimizer; that of "muon" falls with the inverse square root of the number
of steps.  ``epochs`` and ``early_stopping`` have no effect."""
FROM_KERAS = """\
The weights are copied.  BatchNormalization, Rescaling, Activation and other activation
layers are folded into the dense layers beside them.  Rows are flat, so Flatten and Reshape
have no effect.

Dropout of one rate after all hidden layers becomes ``dropout``, an L2 penalty on all
kernels becomes ``alpha``, and an L1 penalty on the code becomes ``code_penalty``, unless
``params`` sets these.  A warning names all other effects that layers have in training.

`fit` trains a new network of the same widths, and `partial_fit` continues from this one.
All hidden layers of an estimator have one ``activation``.  If those of the models have
several, the estimator transforms and reconstructs as they do, but `partial_fit` raises an
error, and `fit` uses the activation of the first hidden layer for all.

Parameters
----------
encoder : keras.Model
    From rows to codes, a chain of layers.
decoder : keras.Model
    From codes to rows, a chain of layers.
**params : dict
    Parameters of the estimator, such as ``learning_rate``, except those that the models
    determine: ``n_components``, ``hidden_layer_sizes``, ``decoder_layer_sizes``,
    ``init`` and the activations.

Returns
-------
estimator : estimator
    A fitted estimator with an empty ``history_``.

Raises
------
TypeError
    If these are not Keras models, or the models determine one of ``params``.
ValueError
    If a model has other layers or branches, or the two do not fit together.

Warns
-----
UserWarning
    If a layer has a regularizer, a constraint, noise or frozen weights, and no parameter
    has this effect."""

BLOCKS = {
    "network": NETWORK,
    "training": TRAINING,
    "routed": ROUTED,
    "attributes": ATTRIBUTES,
    "notes": NOTES,
    "sample_weight": SAMPLE_WEIGHT,
    "X": X_ROWS,
    "X_fit": X_FIT,
    "codes": CODES,
    "y": Y_IGNORED,
    "y_of_score": Y_OF_SCORE,
    "out": OUT_NOTE,
    "fit_raises": FIT_RAISES,
    "use_raises": USE_RAISES,
    "partial_fit": PARTIAL_FIT,
    "from_keras": FROM_KERAS,
}


def shared_docs(kind: T) -> T:
    """Replace each line ``{name}`` in the docstrings of a class and its methods by a shared block.

    Raises
    ------
    KeyError
        If ``BLOCKS`` has no such name.  A misspelt name therefore fails at import.
    """
    members = (getattr(member, "__func__", member) for member in vars(kind).values())
    for thing in (kind, *filter(inspect.isfunction, members)):
        if thing.__doc__:  # None under python -OO
            thing.__doc__ = PLACEHOLDER.sub(_block, thing.__doc__)
    return kind


def _block(match: "re.Match[str]") -> Any:
    return textwrap.indent(BLOCKS[match[2]], match[1])
