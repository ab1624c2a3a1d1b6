"""Promises about banks, layers of networks and strides, broken one at a time."""

from __future__ import annotations

from tests.mutation.mutation import broken

LAYER, BANK = "operations/test_conv_layer.py", "operations/test_bank.py"
WRITTEN = f"{LAYER}::test_a_layer_is_what_is_written_and_no_byte_depends_on_the_tile"
LARGE = f"{LAYER}::test_large_kernels_by_transforms_are_what_is_written_and_no_byte_depends_on_the_tile"
WRAPS = f"{LAYER}::test_layers_that_wrap_have_the_same_bytes_at_every_tile"

CHANNELS = (
    broken(
        "blocks of products begin at the tile",
        "engines/products.py",
        "high = range(out.start[1] // HIGH * HIGH, out.stop[1], HIGH)",
        "high = range(out.start[1], out.stop[1], HIGH)",
        WRAPS,
    ),
    broken(
        "a product of a block is left out",
        "engines/products.py",
        "asked = range(max(top, out.start[1]) - top, min(top + HIGH, out.stop[1]) - top)",
        "asked = range(max(top, out.start[1]) - top, min(top + HIGH, out.stop[1]) - top - 1)",
        WRITTEN,
    ),
    broken(
        "rows under a stride lie one beside the other",
        "engines/filters.py",
        "return lines, [lines.index(row * step) for row in range(APART)]",
        "return lines, [lines.index(row * step) if step == 1 else row for row in range(APART)]",
        WRITTEN,
    ),
    broken(
        "a dilation counts along y alone",
        "engines/products.py",
        "gather(strip, some, np.array(lines), at, taps.step, taps.dilation[2])",
        "gather(strip, some, np.array(lines), at, taps.step, 1)",
        WRITTEN,
    ),
    broken(
        "all groups see the channels of the first",
        "engines/products.py",
        "_fill(strip, channels[group * ins :][:ins], taps, piece)",
        "_fill(strip, channels[:ins], taps, piece)",
        WRITTEN,
    ),
    broken(
        "a tile sees a part of a block that is transformed",
        "planning/regions.py",
        "made = out if axis == 0 or stage.block_side == 1 else _whole(stage, axis, out)",
        "made = out",
        LARGE,
    ),
    broken(
        "NaN goes into a transform",
        "engines/layer_fft.py",
        "if all(np.isfinite(pixels).all() for pixels in read):",
        "if True:",
        LARGE,
    ),
    broken(
        "a sum is that of the last channel",
        "engines/layer_fft.py",
        "sums[i] += pixels[i] * weights[i]",
        "sums[i] = pixels[i] * weights[i]",
        LARGE,
    ),
    broken(
        "layers repeat their image for one that wraps",
        "planning/passes.py",
        "or mixes or not all",
        "or not all",
        WRAPS,
    ),
    broken(
        "padding leaves out half of its pixels",
        "planning/grids.py",
        "return low - around, (size + 2 * around - length) // stride + 1",
        "return low - around, (size + around - length) // stride + 1",
        f"{LAYER}::test_pooling_is_one_pixel_per_window",
    ),
    broken(
        "a coarser grid begins where that of its input does",
        "planning/grids.py",
        "middle = before if s == 1 else (length - 1) / 2",
        "middle = before",
        f"{LAYER}::test_a_network_runs_from_files_on_a_grid_of_its_own",
    ),
    broken(
        "zeros around are the maximum of negative pixels",
        "operations/pool.py",
        'return Border("reflect") if self.method == "maximum" else Border("constant", 0.0)',
        'return Border("constant", 0.0)',
        f"{LAYER}::test_the_maximum_knows_no_padding",
    ),
    broken(
        "a run goes on with other weights",
        "operations/conv_layer.py",
        "return (self.filters.digest,)",
        "return ()",
        "execute/test_channels_of_a_tile.py::test_other_weights_in_the_file_or_none_are_told",
    ),
    broken(
        "of several alike the last kernel is told",
        "operations/reduced.py",
        "first[(part > before) | ((part == before) & (first > number)) | np.isnan(part)] = number",
        "first[(part >= before) | np.isnan(part)] = number",
        f"{BANK}::test_argmax_takes_the_first_of_several_and_says_where_there_is_none",
    ),
    broken(
        "the magnitude of a bank forgets what it had",
        "operations/reduced.py",
        "into += np.square(part, dtype=total.dtype)",
        "into[...] = np.square(part, dtype=total.dtype)",
        f"{BANK}::test_whole_numbers_are_exact",
    ),
    broken(
        "each kernel of a bank is put at the place of the first",
        "engines/sums.py",
        "yield numbers[at], part, made, fallbacks",
        "yield numbers[0], part, made, fallbacks",
        f"{BANK}::test_every_channel_has_the_bytes_of_its_kernel_alone",
    ),
)
