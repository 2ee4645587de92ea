"""Draw the pictures of the guide: ``python docs/images/draw.py``.

The code of each page runs from top to bottom, and all figures that it draws are saved here as
``PAGE_1.png``, ``PAGE_2.png`` and so on.
"""

import doctest
import re
from pathlib import Path

from matplotlib import pyplot as plt

FOLDER = Path(__file__).parent
PAGES = [FOLDER.parent / "start.md"]
BLOCK = re.compile(r"^```(pycon|python)\n(.*?)^```$", re.M | re.S)


def run(page):
    """Run the blocks of Python on a page, in one namespace."""
    namespace = {"__name__": page.stem}
    for language, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        lines = code if language == "python" else script(code)
        exec(lines, namespace)


def script(session):
    """Return the source of an interactive session."""
    return "".join(
        example.source
        for example in doctest.DocTestParser().get_examples(session)
    )


def main():
    """Draw the figures of all pages."""
    plt.switch_backend("agg")
    for page in PAGES:
        run(page)
        for number in plt.get_fignums():
            file = FOLDER / f"{page.stem}_{number}.png"
            plt.figure(number).savefig(file, dpi=100, bbox_inches="tight")
        plt.close("all")


if __name__ == "__main__":
    main()
