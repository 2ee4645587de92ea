"""Where rows come from and where results go, in NumPy; every check for NaN.

May import the ground floor, the files skae/_*.py.
"""
