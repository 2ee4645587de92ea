"""Three protocols with goals: sizes and rows as others published them."""

from dataclasses import dataclass

from benchmarks.features.sets import LabelledSet, adult_by_subtab, mnist

SUBTAB_SIZES = {"n_components": 128, "hidden_layer_sizes": (512, 256)}


@dataclass(frozen=True)
class Goal:
    """The best of the rows that end in ``part`` must reach one accuracy, and aims at another."""

    part: str
    must: float
    aim: float


class Published(LabelledSet):
    """A split that was published with the data: only the seeds of estimators differ."""

    def splits(self, seed):
        yield self.load()


MNIST_6K = (Goal("code", 0.905, 0.920), Goal("all", 0.940, 0.950))
MNIST_60K = (Goal("code", 0.940, 0.964), Goal("all", 0.972, 0.983))
ADULT = (Goal("", 0.850, 0.855),)


def all_of_mnist():
    return mnist(60_000)


@dataclass(frozen=True)
class Protocol:
    """A set, sizes of layers, the goals, and how many seeds there is time for."""

    data: LabelledSet
    goals: tuple[Goal, ...]
    sizes: dict
    most_seeds: int


PROTOCOLS = {
    found.data.name: found
    for found in (
        Protocol(
            Published("Adult by SubTab", adult_by_subtab, False, "adult.csv.gz"),
            ADULT,
            SUBTAB_SIZES,
            5,
        ),
        Protocol(
            Published("MNIST-60k", all_of_mnist, False, "mnist.npz"), MNIST_60K, SUBTAB_SIZES, 1
        ),
    )
}
