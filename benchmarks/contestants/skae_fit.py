"""skae with the network, batch size and learning rate of the Keras recipe.

Each fit continues from the weights of the last one.  It checks its parameters and its data, and
this counts in its time.
"""

from benchmarks.contestants.network import BATCH, CODE, HIDDEN, PLAIN
from benchmarks.data import errors
from skae import DeepAutoencoder, DenoisingAutoencoder

ARTICLES = PLAIN | {
    "n_components": CODE,
    "hidden_layer_sizes": HIDDEN,
    "activation": "relu",
    "code_activation": "relu",
    "batch_size": BATCH,
    "learning_rate_schedule": "constant",
    "optimizer": "adam",
    "warm_start": True,
    "random_state": 0,
}


class Training:
    estimator = DeepAutoencoder

    def __init__(self, X, X_test):
        self.X, self.X_test = X, X_test
        self.autoencoder = self.estimator(**ARTICLES)

    def epochs(self, n):
        self.autoencoder.set_params(epochs=n).fit(self.X)

    def errors(self):
        return errors(self.X_test, self.autoencoder.reconstruct(self.X_test))

    def encode(self):
        self.autoencoder.transform(self.X)

    def encode_row(self):
        self.autoencoder.transform(self.X[:1])


class Denoising(Training):
    estimator = DenoisingAutoencoder


class OneThread(Training):
    def __init__(self, X, X_test):
        import tensorflow as tf  # the call holds for the whole process of this contestant

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        super().__init__(X, X_test)


class Muon(Training):
    def __init__(self, X, X_test):
        super().__init__(X, X_test)
        self.autoencoder.set_params(optimizer="muon")
