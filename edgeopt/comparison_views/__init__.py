"""Views of a comparison, one file each, ``NAME_view.py``; they never import each other."""
