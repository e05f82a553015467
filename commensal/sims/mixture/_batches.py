"""Which replicates are drawn together."""

# Replicates in a batch; part of what a seed means, so the same on every machine. Fewer, and
# starting kernels costs more than they do; more, and the points leave the second-level cache.
WIDTH = 128
