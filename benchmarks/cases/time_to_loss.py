"""Seconds to the test loss that the Keras recipe reaches in 50 epochs, compilation included."""

import statistics

from benchmarks.cases.quality import DEEP
from benchmarks.contestants import ARTICLE, CONTESTANTS, SKAE
from benchmarks.measure import Worker, complaints, interleave
from benchmarks.results import Case, Goal, Result, Row, ratio

LOSS = 0.0842  # the Keras recipe on the test images after 50 epochs
ARTICLES_EPOCHS = 50


def run(settings):
    epochs = _fewest_epochs(settings)
    if epochs is None:
        why = f"{LOSS} is not reached within {settings.most_epochs} epochs"
        return Result([None], remarks=[why])
    article, losses, failures = _Article(settings), [], {}
    seeds = iter(settings.seeds)

    def skae():
        with Worker(DEEP, settings.mnist) as worker:
            seconds, _ = worker.call("fit", epochs, next(seeds))
            losses.append(worker.call("errors")[1]["bce"])
        return seconds

    measures = {SKAE: skae, ARTICLE: article}
    samples = interleave(measures, len(settings.seeds), failures)
    rows = [
        Row(
            SKAE,
            samples.get(SKAE, []),
            bce=max(losses, default=None),
            remark=f"{epochs} epochs; the worst seed's loss",
        ),
        Row(ARTICLE, samples.get(ARTICLE, []), bce=article.bce, remark=article.remark),
    ]
    remarks = [
        f"{epochs} is the smallest number of epochs at which each of {len(settings.seeds)} seeds "
        f"has a test BCE of at most {LOSS}.",
        "Each sample is a fresh process that has imported TensorFlow.",
    ]
    return Result([ratio(samples, SKAE, ARTICLE)], rows, remarks + complaints(failures))


def _fewest_epochs(settings):
    """Smallest number of epochs, each with its own schedule, with which every seed gets there."""
    with Worker(DEEP, settings.mnist) as worker:

        def reaches(epochs, seed):
            worker.call("fit", epochs, seed)
            return worker.call("errors")[1]["bce"] <= LOSS

        for epochs in range(1, settings.most_epochs + 1):
            if all(reaches(epochs, seed) for seed in settings.seeds):
                return epochs
    return None


class _Article:
    """The Keras recipe, from the making of the model to the end of its 50 epochs.

    By default two further epochs tell how long the 49 after the first one take.
    """

    def __init__(self, settings):
        self.settings, self.bce = settings, None
        self.remark = "50 epochs run" if settings.full_article else "first epoch + 49 x a later one"

    def __call__(self):
        with Worker(CONTESTANTS[ARTICLE].target, self.settings.mnist) as worker:
            if self.settings.full_article:
                seconds, _ = worker.call("epochs", ARTICLES_EPOCHS)
                self.bce = worker.call("errors")[1]["bce"]
                return worker.seconds_to_make + seconds
            first, _ = worker.call("epochs", 1)
            later = statistics.mean(worker.call("epochs", 1)[0] for _ in range(2))
            return worker.seconds_to_make + first + (ARTICLES_EPOCHS - 1) * later


CASE = Case(
    "time-to-loss",
    "From `fit` called to returned, default parameters but `epochs`, compilation included",
    (Goal("time to the article's 50-epoch test loss: skae / article", 1 / 20, 1 / 40, "1/x"),),
    run,
)
