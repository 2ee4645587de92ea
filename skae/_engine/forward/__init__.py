"""The forward pass of a network in TensorFlow, and the variables that hold its weights.

May import what _engine may.
"""
