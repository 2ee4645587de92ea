"""Settings that must stand before SciPy is imported."""

import os

# scikit-learn's check_estimator skips its array API check without it
os.environ.setdefault("SCIPY_ARRAY_API", "1")
