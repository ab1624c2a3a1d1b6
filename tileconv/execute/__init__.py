"""Dask to done: threads or a cluster, receipts, and the finished store."""
