"""The parts of a fitted detector, which are kept as plain attributes."""

from typing import Any

from skae._outliers.calibration import Calibration
from skae._outliers.comparison import AnyScaling, Member
from skae._outliers.scaling import Scaling
from skae._outliers.tables import TableScaling
from skae._tables.inputs import table_of


def pack_members(members: list[Member], n_neighbors: int) -> dict[str, Any]:
    """Return the attributes of a detector with these members."""
    scaling = members[0].scaling
    return {
        "estimators_": [member.autoencoder for member in members],
        "_units": members[0].units,
        "_references": [member.references for member in members],
        "_n_neighbors": n_neighbors,
        "_center": scaling.center,
        "_scale": scaling.scale,
    }


def members_of(detector: Any) -> list[Member]:
    """Return the members of a fitted detector."""
    scaling = scaling_of(detector)
    parts = zip(detector.estimators_, detector._references, strict=True)
    return [Member(network, scaling, detector._units, points) for network, points in parts]


def scaling_of(detector: Any) -> AnyScaling:
    """Return the map from the rows of a fitted detector to coordinates."""
    table = table_of(detector)
    if table is not None:
        return TableScaling(table, detector._scale)
    return Scaling(detector._center, detector._scale)


def pack_calibration(calibration: Calibration) -> dict[str, Any]:
    """Return the attributes of a detector with this calibration."""
    return {
        "calibration_scores_": calibration.scores,
        "_calibration_shares": calibration.shares,
        "_n_effective": calibration.n_effective,
    }


def calibration_of(detector: Any) -> Calibration:
    """Return the calibration of a fitted detector."""
    return Calibration(
        detector.calibration_scores_, detector._calibration_shares, detector._n_effective
    )
