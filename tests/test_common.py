"""scikit-learn's own checks, unmodified."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import DeepAutoencoder, DenoisingAutoencoder, GaussianNoise

FLOAT32 = "compares at a relative 1e-7, which float32 training cannot keep"
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": FLOAT32,
    "check_sample_weight_equivalence_on_sparse_data": FLOAT32,
}


def expected_failed_checks(estimator):
    return {} if isinstance(estimator, GaussianNoise) else EXPECTED


@parametrize_with_checks(
    [DeepAutoencoder(), DenoisingAutoencoder(), GaussianNoise()],
    expected_failed_checks=expected_failed_checks,
)
def test_scikit_learn_check_passes(estimator, check):
    check(estimator)
