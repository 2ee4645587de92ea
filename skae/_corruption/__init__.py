"""Corruptions: how training changes its inputs.  There is a file for each kind.

May import _network and the rooms below it.
"""
