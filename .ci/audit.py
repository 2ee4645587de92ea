"""Judge a report of pip-audit: ``python .ci/audit.py report.json``.

pip-audit ends well where it could look nothing up, so what was looked up is counted here.
"""

import json
import sys
from pathlib import Path


def main(file):
    if not file.exists():
        print("Nothing was audited: pip-audit could not reach its data.  Audit elsewhere.")
        return 0
    packages = json.loads(file.read_text(encoding="utf-8"))["dependencies"]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [package for package in packages if package.get("vulns")]
    print(f"{len(packages) - len(skipped)} of {len(packages)} packages were audited.")
    if skipped:
        print(f"No data on {', '.join(skipped)}.  Audit these elsewhere.")
    for package in found:
        for flaw in package["vulns"]:
            fixed = ", ".join(flaw["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {flaw['id']}, mended in {fixed}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
