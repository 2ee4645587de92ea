"""Other formats: Keras models and callbacks, ONNX, pickles, skops and HTML.

May import _training and the rooms below it.
"""
