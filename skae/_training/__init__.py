"""One fit: epochs, learning rates, stopping, checkpoints.

May import _engine and the rooms below it.
"""
