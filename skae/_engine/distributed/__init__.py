"""Fits on several devices and machines.

May import _engine and the rooms below it.
"""
