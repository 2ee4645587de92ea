"""The same PyTorch with ``torch.compile`` around the loss, and so around its gradient."""

import torch

from benchmarks.contestants import torch_eager


class Training(torch_eager.Training):
    def __init__(self, X, X_test):
        super().__init__(X, X_test)
        self.loss = torch.compile(self.loss)
