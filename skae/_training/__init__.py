"""One fit: epochs, learning rates, stopping, checkpoints.

This room may import _engine and the rooms below it.
"""
