"""Plan to Dask arrays: the one function that runs on a worker, and two ways to give it its halo."""
