"""What runs on a device, local runs included.

Python 3.8 or later, the standard library, numpy and one runtime; nothing of the rest of the
project, so that this folder alone can be shipped to a device. The host sends frames
(``protocol``) on standard input, the agent answers each on standard output (``serve``).
"""
