"""A run on disk: its folder, its lock, its generations, its table of metrics."""
