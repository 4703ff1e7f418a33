"""Views of a result, one file each, ``NAME_view.py``; they never import each other."""
