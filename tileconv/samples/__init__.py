"""Images to try things on: real photographs, and a synthetic one of any size."""

from tileconv.samples.write import sample_names, write_sample

__all__ = ["sample_names", "write_sample"]
