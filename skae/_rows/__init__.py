"""Where rows come from and where results go, in NumPy.

This room may import only the ground floor: the files skae/_*.py.
"""
