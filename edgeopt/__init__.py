"""edgeopt turns a trained model into the best measured artifact for each edge target."""
