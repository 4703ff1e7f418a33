"""What measures quantities of answers, one file a kind; they never import each other."""
