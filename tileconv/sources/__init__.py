"""Files and arrays as windows of pixels: TIFF, Zarr, OME-Zarr, ``.npy``, PNG, JPEG and memory."""
