"""The penguins that come with skae."""

from importlib import resources

import pandas as pd

from skae.datasets import load_penguins

DATA = resources.files("skae.datasets")


def test_penguins_have_categories_and_gaps():
    """The numbers of the description are those of the frame."""
    penguins = load_penguins()
    X = penguins.X
    assert X.shape == (344, 7)
    assert list(X.select_dtypes("category")) == ["island", "sex"]
    assert X.isna().sum().sum() == 19
    assert X["sex"].isna().sum() == 11
    assert X["body_mass_g"].isna().sum() == 2
    assert sorted(X["year"].unique()) == [2007, 2008, 2009]
    assert "19 of the 2,408 cells" in penguins.DESCR


def test_frame_has_the_species():
    penguins = load_penguins()
    assert penguins.y.value_counts().to_dict() == {"Adelie": 152, "Gentoo": 124, "Chinstrap": 68}
    pd.testing.assert_frame_equal(penguins.frame.drop(columns="species"), penguins.X)


def test_penguins_are_licensed():
    licence = DATA.joinpath("LICENSE").read_text()
    for words in ("penguins.csv", "Horst", "Gorman", "CC0 1.0"):
        assert words in licence
