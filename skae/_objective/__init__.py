"""Objectives of training: losses and penalties, as frozen values.

May import _corruption and the rooms below it.
"""
