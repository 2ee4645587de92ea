"""The Keras recipe as published: with accuracy, and validation on the test images."""

from benchmarks.contestants.keras_model import models
from benchmarks.contestants.network import BATCH
from benchmarks.data import errors


class Training:
    def __init__(self, X, X_test):
        self.X, self.X_test = X, X_test
        self.model, self.encoder = models(X.shape[1])
        self.model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])

    def epochs(self, n):
        self.model.fit(
            self.X,
            self.X,
            epochs=n,
            batch_size=BATCH,
            shuffle=True,
            validation_data=(self.X_test, self.X_test),
            verbose=0,
        )

    def errors(self):
        return errors(self.X_test, self.model.predict(self.X_test, batch_size=2048, verbose=0))

    def encode(self):
        self.encoder.predict(self.X, verbose=0)

    def encode_row(self):
        self.encoder.predict(self.X[:1], verbose=0)
