"""`AutoencoderImputer`."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skae._checks import unchanged_on_error
from skae._estimators.docs import shared_docs
from skae._imputation.calls import fitted_attributes, sampled, transformed
from skae._imputation.inputs import is_nan
from skae._typing import Array


@shared_docs
class AutoencoderImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fill missing values with those that an autoencoder expects from the rest of the row.

    Training hides known cells at random, and the network learns to restore them from the other
    cells of the row.  It is told which cells are unknown.  One fitted imputer so fills any pattern
    of gaps, in new rows too.  Known cells are returned unchanged.

    Columns are put on a common scale inside, so the imputer needs no scaler, and results are in the
    units of X.  They stay between the smallest and the largest known value of their column.

    A frame may have categories, strings and booleans beside numbers.  A gap then gets the most
    probable category, and `transform` returns a frame with the dtypes of X.

    Parameters
    ----------
    autoencoder : estimator, default=None
        The autoencoder: any estimator of skae.  It is cloned, and the clones have
        ``missing_values="mask"`` and seeds that ``random_state`` of the imputer determines.  Its
        ``corruption`` should hide cells, as ``MaskingNoise(0.7, fill_value=numpy.nan, vary=True)``
        does, and its ``shown_weight`` be below one, so that hidden cells count most in the loss.
        None is a `DenoisingAutoencoder` with this corruption, five hidden layers of 256 units,
        linear paths beside them, and the absolute error, so that it predicts medians.  Its
        parameters ``categorical_features``, ``min_frequency`` and ``handle_unknown`` also decide
        which columns of X are categories: by default those of a frame with such a dtype.
    missing_values : float, int, str, None or pandas.NA, default=numpy.nan
        What marks an unknown cell.  For NaN, None and NA, all three do.  In a table with
        categories, these three are unknown in any case, and a number or a string such as "?" may
        mark more cells.
    add_indicator : bool, default=False
        Whether `transform` appends a column for each column that had gaps in `fit`: 1 if the cell
        was unknown, else 0, as `sklearn.impute.MissingIndicator` does.  In a frame with categories,
        the columns are booleans.
    sample_posterior : bool, default=False
        Whether `transform` fills gaps with draws from plausible values instead of the single best
        guess.  See `sample`.
    n_draws : int, default=1
        With ``sample_posterior``, `transform` returns the mean of this number of draws, and the
        most frequent one of a category or a boolean.  It is also the default number of tables that
        `sample` returns.
    n_folds : "auto" or int, default="auto"
        Number of further networks.  A network that is trained on all rows fills the gaps, and the
        errors of the further ones are the spread of draws.  A number above 1 splits the rows into
        this number of folds, and trains a network without each fold.  1 trains one network, without
        a tenth to a fifth of the rows.  "auto" is 5 for fewer than 500 rows, else 1.
    keep_empty_features : bool, default=False
        Whether `transform` returns columns without a known value in `fit`, with 0 in their gaps.
        In a frame with categories, only columns of numbers get 0, and gaps of other columns stay.
        By default it leaves such columns out.
    random_state : int, RandomState instance or None, default=None
        Determines the folds, the seeds of the networks and the draws.  An int gives the same bits
        in every call.

    Attributes
    ----------
    estimator_ : estimator
        The autoencoder that was fitted to all rows.  It takes scaled rows; frames with categories
        as they are.
    indicator_ : sklearn.impute.MissingIndicator or None
        The indicator of missing values, or None without ``add_indicator``.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, if all names of X are strings.

    See Also
    --------
    sklearn.impute.IterativeImputer : Predicts each column from the others, by a regression.
    sklearn.impute.KNNImputer : Takes means over the nearest rows.
    DenoisingAutoencoder : With ``missing_values="mask"``, codes of rows that have gaps.

    Notes
    -----
    A draw is a prediction plus the error that a network made on a similar known cell, which was
    hidden from it: local residual draws [1]_.  Similar cells belong to the same column and to rows
    with a similar share of unknown cells, and have similar predictions.  So the spread depends on
    the column, on the value, and on how much of the row is known.  The cells of a row are drawn one
    after another, each given those before it.

    Categories and booleans are drawn from their probabilities.  A network that is too sure of its
    rows is too sure of new ones, too: a temperature for each column, from the hidden cells, makes
    the probabilities honest [2]_.

    References
    ----------
    .. [1] T. P. Morris, I. R. White and P. Royston, "Tuning Multiple Imputation by Predictive Mean
       Matching and Local Residual Draws", BMC Medical Research Methodology 14, 2014.
    .. [2] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On Calibration of Modern Neural
       Networks", ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderImputer
    >>> x = np.random.default_rng(0).normal(size=(200, 1))
    >>> X = np.hstack([x, 100 + 10 * x])
    >>> imputer = AutoencoderImputer(n_folds=1, random_state=0).fit(X)
    >>> filled = imputer.transform([[np.nan, 110.0], [0.5, np.nan]])
    >>> bool(abs(filled[0, 0] - 1) < 0.1), bool(abs(filled[1, 1] - 105) < 1)
    (True, True)

    A frame may have categories.  Those of an array are listed by the network:

    >>> from skae import DenoisingAutoencoder, MaskingNoise
    >>> network = DenoisingAutoencoder(
    ...     n_components=8,
    ...     categorical_features=[0, 2],
    ...     corruption=MaskingNoise(0.7, fill_value=np.nan, vary=True),
    ...     random_state=0,
    ... )
    >>> X = np.array([["a", 1.0, "x"], ["b", 5.0, "y"], ["a", None, "x"]] * 50, dtype=object)
    >>> filled = AutoencoderImputer(network, random_state=0).fit_transform(X)
    >>> filled[0].tolist()
    ['a', 1.0, 'x']
    """

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        missing_values: Any = np.nan,
        add_indicator: bool = False,
        sample_posterior: bool = False,
        n_draws: int = 1,
        n_folds: int | str = "auto",
        keep_empty_features: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.autoencoder = autoencoder
        self.missing_values = missing_values
        self.add_indicator = add_indicator
        self.sample_posterior = sample_posterior
        self.n_draws = n_draws
        self.n_folds = n_folds
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the networks on rows that may have gaps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows, at least two of them with a known value.  They need no gaps.  A frame may have
            categories.
        {y}

        Returns
        -------
        self : AutoencoderImputer
            The fitted imputer.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an argument is not as described, or training diverges.  The imputer is
            then unchanged.

        Warns
        -----
        UserWarning
            If `transform` will leave out columns, because they have no known value.
        """
        with unchanged_on_error(self):
            self.__dict__.update(fitted_attributes(self, X, y))
        return self

    def transform(self, X: Any) -> Any:
        """Fill the gaps of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the features seen in `fit`.

        Returns
        -------
        X_imputed : ndarray or frame of shape (n_samples, n_features_out)
            The rows without gaps, with the bits of X in all known cells: float32 if X is float32,
            else float64.  Columns without a known value in `fit` are left out, unless
            ``keep_empty_features`` is True.  With ``add_indicator``, the columns of the indicator
            come last.  If `fit` had categories, the result is a frame or an array like X, with its
            dtypes and its index.  Known categories stay, also those that `fit` did not see.

        Raises
        ------
        ValueError
            If X does not have the features seen in `fit`, or contains infinity or masked values, or
            if a result overflows its dtype; and if X has a category that `fit` did not see, and the
            network has ``handle_unknown="error"``.
        """
        check_is_fitted(self)
        return transformed(self, X)

    def sample(self, X: Any, n_draws: int | None = None) -> Any:
        """Return several tables with draws from plausible values in the gaps.

        Analyse each of the tables, and combine the results: the differences between them show
        how much the gaps leave open (multiple imputation).  In each cell, the 5th and the 95th
        percentile of many draws limit an interval.  It holds the true value in about 90 % of the
        cells, if gaps do not depend on the values that they hide.  Categories are drawn from their
        probabilities, each given the cells drawn before it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the features seen in `fit`.
        n_draws : int, default=None
            Number of tables.  None means the parameter ``n_draws``.

        Returns
        -------
        X_draws : ndarray of shape (n_draws, n_samples, n_features_out), or list
            The tables, without the columns of the indicator.  Known cells have the bits of X.  If
            `fit` had categories, this is a list of frames or arrays like those of `transform`.

        Raises
        ------
        ValueError, TypeError
            If ``n_draws`` is not a positive integer, if X does not have the features seen in `fit`,
            or contains infinity or masked values, or if a result overflows its dtype.
        """
        check_is_fitted(self)
        return sampled(self, X, n_draws)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features,), default=None
            Names of the columns of X.  None means ``feature_names_in_``, or "x0", "x1" and so on.

        Returns
        -------
        feature_names_out : ndarray of str
            The names of X's columns that `transform` returns, then those of the indicator.

        Raises
        ------
        ValueError
            If ``input_features`` are not the names seen in `fit`.
        """
        check_is_fitted(self)
        names = super().get_feature_names_out(input_features)
        kept = names if self.keep_empty_features else names[~self._empty]
        if self.indicator_ is None:
            return kept
        return np.concatenate([kept, self.indicator_.get_feature_names_out(names)])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = is_nan(self.missing_values)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
