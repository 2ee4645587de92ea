"""`AutoencoderOutlierDetector`."""

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import Tags
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from skae._checks import unchanged_on_error
from skae._estimators.docs import shared_docs
from skae._interop.onnx import Hook
from skae._outliers import onnx
from skae._outliers.calls import calibrated_attributes, fitted_attributes
from skae._outliers.comparison import Member, average
from skae._outliers.state import calibration_of, members_of, scaling_of
from skae._outliers.tables import read_rows
from skae._tables.inputs import refuse_out, restore
from skae._typing import Array


@shared_docs
class AutoencoderOutlierDetector(OutlierMixin, BaseEstimator):
    """Find rows that are unlike the rows of the fit, with a threshold that keeps its promise.

    The score of a row compares two things with up to ``n_references`` typical rows: the row itself,
    and the errors that an autoencoder makes when it reconstructs the row.  Errors count in units of
    each column's usual error, so that a column that is never reconstructed well does not hide the
    others.  A squared error counts half as much as a squared value.  Values far from all rows of
    the fit give low scores even if the network reconstructs them.

    The threshold comes from rows that the network was not trained on.  So at most about
    ``false_alarm_rate`` of new rows like those of the fit are labelled as outliers.

    Parameters
    ----------
    autoencoder : estimator, default=None
        The autoencoder: any estimator of skae.  It is cloned, and ``random_state`` of the detector
        determines the seeds of the clones.  None is a `DenoisingAutoencoder` with a code as wide as
        a row, one hidden layer of 32 units on each side, and ``noise_scale=0.5``.  Its parameters
        ``categorical_features``, ``min_frequency`` and ``handle_unknown`` hold for the detector:
        with their defaults, a frame may have categories, strings and booleans.  With
        ``missing_values="mask"``, such a table may have unknown values; tables of numbers may not.
    contamination : "auto" or float, default="auto"
        How the threshold is set.  "auto" uses ``false_alarm_rate``.  A number in (0, 0.5] is the
        share of outliers among the rows of the fit: `predict` labels this share of them as
        outliers, as in `sklearn.ensemble.IsolationForest`, and scores use more neighbors.
    false_alarm_rate : float, default=0.05
        With ``contamination="auto"``, the share of new rows like those of the fit that may be
        labelled as outliers, in (0, 1).  If there are fewer than ``1 / false_alarm_rate - 1`` rows
        to calibrate with, the smallest possible share is used: 1 in the number of these rows plus
        one.
    trim : float, default=0.0
        Share of the rows that the networks and the reference points leave out, in [0, 0.5]:
        those least like the others.  A fit then takes about twice as long.
    n_folds : "auto" or int, default="auto"
        Number of networks.  1 trains one network, and keeps ``calibration_fraction`` of the rows
        apart.  A larger number splits the rows into this number of folds and trains a network
        without each fold, so that every row is used for both.  Scores are means over the networks.
        "auto" is 5 for fewer than 1,000 distinct rows, else 1.
    calibration_fraction : float, default=0.2
        With one network, the share of the rows that it is not trained on, in (0, 1).  At most
        20,000 rows are kept apart.
    n_neighbors : int, default=3
        Number of nearest reference points that a row is compared with.  The larger of
        ``contamination`` and ``trim`` adds half of its share of all reference points, so that
        outliers in the fit do not make rows like them normal.
    n_references : int, default=128
        Largest number of reference points, which are centres of groups of rows of the fit.  The
        time of a score is proportional to it.
    standardize : bool, default=True
        Whether the detector gives each column a variance of one before anything else.  With False,
        columns count by their units, except for the categories and booleans of a table.
    random_state : int, RandomState instance or None, default=None
        Determines the folds, the reference points and the seeds of the networks.  An int gives the
        same bits in every call.

    Attributes
    ----------
    offset_ : float
        The threshold: `predict` labels a row as an outlier if its score is below.
    estimators_ : list of estimator
        The fitted autoencoders, one for each fold.  They take scaled rows, or a table as it is.
    calibration_scores_ : ndarray of shape (n_calibration_samples,)
        Scores of the rows that `calibrate` or `fit` used for the threshold, in ascending order.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, if all names of X are strings.

    Notes
    -----
    With one network, p-values are exactly valid if the rows are exchangeable: the rows that
    calibrate influence nothing else.  With several, they are valid up to a small error.

    Equal rows in memory are merged, and their weights are added.  So a weight of two has exactly
    the effect of two equal rows.

    In tables with categories, each column counts once: the one-hot columns of a category share a
    scale that makes the sum of their variances one (arXiv 2411.00429).  A category that `fit` did
    not see is as far from all others as these are from each other.  Its share of a score is about
    that of the rarest known category, or more.  Unknown values add nothing to a score.
    The networks take numbers on a scale that comes from all rows of the fit, whatever their weight.
    This adds a very small error to p-values and to the effect of weights.

    References
    ----------
    S. Bates, E. Candes, L. Lei, Y. Romano and M. Sesia, "Testing for Outliers with Conformal
    p-values", Annals of Statistics 51, 2023.

    R. Bouman and T. Heskes, "Autoencoders for Anomaly Detection are Unreliable", arXiv 2501.13864,
    2025.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoencoderOutlierDetector
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(500, 1))
    >>> X = np.hstack([x, -x]) + rng.normal(scale=0.1, size=(500, 2))
    >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X)
    >>> detector.predict([[1, -1], [1, 1]])
    array([ 1, -1])
    >>> strict = detector.set_params(false_alarm_rate=0.01).calibrate()
    >>> bool(np.mean(strict.predict(X) == -1) < 0.03)
    True
    """

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        contamination: float | str = "auto",
        false_alarm_rate: float = 0.05,
        trim: float = 0.0,
        n_folds: int | str = "auto",
        calibration_fraction: float = 0.2,
        n_neighbors: int = 3,
        n_references: int = 128,
        standardize: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.autoencoder = autoencoder
        self.contamination = contamination
        self.false_alarm_rate = false_alarm_rate
        self.trim = trim
        self.n_folds = n_folds
        self.calibration_fraction = calibration_fraction
        self.n_neighbors = n_neighbors
        self.n_references = n_references
        self.standardize = standardize
        self.random_state = random_state

    # Pipelines must not route ``out`` as metadata.
    __metadata_request__decision_function: ClassVar = {"out": UNUSED}

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Train the networks, and set the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features)
            The rows, at least four of them distinct.
        {y}
        {sample_weight}

        Returns
        -------
        self : AutoencoderOutlierDetector
            The fitted detector.

        Raises
        ------
        {fit_raises}
        """
        with unchanged_on_error(self):
            self.__dict__.update(fitted_attributes(self, X, y, sample_weight))
        return self

    def predict(self, X: Any) -> Array:
        """Label rows.

        Parameters
        ----------
        {X}

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers, 1 for all others.

        Raises
        ------
        {use_raises}
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def decision_function(self, X: Any, *, out: Any = None) -> Any:
        """Compute by how much rows are on the normal side of the threshold.

        Parameters
        ----------
        {X}
        out : array of shape (n_samples,), default=None
        {out}

        Returns
        -------
        decisions : ndarray of shape (n_samples,)
            `score_samples` less ``offset_``: negative for outliers.

        Raises
        ------
        {use_raises}
        """
        return self._average(X, Member.scores, (), out, lambda scores: scores - self.offset_)

    def score_samples(self, X: Any, *, out: Any = None) -> Any:
        """Score how normal rows are.

        Parameters
        ----------
        {X}
        out : array of shape (n_samples,), default=None
        {out}

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            At most 0, and higher is more normal.

        Raises
        ------
        {use_raises}
        """
        return self._average(X, Member.scores, (), out)

    def p_values(self, X: Any, *, out: Any = None) -> Any:
        """Compute how rare a score as low as a row's is among normal rows.

        Parameters
        ----------
        {X}
        out : array of shape (n_samples,), default=None
        {out}

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            In (0, 1].  Of new rows like those of the fit, at most a share p has a p-value of at
            most p, for every p.

        Raises
        ------
        {use_raises}
        """
        check_is_fitted(self)
        return self._average(X, Member.scores, (), out, calibration_of(self).p_values)

    def feature_scores(self, X: Any, *, out: Any = None) -> Any:
        """Split minus the score of rows into what each column adds to it.

        Parameters
        ----------
        {X}
        out : array of shape (n_samples, n_features), default=None
        {out}

        Returns
        -------
        shares : ndarray of shape (n_samples, n_features)
            At least 0.  Each row sums to minus its value of `score_samples`.  The columns with the
            largest values are those to blame.

        Raises
        ------
        {use_raises}
        """
        check_is_fitted(self)
        return self._average(X, Member.column_scores, (self.n_features_in_,), out)

    def expected_values(self, X: Any, *, out: Any = None) -> Any:
        """Return what would have been normal instead of rows.

        Parameters
        ----------
        {X}
        out : array of shape (n_samples, n_features), default=None
        {out}

        Returns
        -------
        X_expected : ndarray, or frame if `fit` had categories, of shape (n_samples, n_features)
            Reconstructions of the mean of the nearest reference points, in the units of X.

        Raises
        ------
        {use_raises}
        """
        check_is_fitted(self)
        refuse_out(self, out)
        scaling = scaling_of(self)
        rows = self._average(X, Member.expected, (scaling.n_results,), out, scaling.undo)
        return restore(self, rows, X)

    def calibrate(self, X: Any = None, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Set the threshold again, without training.

        The present values of ``contamination`` and ``false_alarm_rate`` are used.

        Parameters
        ----------
        X : {array-like, sparse matrix, source} of shape (n_samples, n_features), default=None
            Rows that were not used in `fit`.  None uses the scores in ``calibration_scores_``
            again.
        y : array-like of shape (n_samples,), default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row of X.

        Returns
        -------
        self : AutoencoderOutlierDetector
            The detector with a new ``offset_``.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an argument is not as described.  The detector is then unchanged.
        """
        check_is_fitted(self)
        self.__dict__.update(calibrated_attributes(self, X, sample_weight))
        return self

    def _average(self, X: Any, function: Any, *options: Any) -> Any:
        """Check rows, and write the mean over the members of a function of them."""
        check_is_fitted(self)
        X = read_rows(self, self.estimators_[0], X, finite=False)
        return average(members_of(self), X, self._n_neighbors, function, *options)

    # skl2onnx looks these up on an estimator that it does not know
    onnx_parser = Hook(onnx.register)
    onnx_shape_calculator = Hook(onnx.shape_calculator)
    onnx_converter = Hook(onnx.converter)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
