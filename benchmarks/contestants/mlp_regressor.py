"""scikit-learn's own network; the rows are both input and target."""

from sklearn.neural_network import MLPRegressor

from benchmarks.contestants.network import BATCH, widths
from benchmarks.data import errors


class Training:
    def __init__(self, X, X_test):
        self.X, self.X_test = X, X_test
        hidden = widths(X.shape[1])[1:-1]
        self.network = MLPRegressor(hidden_layer_sizes=hidden, batch_size=BATCH, random_state=0)

    def epochs(self, n):
        for _ in range(n):
            self.network.partial_fit(self.X, self.X)

    def errors(self):
        return errors(self.X_test, self.network.predict(self.X_test))
