"""Readers of OME-Zarr that judge what tileconv writes."""
