"""Sizes of a full run, with figures that count, and of a quick run, which shows that all runs."""

from dataclasses import dataclass

from benchmarks.data import Mnist, Texts


@dataclass(frozen=True)
class Settings:
    mnist: Mnist
    texts: Texts
    rounds: int  # of the long measurements: every contestant once in each
    short_rounds: int  # of the others; neighbours disturb some of these rounds
    epochs: int  # that a contestant trains in one round
    fresh_rounds: int  # of fresh processes
    seeds: tuple[int, ...]
    quality_epochs: int
    denoising_epochs: int
    most_epochs: int  # that are tried to reach the article's loss
    row_calls: int
    stored_rows: tuple[int, ...]  # of the file that is larger than memory, ascending
    search_sizes: tuple[int, ...]  # bottlenecks of the grid search
    full_article: bool
    judged: bool  # whether the figures count


def full(full_article):
    return Settings(
        mnist=Mnist(60_000, 10_000),
        texts=Texts(4_000, 1_000),
        rounds=3,
        short_rounds=7,
        epochs=8,
        fresh_rounds=11,
        seeds=(0, 1, 2),
        quality_epochs=50,
        denoising_epochs=30,
        most_epochs=20,
        row_calls=2000,
        stored_rows=(10_000, 100_000, 1_000_000, 10_000_000),
        search_sizes=(2, 4, 8, 16, 32),
        full_article=full_article,
        judged=True,
    )


def quick(full_article):
    return Settings(
        mnist=Mnist(5_000, 1_000),
        texts=Texts(1_000, 200),
        rounds=1,
        short_rounds=1,
        epochs=1,
        fresh_rounds=2,
        seeds=(0,),
        quality_epochs=2,
        denoising_epochs=2,
        most_epochs=2,
        row_calls=20,
        stored_rows=(10_000, 50_000, 200_000),
        search_sizes=(8,),
        full_article=full_article,
        judged=False,
    )
