"""Objects that are told about a fit, and may end it.

This folder may import what _training may import.
"""
