"""The time that noise takes, and the error of denoised images."""

import statistics

from benchmarks.cases.epoch import sample_epochs
from benchmarks.cases.quality import DENOISER, fits
from benchmarks.measure import complaints, running
from benchmarks.results import Case, Goal, Result, ratio, timed_rows

PLAIN, NOISY = "DeepAutoencoder", "DenoisingAutoencoder"


def run_epoch(settings):
    targets = {
        PLAIN: "benchmarks.contestants.skae_fit:Training",
        NOISY: "benchmarks.contestants.skae_fit:Denoising",
    }
    with running(targets, settings.mnist) as (workers, failures):
        samples = sample_epochs(workers, settings, settings.short_rounds, failures)
    return Result([ratio(samples, NOISY, PLAIN)], timed_rows(samples), complaints(failures))


def run_quality(settings):
    rows = list(fits(DENOISER, settings, settings.denoising_epochs))
    return Result([statistics.median(row.mse for row in rows)], rows)


EPOCH = Case(
    "denoising-epoch",
    "A denoising epoch against a plain one, batch 256",
    (Goal("denoising epoch / plain epoch", 1.25, 1.1, "x"),),
    run_epoch,
)
QUALITY = Case(
    "denoising-quality",
    "Noisy test images (scale 0.5, clipped), denoised after 30 epochs, default parameters",
    (Goal("MSE to the clean test image after 30 epochs", 0.0150, 0.0135, "loss"),),
    run_quality,
)
