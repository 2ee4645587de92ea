"""PyTorch as one writes it by hand for speed: no DataLoader, fused Adam, loss from logits."""

import torch
from torch import nn

from benchmarks.contestants.network import BATCH, shapes
from benchmarks.data import errors


def network(n_features):
    layers = []
    for rows, columns in shapes(n_features):
        layers += [nn.Linear(rows, columns), nn.ReLU()]
    return nn.Sequential(*layers[:-1])  # the last layer gives logits


class Training:
    def __init__(self, X, X_test):
        torch.manual_seed(0)
        self.X, self.X_test = torch.from_numpy(X), X_test
        self.network = network(X.shape[1])
        self.optimizer = torch.optim.Adam(self.network.parameters(), fused=True)

    def loss(self, rows):
        return nn.functional.binary_cross_entropy_with_logits(self.network(rows), rows)

    def epochs(self, n):
        for _ in range(n):
            for index in torch.randperm(len(self.X)).split(BATCH):
                self.optimizer.zero_grad()
                self.loss(self.X[index]).backward()
                self.optimizer.step()

    def errors(self):
        with torch.no_grad():
            return errors(
                self.X_test, self.network(torch.from_numpy(self.X_test)).sigmoid().numpy()
            )

    def encode(self):
        with torch.no_grad():
            self.network[:6](self.X)  # three layers and their activations
