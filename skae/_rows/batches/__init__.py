"""Chunks of mini-batches, dense or sparse, and the feeder that fills them.

May import what _rows may.
"""
