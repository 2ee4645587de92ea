"""No public name, parameter or default changes unnoticed."""

import difflib

from tests.public_face import RECORD, describe

ADVICE = """
The public face has changed.  What was there may only go after two minor versions with a
FutureWarning: see "Versions" in CONTRIBUTING.md.  Where the change is meant, record it with

    python -m tests.public_face

and say it in CHANGELOG.md.
"""


def test_the_public_face_is_the_recorded_one():
    recorded, here = RECORD.read_text(encoding="utf-8"), describe()
    difference = difflib.unified_diff(
        recorded.splitlines(), here.splitlines(), "recorded", "here", lineterm="", n=0
    )
    assert recorded == here, ADVICE + "\n".join(difference)


def test_a_changed_default_changes_the_description(monkeypatch):
    from skae import GaussianNoise

    monkeypatch.setattr(GaussianNoise.__init__, "__kwdefaults__", {"clip": 1, "random_state": None})

    assert "GaussianNoise(scale=0.5, *, clip=1, random_state=None)" in describe()
