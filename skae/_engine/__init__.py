"""TensorFlow: compiled programs, their steps and their cache.

May import _objective and the rooms below it.
"""
