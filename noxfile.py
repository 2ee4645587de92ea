"""The tests with the oldest and with the newest versions that pyproject.toml allows.

``nox -s oldest`` and ``nox -s newest`` each make an environment of their own.  Arguments after
``--`` go to pytest.
"""

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv"  # which can resolve to the lowest versions
nox.options.error_on_missing_interpreters = True

REQUIRES_PYTHON = nox.project.load_toml()["project"]["requires-python"]


@nox.session(python=REQUIRES_PYTHON.removeprefix(">="))
def oldest(session):
    """Run pytest on the lower bound of Python and of each direct dependency."""
    session.install("--resolution", "lowest-direct", ".[test]")
    session.run("pytest", "-W", "default", *session.posargs)  # old packages warn of each other


@nox.session
def newest(session):
    """Run pytest on the newest release of everything, on the Python that runs nox."""
    session.install("--upgrade", ".[test]")
    session.run("pytest", *session.posargs)
