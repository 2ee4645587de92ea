"""Tables with categories: frames, the matrices that networks take, and the way back.

May import the rows and the ground floor.
"""
