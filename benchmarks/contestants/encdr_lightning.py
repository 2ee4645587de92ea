"""encdr's network, trained as its ``ENCDR.fit`` does: a Lightning trainer and a DataLoader."""

import logging
import warnings

import lightning
import torch
from encdr import AutoEncoder
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.contestants.network import BATCH, CODE, HIDDEN
from benchmarks.data import errors

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")


class Training:
    def __init__(self, X, X_test):
        self.X_test = X_test
        self.network = AutoEncoder(X.shape[1], list(HIDDEN), CODE)
        rows = TensorDataset(torch.from_numpy(X))
        self.loader = DataLoader(rows, batch_size=BATCH, shuffle=True)

    def epochs(self, n):
        trainer = lightning.Trainer(
            max_epochs=n,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(self.network, self.loader)

    def errors(self):
        self.network.eval()
        with torch.no_grad():
            outputs = self.network(torch.from_numpy(self.X_test))
        return errors(self.X_test, outputs.numpy())
