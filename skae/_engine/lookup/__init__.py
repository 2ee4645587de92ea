"""The objects that users name or write: optimizers, losses, metrics, activations, their checks.

May import what _engine may.
"""
