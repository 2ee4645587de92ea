"""Sphinx' settings: ``sphinx-build -W docs docs/_build/html``."""

import os
import re
import textwrap
import warnings
import zlib
from importlib import resources
from pathlib import Path

import skae

HERE = Path(__file__).parent

project = "skae"
copyright = "the skae developers"
version = release = skae.__version__
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# ---------------------------------------------------------------------------- pages

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
default_role = "autolink"  # `DeepAutoencoder` in a docstring is a link, and `X` is code

# ---------------------------------------------------------------------------- reference

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the class' template lists them

# Headings between the parameters of an estimator, by the parameter that follows.
GROUPS = {
    "n_components": "Network",
    "dropout": "Penalties and dropout",
    "corruption": "Corruption",
    "loss": "Training",
    "early_stopping": "Early stopping",
    "metrics": "Running a fit",
}
ESTIMATORS = ("skae.DeepAutoencoder", "skae.DenoisingAutoencoder")
PARAMETER = re.compile(r"^(\s+)\*\*(\w+)\*\* : ")


def group_parameters(app, what, name, obj, options, lines):
    """Put headings between the parameters of an estimator."""
    if what != "class" or name not in ESTIMATORS:
        return
    headings = dict(GROUPS)
    for line in lines.copy():
        match = PARAMETER.match(line)
        if match and (heading := headings.pop(match[2], None)):
            at = lines.index(line)
            lines[at:at] = [
                f"{match[1]}.. rst-class:: group",
                "",
                f"{match[1]}{heading}",
                "",
            ]


# ---------------------------------------------------------------------------- examples

# the sample that comes with skae: the same pictures, in seconds, on every machine
os.environ["SKAE_DATA"] = str(
    resources.files("skae.datasets") / "mnist_sample.npz"
)
# warnings of the examples, without the path of the machine that builds the pages
warnings.formatwarning = lambda message, category, *_: (
    textwrap.fill(f"{category.__name__}: {message}", 76) + "\n"
)
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "abort_on_example_error": True,
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("skae",),
    "reference_url": {"skae": None},
    "backreferences_dir": "api/backreferences",
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "write_computation_times": False,
    "image_srcset": ["2x"],
    "capture_repr": (
        "_repr_html_",
    ),  # an estimator's diagram, and no "Text(0.5, 1.0, ...)"
}

# ---------------------------------------------------------------------------- links

OFFLINE = HERE / "_build" / "offline.inv"
# The labels of scikit-learn that the pages need, for a build without a network.
LABELS = """\
df_output_transform std:label -1 auto_examples/miscellaneous/plot_set_output.html set_output
sphx_glr_auto_examples_miscellaneous_plot_set_output.py std:label -1 \
auto_examples/miscellaneous/plot_set_output.html set_output
"""


def write_offline_inventory():
    """Make an inventory for builds that cannot reach the real ones."""
    OFFLINE.parent.mkdir(exist_ok=True)
    head = (
        "# Sphinx inventory version 2\n# Project: offline\n# Version: 0\n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    OFFLINE.write_bytes(head.encode() + zlib.compress(LABELS.encode()))


write_offline_inventory()
intersphinx_timeout = 5
intersphinx_mapping = {
    name: (url, (None, str(OFFLINE)))
    for name, url in {
        "python": "https://docs.python.org/3",
        "numpy": "https://numpy.org/doc/stable",
        "sklearn": "https://scikit-learn.org/stable",
        "matplotlib": "https://matplotlib.org/stable",
    }.items()
}

# ---------------------------------------------------------------------------- looks

html_theme = "pydata_sphinx_theme"
html_title = "skae"
html_static_path = ["_static"]
html_css_files = ["skae.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": f"skae {version}"},
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "navbar_persistent": ["search-button"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
html_sidebars = {
    page: []
    for page in (
        *(
            "install",
            "start",
            "how_it_works",
            "reliability",
            "security",
            "related",
        ),
        *("contributing", "changelog"),
    )
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

# Links of Markdown pages to files outside of docs/, and the pages that show these.
PAGES = {"](../benchmarks/README.md)": "](benchmarks.md)"}


def setup(app):
    """Point links between files of the repository at pages, and group parameters."""

    def point_at_pages(app, docname, source):
        for link, page in PAGES.items():
            source[0] = source[0].replace(link, page)

    app.connect("source-read", point_at_pages)
    app.connect(
        "autodoc-process-docstring", group_parameters, priority=600
    )  # after numpydoc
