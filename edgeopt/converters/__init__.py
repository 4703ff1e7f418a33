"""Converters of networks that TensorFlow runs; bodies of passes call them."""
