"""The script that judges the report of pip-audit at the end of .ci/run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit.py"
CLEAN = {"name": "numpy", "version": "2.4", "vulns": []}
UNKNOWN = {"name": "skae", "skip_reason": "not found"}
FLAWED = {
    "name": "keras",
    "version": "3.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1", "3.2"]}, {"id": "X", "fix_versions": []}],
}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([CLEAN], 0, ["1 of 1 packages"]),
        ([CLEAN, UNKNOWN], 0, ["1 of 2 packages", "No data on skae."]),
        ([UNKNOWN], 0, ["0 of 1 packages", "elsewhere"]),
        (
            [CLEAN, UNKNOWN, FLAWED],
            1,
            [
                "2 of 3 packages",
                "keras 3.0: PYSEC-1, mended in 3.1, 3.2",
                "X, mended in no version",
            ],
        ),
        (None, 0, ["Nothing was audited"]),
    ],
)
def test_findings_fail_the_audit(packages, code, said, tmp_path):
    """Known flaws give exit code 1; the output names packages that could not be looked up."""
    report = tmp_path / "report.json"
    if packages is not None:
        report.write_text(json.dumps({"dependencies": packages}))
    command = [sys.executable, str(AUDIT), str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == code
    for words in said:
        assert words in done.stdout
