"""The estimators that users call: parameters, the meaning of "auto", checks of data, calls of fit.

May import every room below it.
"""
