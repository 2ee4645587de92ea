"""scikit-learn's own checks of estimators, unmodified."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import (
    DeepAutoencoder,
    DenoisingAutoencoder,
    GaussianNoise,
    MaskingNoise,
    SaltAndPepperNoise,
    SwapNoise,
)

ESTIMATORS = [
    DeepAutoencoder(),
    DeepAutoencoder(tied_weights=True),
    DenoisingAutoencoder(),
    DenoisingAutoencoder(corruption=MaskingNoise()),
    DeepAutoencoder(missing_values="mask"),
    DenoisingAutoencoder(
        missing_values="mask", corruption=MaskingNoise(0.5, fill_value=float("nan"), vary=True)
    ),
    GaussianNoise(),
    MaskingNoise(),
    SwapNoise(),
    SaltAndPepperNoise(),
]
FLOAT32 = "compares at a relative 1e-7, more precisely than training in float32"
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": FLOAT32,
    "check_sample_weight_equivalence_on_sparse_data": FLOAT32,
}


def expected_failed_checks(estimator):
    return EXPECTED if isinstance(estimator, DeepAutoencoder | DenoisingAutoencoder) else {}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_scikit_learn_check_passes(estimator, check):
    check(estimator)
