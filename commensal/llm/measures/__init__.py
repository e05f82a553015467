"""Measures of models and of the texts that they write: losses, n-grams, embeddings."""
