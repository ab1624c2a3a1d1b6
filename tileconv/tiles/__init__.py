"""One tile's work: from a block to the pixels of a tile, and the ways to come by the block with its halo."""
