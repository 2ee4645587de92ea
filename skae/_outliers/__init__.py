"""Outlier detection: the detector, its comparison of rows with references, and its threshold.

May import every room below: the estimators, and all that they need.
"""
