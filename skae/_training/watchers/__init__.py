"""Objects that are told about a fit, and may end it: early stopping, progress and others.

May import what _training may.
"""
