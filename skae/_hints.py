"""What to write instead of unknown names, such as misspelt ones and those of other libraries."""

import difflib
from collections.abc import Iterable, Iterator

# The names that other libraries use (Keras, PyTorch, PyOD, MLPRegressor, PCA), after ours.
SYNONYMS = {
    "n_components": "latent_dim latent_size n_latent encoding_dim encoding_size embedding_dim "
    "code_size z_dim bottleneck n_codes",
    "hidden_layer_sizes": "hidden_layers hidden_units hidden_sizes hidden_dim hidden_dims "
    "hidden_neurons hidden_neuron_list layers layer_sizes units neurons encoder_layers "
    "encoder_layer_sizes encoder_neurons encoder_neuron_list",
    "decoder_layer_sizes": "decoder_layers decoder_units decoder_sizes decoder_hidden_layer_sizes "
    "decoder_neurons decoder_neuron_list",
    "activation": "hidden_activation encoder_activation nonlinearity",
    "code_activation": "latent_activation bottleneck_activation",
    "output_activation": "decoder_activation last_activation final_activation",
    "tied_weights": "tied tie_weights tying shared_weights",
    "missing_values": "missing missing_value allow_nan handle_missing",
    "feature_weights": "feature_weight column_weights column_weight loss_weights",
    "dropout": "dropout_rate",
    "alpha": "l2 weight_decay l2_regularizer kernel_regularizer regularization reg_lambda",
    "code_penalty": "l1 sparsity activity_regularizer",
    "contraction": "contractive contractive_penalty contraction_level jacobian_penalty jacobian",
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

ARGUMENT = "Pass it to fit: fit(X, {})."
# What to do instead of setting parameters that other estimators have.
ADVICE = {
    "validation_data": ARGUMENT.format("X_val=..."),
    "X_val": ARGUMENT.format("X_val=..."),
    "X_clean": ARGUMENT.format("X_clean=..."),
    "sample_weight": ARGUMENT.format("sample_weight=..."),
    "contamination": "Use AutoencoderOutlierDetector, or compare score_samples(X) with a quantile.",
    "input_dim": "fit takes the number of features from X.",
    "input_shape": "fit takes the number of features from X; rows are flat.",
    "shuffle": "Training always shuffles the rows.",
    "restore_best_weights": "early_stopping=True does that.",
    "momentum": "Pass it to the optimizer: optimizer__momentum=...",
    "noise_scale": "DenoisingAutoencoder has it.",
    "whiten": "Put a StandardScaler after the autoencoder.",
}


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a question that suggests the known names closest to ``name``, or an empty string."""
    known = list(known)
    if not isinstance(name, str):
        return ""
    close = list(_exact(name, known)) or difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def advice(name: str, known: Iterable[str]) -> str:
    """Return a sentence that says what to use instead of a parameter, or an empty string."""
    return f" {ADVICE[name]}" if name in ADVICE else did_you_mean(name, known)


def _exact(name: str, known: Iterable[str]) -> Iterator[str]:
    """Yield the known names that differ in case or underscores only, or are synonyms."""
    for ours in known:
        if _plain(ours) == _plain(name) or (name.casefold(), ours) in KNOWN_BY:
            yield ours


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
