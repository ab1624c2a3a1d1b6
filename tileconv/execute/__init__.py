"""Who makes the tiles: a run, on threads, on processes or on a cluster, to the finished store."""
