"""Other formats: Keras, ONNX, pickles, skops and HTML.

May import _training and the rooms below it.
"""
