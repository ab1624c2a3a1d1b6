"""Promises about missing pixels, masks, what NaN is stored as and what fills it, broken one at a time."""

from __future__ import annotations

from tests.mutation.mutation import broken

LEFT_OUT, NODATA = "properties/test_missing_left_out.py", "properties/test_output_nodata.py"
ONE_VALUE = "properties/test_one_value.py"

MISSING = (
    broken(
        "a result may have less than the least coverage",
        "engines/coverage.py",
        "quotients[covered < coverage.least] = np.nan",
        "quotients[covered < 1] = np.nan",
        f"{LEFT_OUT}::test_whole_numbers_with_nodata_and_a_pixel_that_is_filled",
    ),
    broken(
        "a share is the float that is nearest to it",
        "engines/coverage.py",
        "Fraction(repr(min_coverage))",
        "Fraction(min_coverage)",
        f"{LEFT_OUT}::test_a_share_is_the_decimal_number_that_is_written",
    ),
    broken(
        "sums over valid pixels are not divided by what these weigh",
        "engines/coverage.py",
        "* (coverage.whole / covered.astype(np.float64))",
        "* (covered.astype(np.float64) / covered)",
        f"{LEFT_OUT}::test_one_missing_pixel_about_the_corner_of_a_tile",
    ),
    broken(
        "a pixel that is missing itself is filled",
        "tiles/missing.py",
        "summed[here] = np.nan",
        "pass",
        f"{LEFT_OUT}::test_one_missing_pixel_about_the_corner_of_a_tile",
    ),
    broken(
        "a stage follows the global rule and not its own",
        "spec/missing.py",
        "rule = own or (everywhere if asked and not operation.fills else None)",
        "rule = everywhere if asked and not operation.fills else own",
        f"{LEFT_OUT}::test_stages_have_rules_of_their_own",
    ),
    broken(
        "NaN is stored as the least number and not as nodata",
        "engines/cast.py",
        "                into[i] = instead",
        "                into[i] = low",
        f"{NODATA}::test_nan_is_stored_as_the_value_in_every_type",
    ),
    broken(
        "missing pixels count as valid ones that are stored as nodata",
        "engines/cast.py",
        "count = int(equal(made, nodata).sum() - absent)",
        "count = int(equal(made, nodata).sum())",
        f"{NODATA}::test_nan_is_stored_as_the_value_in_every_type",
    ),
    broken(
        "a mask masks nothing",
        "tiles/missing.py",
        "absent |= ~valid",
        "pass",
        "properties/test_masks.py::test_borders_and_tiles_change_nothing",
    ),
    broken(
        "a mask of one channel masks the first alone",
        "sources/masked.py",
        "valid.reshape([1 if one else n",
        "valid.reshape([n",
        "properties/test_masks.py::test_stacks_colours_and_masks_of_some_axes",
    ),
    broken(
        "another mask is the same input",
        "sources/masked.py",
        'return self.image.fingerprint | {f"mask_{name}": value for name, value in self.mask.fingerprint.items()}',
        "return self.image.fingerprint",
        "properties/test_masks.py::test_the_mask_is_part_of_what_a_result_is",
    ),
    broken(
        "a border brings no other value into a strip of one",
        "tiles/idle.py",
        "if not (inside or _same_border(stage, pixel)):",
        "if False:",
        "tiles/test_idle.py::test_a_constant_border_is_a_number_beside_nothing",
        f"{ONE_VALUE}::test_of_every_operator",
    ),
    broken(
        "zeros of both signs are one value",
        "alike.py",
        'bits = pixels.view(f"u{pixels.itemsize}")',
        "bits = pixels",
        f"{ONE_VALUE}::test_zeros_of_both_signs_are_two_values",
    ),
    broken(
        "the mean of a block is its one value, whatever that is",
        "engines/fft_engine.py",
        "return exact and choice.grid.zeros_around is None",
        "return choice.grid.zeros_around is None",
        f"{ONE_VALUE}::test_one_value_that_no_mean_gives_back",
    ),
    broken(
        "a transform of zeros leaves a negative zero as it is",
        "engines/fft_factors.py",
        "return self.exact or not (base == 0 and np.signbit(base))",
        "return True",
        f"{ONE_VALUE}::test_zeros_under_weights_below_zero",
    ),
    broken(
        "the pixels of one value are counted as one",
        "tiles/compute.py",
        "return counts.of_each(pixels.size)",
        "return counts",
        f"{ONE_VALUE}::test_clipped_pixels_are_counted_and_refused_as_many",
    ),
    broken(
        "of valid pixels that are alike near the last is taken",
        "operations/fill.py",
        'order = np.argsort(squares.ravel(), kind="stable")',
        'order = squares.size - 1 - np.argsort(squares.ravel()[::-1], kind="stable")',
        "operations/test_fill.py::test_nearest",
    ),
)
