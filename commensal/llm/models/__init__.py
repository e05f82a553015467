"""Language models: loaded or made, trained, and sampled from."""
