"""What passes do to models: a file for each pass, which workers alone load.

They never import each other.
"""
