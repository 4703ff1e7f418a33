"""The nouns of edgeopt: frozen data with a JSON form, nothing live inside."""
