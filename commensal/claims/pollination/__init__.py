"""Claims of `pollination`."""
