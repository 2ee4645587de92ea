"""Networks: layers, activations, and inference in NumPy.

May import _rows and the ground floor.
"""
