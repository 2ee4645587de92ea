"""Suggestions for names that are close to a known one, or that other libraries use."""

import difflib
from collections.abc import Iterable, Iterator

# The names that other libraries use (Keras, PyTorch, PyOD, MLPRegressor, PCA), after ours.
SYNONYMS = {
    "n_components": "latent_dim latent_size n_latent encoding_dim encoding_size embedding_dim "
    "code_size z_dim bottleneck n_codes",
    "hidden_layer_sizes": "hidden_layers hidden_units hidden_sizes hidden_dim hidden_dims "
    "hidden_neurons hidden_neuron_list layers layer_sizes units neurons encoder_layers",
    "activation": "hidden_activation encoder_activation nonlinearity",
    "code_activation": "latent_activation bottleneck_activation",
    "output_activation": "decoder_activation last_activation final_activation",
    "dropout": "dropout_rate",
    "alpha": "l2 weight_decay l2_regularizer kernel_regularizer",
    "code_penalty": "l1 sparsity activity_regularizer",
    "corruption": "noise_type",
    "noise_scale": "noise noise_factor noise_level noise_std sigma",
    "loss": "criterion loss_function loss_fn objective",
    "optimizer": "solver",
    "learning_rate": "lr learning_rate_init",
    "learning_rate_schedule": "scheduler lr_scheduler",
    "batch_size": "minibatch_size",
    "epochs": "max_iter n_iter n_epochs nb_epoch num_epochs max_epochs epoch_num",
    "n_iter_no_change": "patience",
    "tol": "min_delta",
    "validation_fraction": "validation_split validation_size val_split",
    "random_state": "seed random_seed rng",
    # values
    "linear": "identity none",
    "sigmoid": "logistic",
    "binary_crossentropy": "crossentropy log_loss",
    "mean_squared_error": "l2 squared_error",
    "mean_absolute_error": "l1 absolute_error",
}
KNOWN_BY = {
    (other, ours)
    for ours, others in SYNONYMS.items()
    for other in map(str.casefold, others.split())
}


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a question that suggests the known names closest to ``name``, or an empty string."""
    known = list(known)
    close = list(_exact(str(name), known)) if isinstance(name, str) else []
    close = close or difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def _exact(name: str, known: Iterable[str]) -> Iterator[str]:
    """Yield the known names that differ in case or underscores only, or are synonyms."""
    for ours in known:
        if _plain(ours) == _plain(name) or (name.casefold(), ours) in KNOWN_BY:
            yield ours


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
