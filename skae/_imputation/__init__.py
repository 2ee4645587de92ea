"""Imputation of missing values: the imputer, its networks, and draws from plausible values.

May import every room below: the estimators, and all that they need.
"""
