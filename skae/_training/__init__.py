"""One fit: the loop over epochs, random seeds, learning rates, checkpoints.

May import _engine and the rooms below it.
"""
