"""`ReconstructionDisplay` of tables with categories: what the texts and the shades say."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skae import (
    DeepAutoencoder,
    LatentSpaceDisplay,
    ReconstructionDisplay,
    ReconstructionErrorDisplay,
)
from skae.datasets import load_penguins

ORIGINALS = pd.DataFrame(
    {
        "city": ["Oslo", "Lima", None],
        "price": [10.0, 20.0, np.nan],
        "rooms": [1, 2, 3],
        "sold": [True, False, True],
    },
    index=[7, 8, 9],
)
RESULTS = pd.DataFrame(
    {
        "city": ["Oslo", "Oslo", "Lima"],
        "price": [11.25, 20.0, 15.0],
        "rooms": [1, 2, 9],
        "sold": [True, True, True],
    }
)


@pytest.fixture(scope="module")
def penguins():
    return load_penguins().X.drop(columns="year")


@pytest.fixture(scope="module")
def fitted(penguins):
    params = {"missing_values": "mask", "epochs": 2, "init": "pca", "early_stopping": False}
    return DeepAutoencoder(2, random_state=0, **params).fit(penguins)


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


def style(display, text):
    (found,) = [each for each in display.ax_.texts if each.get_text() == text]
    return found


def test_values_have_few_digits():
    display = ReconstructionDisplay.from_predictions(ORIGINALS, RESULTS)
    for text in ("row 7", "row 9", "Oslo", "missing", "20.0", "11.2", "9", "False", "price"):
        assert text in texts(display)
    assert "nan" not in " ".join(texts(display)).lower()
    assert display.axes_.shape == (1, 1)
    assert display.axes_[0, 0] is display.ax_


def test_shade_is_error_in_deviations():
    """It ends at one standard deviation; other categories have the darkest, gaps have none."""
    display = ReconstructionDisplay.from_predictions(ORIGINALS, RESULTS)
    shades = sorted(patch.get_alpha() / 0.55 for patch in display.ax_.patches)
    np.testing.assert_allclose(shades, [0.25, 1, 1, 1])  # price 7, city 8, rooms 9, sold 8


def test_probability_stands_beside_category():
    shares = {"city": np.array([[0.2, 0.8], [0.1, 0.9], [0.7, 0.3]])}
    display = ReconstructionDisplay(ORIGINALS, RESULTS, probabilities=shares).plot()
    assert style(display, "Oslo  80%").get_weight() == "normal"
    assert style(display, "Oslo  90%").get_weight() == "bold"
    assert style(display, "Lima  70%").get_color() != style(display, "Oslo  80%").get_color()


def test_estimator_gives_probabilities(fitted, penguins):
    display = ReconstructionDisplay.from_estimator(fitted, penguins, rows=[5, 200])
    restored = fitted.reconstruct(penguins.iloc[[5, 200]])
    shares = fitted.reconstruct_proba(penguins.iloc[[5, 200]])["island"].max(axis=1)
    for name, share in zip(restored["island"], shares, strict=True):
        assert f"{name}  {share:.0%}" in texts(display)
    assert {"row 5", "row 200", f"{restored['bill_length_mm'].iloc[0]:.1f}"} <= {*texts(display)}


def test_four_rows_are_drawn(fitted, penguins):
    display = ReconstructionDisplay.from_estimator(fitted, penguins)
    assert [text for text in texts(display) if text.startswith("row ")] == [
        "row 0", "row 1", "row 2", "row 3",
    ]  # fmt: skip


def test_corrupted_rows_stand_between(fitted, penguins):
    noisy = penguins.assign(sex=None, island="Dream")
    display = ReconstructionDisplay.from_estimator(fitted, penguins, X_corrupted=noisy, rows=1)
    assert [t for t in texts(display) if t in ("original", "noisy", "denoised")] == [
        "original", "noisy", "denoised",
    ]  # fmt: skip
    assert {"Torgersen", "Dream", "missing"} <= {*texts(display)}


def test_columns_with_largest_errors():
    """Of more than 20 columns, those with the largest errors are drawn, in their order."""
    rng = np.random.default_rng(0)
    names = [f"column {place}" for place in range(30)]
    X = pd.DataFrame(rng.normal(size=(50, 30)), columns=names).assign(flag=True)
    wrong = X.copy()
    wrong.iloc[:, :30:2] += 0.5
    wrong.iloc[:, 1:11:2] += 0.1
    display = ReconstructionDisplay.from_predictions(X, wrong, rows=3)
    drawn = [text for text in texts(display) if text.startswith("column")]
    expected = [name for place, name in enumerate(names) if place % 2 == 0 or place < 11]
    assert drawn == expected[:20]
    assert "20 of 31 columns, those with the largest errors" in texts(display)[0]


@pytest.mark.parametrize("rows", [1, 6])
def test_texts_do_not_overlap(fitted, penguins, rows):
    display = ReconstructionDisplay.from_estimator(fitted, penguins, rows=rows)
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.ax_.texts]
    for i, box in enumerate(boxes):
        assert not [other for other in boxes[:i] if box.overlaps(other)]
        assert display.figure_.bbox.containsx(box.x0)
        assert display.figure_.bbox.containsx(box.x1)


def test_small_axes_get_small_text(fitted, penguins):
    before = mpl.rcParams.copy()
    figure = Figure()
    _, ax = figure.subplots(1, 2)
    display = ReconstructionDisplay.from_estimator(fitted, penguins, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert not plt.get_fignums()
    assert mpl.rcParams == before
    for text in ax.texts:
        assert ax.bbox.padded(1).containsx(text.get_window_extent().x1)


def test_polars_frames_are_drawn(penguins):
    pl = pytest.importorskip("polars")
    sexes = penguins["sex"].astype(object).where(penguins["sex"].notna(), None)
    X = pl.DataFrame({"sex": sexes.tolist(), "mass": penguins["body_mass_g"].tolist()})
    X = X.with_columns(pl.col("mass").fill_nan(None))
    params = {"missing_values": "mask", "epochs": 1, "init": "pca", "early_stopping": False}
    model = DeepAutoencoder(1, random_state=0, **params).fit(X)
    display = ReconstructionDisplay.from_estimator(model, X, rows=[3, 5])
    assert {"row 3", "row 5", "missing", "male", "3650"} <= {*texts(display)}


def test_pipelines_and_arrays_of_objects(penguins):
    """A pipeline has no probabilities, and the columns of an array are numbered."""
    params = {"missing_values": "mask", "epochs": 1, "init": "pca", "early_stopping": False}
    X = penguins[["sex", "body_mass_g"]].to_numpy(object)
    model = DeepAutoencoder(1, categorical_features=[0], random_state=0, **params)
    pipeline = make_pipeline(FunctionTransformer(), model).fit(X)
    pipeline[0].inverse_func = None
    display = ReconstructionDisplay.from_estimator(pipeline, X, rows=2)
    assert {"0", "1", "male", "3750"} <= {*texts(display)}
    assert not any("%" in text for text in texts(display))


def test_numbers_are_lines_as_before(penguins):
    X = penguins.select_dtypes("number").dropna()
    model = DeepAutoencoder(1, epochs=1, init="pca", early_stopping=False).fit(X)
    assert ReconstructionDisplay.from_estimator(model, X, rows=2).axes_.shape == (2, 2)


def test_image_of_table_is_refused(fitted, penguins):
    with pytest.raises(ValueError, match="image_shape is for rows of numbers"):
        ReconstructionDisplay.from_estimator(fitted, penguins, image_shape=(2, 3))
    assert not plt.get_fignums()


def test_other_columns_are_refused():
    other = RESULTS.rename(columns={"city": "town"})
    with pytest.raises(ValueError, match=r"same columns; got \['city', .*\['town'"):
        ReconstructionDisplay.from_predictions(ORIGINALS, other)
    assert not plt.get_fignums()


def test_other_displays_draw_tables(fitted, penguins):
    errors = ReconstructionErrorDisplay.from_estimator(fitted, penguins)
    np.testing.assert_allclose(errors.errors, -fitted.score_samples(penguins))
    assert "mean over the columns" in errors.ax_.get_xlabel()
    codes = LatentSpaceDisplay.from_estimator(fitted, penguins)
    np.testing.assert_allclose(codes.points, fitted.transform(penguins))


@pytest.mark.parametrize(
    ("name", "value"), [("codes", np.ones((3, 2))), ("code_shape", (1, 2)), ("image_shape", (1, 2))]
)
def test_table_refuses_parameters_of_numbers(name, value):
    display = ReconstructionDisplay(ORIGINALS, RESULTS, **{name: value})
    with pytest.raises(ValueError, match=f"{name} is for rows of numbers.*leave it out"):
        display.plot()


@pytest.mark.parametrize("name", ["probabilities", "spreads", "row_labels"])
def test_numbers_refuse_parameters_of_tables(name):
    rows = np.eye(3)
    with pytest.raises(ValueError, match=f"{name} is for tables with categories"):
        ReconstructionDisplay(rows, rows, **{name: {"a": 1}}).plot()


def test_rows_of_arrow_are_drawn():
    pa = pytest.importorskip("pyarrow")
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in (ORIGINALS, RESULTS)]
    display = ReconstructionDisplay.from_predictions(*tables, rows=[1, 0])
    assert display.originals["city"].to_pylist() == ORIGINALS["city"].iloc[[1, 0]].tolist()
