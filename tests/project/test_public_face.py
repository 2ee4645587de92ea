"""A change of a public name, parameter or default fails a test until it is recorded."""

import difflib

from tests.project.public_face import RECORD, describe

ADVICE = """
The public API has changed.  A public name may be removed only after two minor versions that raise
a FutureWarning: see "Versions" in CONTRIBUTING.md.  If the change is intended, record it with

    python -m tests.project.public_face

and describe it in CHANGELOG.md.
"""


def test_public_face_is_recorded():
    recorded, here = RECORD.read_text(encoding="utf-8"), describe()
    difference = difflib.unified_diff(
        recorded.splitlines(), here.splitlines(), "recorded", "here", lineterm="", n=0
    )
    assert recorded == here, ADVICE + "\n".join(difference)


def test_changed_default_is_noticed(monkeypatch):
    from skae import GaussianNoise

    monkeypatch.setattr(GaussianNoise.__init__, "__kwdefaults__", {"clip": 1, "random_state": None})

    assert "GaussianNoise(scale=0.5, *, clip=1, random_state=None)" in describe()
