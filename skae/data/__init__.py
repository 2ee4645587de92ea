"""The bundled sample of MNIST."""
