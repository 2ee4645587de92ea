"""`ProgramSpec`: the key of a compiled program.

Fits with equal specs share one compiled program.  So the spec contains everything that changes the
program, and nothing else.  Learning rates, noise, seeds, the weights of penalties and of rows, and
the number of rows are arguments of the program.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from skae._network.spec import NetworkSpec
from skae._network.tying import transposes
from skae._objective.objective import Objective
from skae._objective.penalties import Contraction

Options = tuple[tuple[str, Hashable], ...]


@dataclass(frozen=True)
class ProgramSpec:
    """A network, its objective, its optimizer and its mini-batches.

    Attributes
    ----------
    network : NetworkSpec
        The layers.
    objective : Objective
        The loss and the penalties.
    optimizer : str, class or KerasConfig
        The optimizer.
    optimizer_options : tuple of (str, hashable)
        Parameters of the optimizer, such as ``("beta_1", 0.8)``.
    metrics : tuple of str, class, function or KerasConfig
        The metrics.
    batch_size : int
        Number of rows in a mini-batch.
    compute_dtype : str, default="float32"
        Data type of the factors of the layers' matrix products.
    conditioned : bool, default=False
        Whether the network sees rows that are shifted and scaled by a `Conditioning`.
    tied : bool, default=False
        Whether the kernels of the decoder are those of the encoder, transposed.
    n_entries : int, default=0
        Number of values that are not zero for which a mini-batch of sparse rows has room; 0 means
        dense rows.
    """

    network: NetworkSpec
    objective: Objective
    optimizer: Hashable
    optimizer_options: Options
    metrics: tuple[Hashable, ...]
    batch_size: int
    compute_dtype: str = "float32"
    conditioned: bool = False
    tied: bool = False
    n_entries: int = 0

    @property
    def transposes(self) -> dict[int, int]:
        """The place of each weight that another one determines, and the place of that one."""
        return transposes(self.network) if self.tied else {}

    @property
    def takes_sparse_rows(self) -> bool:
        """Whether the network begins with float32 products, and no penalty needs their inputs."""
        needs_dense = any(isinstance(p, Contraction) for p in self.objective.penalties)
        return self.compute_dtype == "float32" and not (self.network.has_gaps or needs_dense)

    @property
    def batch_bytes(self) -> int:
        """Bytes of the inputs of a mini-batch."""
        return 4 * self.batch_size * self.network.n_features

    def n_steps(self, n_rows: int) -> int:
        """Return the number of mini-batches of ``n_rows`` rows; the last one may not be full."""
        return -(-n_rows // self.batch_size)


def routed_options(spec: ProgramSpec) -> Iterator[tuple[str, Hashable]]:
    """Yield the options of the optimizer and the loss by their names on the estimator."""
    yield from ((f"optimizer__{name}", value) for name, value in spec.optimizer_options)
    yield from ((f"loss__{name}", value) for name, value in spec.objective.options)


def activation_parameters(network: NetworkSpec) -> list[str]:
    """Return the name of the parameter that sets each of the network's activations."""
    names = ["activation"] * len(network.trained)
    names[len(network.trained_encoder) - 1] = "code_activation"
    names[-1] = "output_activation"
    return names
