"""The estimators that users call, and their parameters.

May import every room below it.
"""
