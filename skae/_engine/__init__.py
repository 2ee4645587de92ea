"""TensorFlow: Keras models, forward pass, losses, compiled programs and their cache.

May import _objective and the rooms below it.
"""
