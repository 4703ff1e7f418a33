"""Quantization with training: layers and ranges that train, and their exact export."""
