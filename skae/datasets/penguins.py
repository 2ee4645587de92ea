"""Palmer penguins, a table with categories and missing values."""

from importlib import resources

from sklearn.utils import Bunch

__all__ = ["load_penguins"]

LABEL = "species"
DESCR = """\
Palmer penguins: measurements of 344 penguins of three species

A row is a penguin of the Palmer Archipelago, Antarctica: its island, the length and the depth of
its bill and the length of its flipper in mm, its body mass in g, its sex, and the year of the
measurement, 2007 to 2009.  19 of the 2,408 cells are missing: the sex of 11 penguins, and of 2
of these the four measurements, too.

Source: A. M. Horst, A. P. Hill and K. B. Gorman, "palmerpenguins", R package, 2020.
Licence: CC0 1.0, in the public domain.
"""


def load_penguins() -> Bunch:
    """Load the Palmer penguins, a small table with categories and missing values.

    Needs pandas.

    Returns
    -------
    penguins : Bunch
        With ``X``, a pandas DataFrame of 344 rows whose columns ``island`` and ``sex`` have
        categories and whose missing values are NaN; ``y``, a Series with the species; ``frame``,
        the DataFrame with the species as its first column; and ``DESCR``.

    See Also
    --------
    load_mnist_sample : Loads images.

    Examples
    --------
    >>> from skae.datasets import load_penguins
    >>> penguins = load_penguins()
    >>> penguins.X.shape, sorted(penguins.y.unique())
    ((344, 7), ['Adelie', 'Chinstrap', 'Gentoo'])
    """
    import pandas as pd  # not a requirement of skae

    with resources.files("skae.datasets").joinpath("penguins.csv").open() as file:
        frame = pd.read_csv(file, dtype=dict.fromkeys((LABEL, "island", "sex"), "category"))
    return Bunch(X=frame.drop(columns=LABEL), y=frame[LABEL], frame=frame, DESCR=DESCR)
