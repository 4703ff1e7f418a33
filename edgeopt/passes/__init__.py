"""Built-in passes, one file a (name, format). They never import each other."""
