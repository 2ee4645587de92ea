"""PyOD's detector without dropout, batch norm and scaling, which the Keras recipe lacks.

The loader is the one that its ``fit`` makes.  After training, ``fit`` computes scores for every
row; they do not count in its time.
"""

import torch
from pyod.models.auto_encoder import AutoEncoder
from pyod.utils.torch_utility import TorchDataset

from benchmarks.contestants.network import BATCH, CODE, HIDDEN
from benchmarks.data import errors


class Training:
    def __init__(self, X, X_test):
        self.X_test = X_test
        self.detector = AutoEncoder(
            preprocessing=False,
            batch_size=BATCH,
            hidden_neuron_list=[*HIDDEN, CODE],
            batch_norm=False,
            dropout_rate=0,
            optimizer_params={},
            verbose=0,
        )
        self.detector.feature_size = X.shape[1]
        self.detector.build_model()
        self.detector.training_prepare()
        self.loader = torch.utils.data.DataLoader(
            TorchDataset(X=X), batch_size=BATCH, shuffle=True, drop_last=True
        )

    def epochs(self, n):
        self.detector.epoch_num = n
        self.detector.train(self.loader)

    def errors(self):
        with torch.no_grad():
            outputs = self.detector.model(torch.from_numpy(self.X_test))
        return errors(self.X_test, outputs.numpy())
