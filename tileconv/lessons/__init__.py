"""Kernels that data determine: two images in, the kernel that best makes one of the other out."""
