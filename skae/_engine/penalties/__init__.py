"""The penalties of mini-batches in TensorFlow, and the Jacobian that one of them needs.

May import what _engine may.
"""
