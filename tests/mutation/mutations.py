"""The table of mutations: which text of which file is replaced by what, and the tests of which at least one must fail.

Every text stands once in its file. The tests named are the fewest that notice. The rest of the table lies beside it.
"""

from __future__ import annotations

from tests.mutation.mutation import Mutation, broken
from tests.mutation.mutations_of_channels import CHANNELS
from tests.mutation.mutations_of_files import INPUT, JOURNALS
from tests.mutation.mutations_of_graphs import GRAPH
from tests.mutation.mutations_of_leases import LEASES
from tests.mutation.mutations_of_lessons import LESSONS
from tests.mutation.mutations_of_levels import LEVELS
from tests.mutation.mutations_of_missing import MISSING
from tests.mutation.mutations_of_processes import PROCESSES
from tests.mutation.mutations_of_stores import STORE

MAPS, CAST = "engines/test_index_maps.py", "engines/test_cast.py"
SINK, KERNEL, SEVERAL = "sinks/test_zarr_sink.py", "engines/test_kernel.py", "operations/test_several.py"
TILING, RIGHT = "properties/test_tiling_is_invisible.py", "properties/test_right_answer.py"
RANGE, PLAN, CHANGES = "properties/test_range.py", "planning/test_plan_model.py", "record/test_changes.py"
SILENT, ORDER = "properties/test_nothing_silently_wrong.py", "execute/test_order_of_a_run.py"

GEOMETRY = (
    broken(
        "the sink takes tiles that cut a chunk",
        "sinks/writer.py",
        "if any(a % side or (b % side and b != size) for a, b, side, size in edges):",
        "if False:",
        f"{SINK}::test_boxes_that_cut_a_chunk_or_leave_the_image_are_refused",
    ),
    broken(
        "run.tile may cut chunks",
        "planning/budget.py",
        "if size % unit and size < whole:",
        "if False:",
        "planning/test_tile_choice.py::test_a_tile_that_cuts_chunks_is_refused_with_one_that_does_not",
    ),
    broken(
        "the plan chooses tiles that cut chunks",
        "planning/tiles.py",
        "tiles.append(tuple(n * c for n, c in zip(counts, units, strict=True)))",
        "tiles.append(tuple(n * c + (n > 1) for n, c in zip(counts, units, strict=True)))",
        "planning/test_tile_choice.py::test_every_tile_offered_is_a_whole_number_of_chunks",
    ),
    broken(
        "the halo is one short after the tile",
        "planning/regions.py",
        "want = min(a for a, _ in ends), max(b for _, b in ends)",
        "want = min(a for a, _ in ends), max(b for _, b in ends) - (max(b for _, b in ends) > out[1])",
        f"{RIGHT}::test_any_kernel",
    ),
    broken(
        "a tile reads one pixel less than it needs, and extends what it has",
        "tiles/compute.py",
        "    return tuple(pass_.block(number, tile, steps[-1 - number].out) for number in range(len(pass_.reads)))",
        "    boxes = [pass_.block(number, tile, steps[-1 - number].out) for number in range(len(pass_.reads))]\n"
        "    return tuple(Box(b.start, (*b.stop[:-1], max(tile.stop[-1], b.stop[-1] - 1)), b.axes) for b in boxes)",
        f"{TILING}::test_tile_sizes_and_halo_methods",
        "planning/test_regions.py",
    ),
    broken(
        "the sides of the halo are swapped",
        "engines/kernel.py",
        "return Halo(self.anchor, tuple(n - 1 - a for n, a in zip(self.shape, self.anchor, strict=True)))",
        "return Halo(tuple(n - 1 - a for n, a in zip(self.shape, self.anchor, strict=True)), self.anchor)",
        f"{RIGHT}::test_any_kernel",
    ),
    Mutation(
        "the border is made once, by the whole halo",
        (
            (
                "planning/regions.py",
                "    if last - first > size:\n        first, last = 0, size\n",
                "    if stage.inputs != (-1,):\n        first, last = want[0] - low, want[1] - low\n",
            ),
            (
                "engines/borders.py",
                'held and (border.rule == "wrap" or (domain.start[axis] <= start and stop <= domain.stop[axis]))',
                "held",
            ),
        ),
        (f"{RIGHT}::test_chains_where_every_stage_extends_its_own_input",),
    ),
    broken(
        "strips leave a row out",
        "boxes.py",
        "return [(a, min(a + size, stop)) for a in range(start, stop, size)]",
        "return [(a, min(a + max(1, size - 1), stop)) for a in range(start, stop, size)]",
        "planning/test_tile_choice.py::test_pieces_cover_once",
    ),
    broken(
        "the bound leaves out what outer products leave of the weights",
        "engines/engine.py",
        "return self.kernel.remainder / abs(self.kernel.divide_by)",
        "return 0.0",
        "engines/test_expected.py::test_what_the_outer_products_leave_is_part_of_the_bound",
    ),
    broken(
        "the expected error grows with the number of roundings",
        "engines/expected.py",
        "return math.sqrt(square)",
        "return math.sqrt(square) * sum(f.size for f in factors)",
        "engines/test_expected.py::test_errors_are_as_expected_and_never_above_the_bound",
    ),
    broken(
        "NaN may go into integers by the plan",
        "planning/layout.py",
        "if missing and missing.becomes_nan and _may_lack(source, missing) and values.nan and output.nodata is None:",
        "if False:",
        "planning/test_plan_model.py::test_nan_into_integers_is_refused_by_the_plan",
    ),
    broken(
        "a tile beyond the image looks for missing pixels in what it is made from",
        "tiles/missing.py",
        "count = int(absent[inside.within(have)].sum()) if inside.size else 0",
        "count = int(absent[inside.within(have)].sum())",
        f"{SILENT}::test_missing_pixels_where_a_tile_lies_wholly_beyond_the_image",
    ),
    broken(
        "missing pixels that valid reads and no tile has are not seen",
        "tiles/missing.py",
        "ends = _owned(of, image, ours)",
        "ends = ours",
        f"{SILENT}::test_the_rule_error_sees_what_lies_in_a_halo_alone",
    ),
    broken(
        "chunks of which valid leaves nothing stay",
        "tiles/overlap.py",
        "_merged(_inside(cuts, pass_, i), pass_, i)",
        "_merged(cuts, pass_, i)",
        "tiles/test_overlap.py::test_chunks_of_which_nothing_is_left_join_a_neighbour",
    ),
    broken(
        "a fraction counts as whole among whole numbers held as floats",
        "engines/values.py",
        "return self.low <= value <= self.high and (not self.whole or float(value).is_integer())",
        "return self.low <= value <= self.high",
        "properties/test_whole_or_not.py::test_a_fractional_border_after_a_whole_stage_ends_exactness",
    ),
    broken(
        "nodata of 64-bit pixels is compared as a float",
        "images.py",
        "return np.asarray(pixels == pixels.dtype.type(int(value)))",
        "return np.asarray(pixels.astype(float) == float(value))",
        "properties/test_64_bits.py::test_nodata_is_compared_exactly",
    ),
    broken(
        "whole numbers that float64 would round pass",
        "engines/cast.py",
        'if max(high, -low - (dtype.kind == "i")) >= 2**bits + (dtype.kind == "f"):',
        "if False:",
        "properties/test_64_bits.py::test_what_float64_would_round_beside_nan_or_a_fraction_is_refused",
        "properties/test_64_bits.py::test_uint64_beside_a_negative_fill_value_is_exact_or_refused",
    ),
    broken(
        "missing pixels of the halo are counted with the tile's",
        "tiles/missing.py",
        "count = int(absent[inside.within(have)].sum()) if inside.size else 0",
        "count = int(absent.sum())",
        f"{ORDER}::test_missing_pixels_are_counted_once_whatever_the_tile",
    ),
    broken(
        "halos that wrap are read from the wrong repetition",
        "tiles/windows.py",
        "pieces.append((start, end, -repetition * size))",
        "pieces.append((start, end, -max(repetition, 0) * size))",
        "tiles/test_windows.py::test_reading_beyond_the_image_is_its_repetition",
    ),
    broken(
        "exchanged halos are one short",
        "tiles/overlap.py",
        "before, after = max(before, low - first), max(after, last - high)",
        "before, after = max(before, low - first - 1), max(after, last - high)",
        f"{TILING}::test_tile_sizes_and_halo_methods",
    ),
)

RULES = (
    broken(
        "reflect leaves the edge pixel out",
        "engines/borders.py",
        'period - (rule == "reflect") - folded',
        'period - 2 * (rule == "reflect") - folded',
        MAPS,
    ),
    broken(
        "mirror is one pixel off",
        "engines/borders.py",
        "return np.where(folded < size, folded, period -",
        'return np.where(folded < size, folded, period - (rule == "mirror") -',
        MAPS,
    ),
    broken(
        "nearest takes the pixel beside the edge",
        "engines/borders.py",
        "np.clip(positions, 0, size - 1)",
        "np.clip(positions, min(1, size - 1), size - 1)",
        MAPS,
    ),
    broken(
        "wrap is one pixel off before the image",
        "engines/borders.py",
        "return positions % size",
        "return (positions - (positions < 0)) % size",
        MAPS,
    ),
    broken(
        "constant begins one pixel late",
        "engines/borders.py",
        "(positions >= size), OUTSIDE, positions)",
        "(positions > size), OUTSIDE, positions)",
        MAPS,
    ),
)

NUMBERS = (
    broken(
        "the centre of an even kernel is one off",
        "engines/kernel.py",
        "anchor = tuple(n // 2 for n in array.shape)",
        "anchor = tuple((n - 1) // 2 for n in array.shape)",
        f"{KERNEL}::test_the_centre_of_even_kernels",
        f"{KERNEL}::test_flip_and_anchor_are_the_definition_of_convolution",
    ),
    broken(
        "convolution does not turn the kernel",
        "engines/kernel.py",
        "array = np.flip(array)",
        "array = array.copy()",
        f"{KERNEL}::test_flip_and_anchor_are_the_definition_of_convolution",
    ),
    broken(
        "blocks of the FFT begin where the tile does",
        "engines/grid.py",
        "origin, step = self.origin[axis], self.step[axis]",
        "origin, step = start, self.step[axis]",
        "engines/test_fft.py::test_cutting_changes_no_byte",
        "planning/test_regions.py::test_the_fft_reads_whole_canonical_blocks",
    ),
    broken(
        "NaN is a zero to the FFT",
        "engines/fft.py",
        "strange[read.within(around)] = kinds(values)",
        "strange[read.within(around)] = kinds(values) % 3",
        "engines/test_fft.py::test_nan_and_infinity_stand_where_the_definition_puts_them",
    ),
    broken(
        "a weight of 0 takes part",
        "engines/nonfinite.py",
        "turns = np.diff(signs != 0, axis=2, prepend=False, append=False)",
        "turns = np.diff(np.ones(signs.shape, bool), axis=2, prepend=False, append=False)",
        "engines/test_nonfinite.py::test_how_many_pixels_one_reaches",
    ),
    broken(
        "a partial sum that leaves the range is an infinity",
        "engines/nonfinite.py",
        "overflows = largest",
        "overflows = 0 * largest",
        "engines/test_nonfinite.py::test_the_largest_number_stays_where_a_kernel_sums_to_one",
    ),
    broken(
        "float32 sums under weights outside its range",
        "planning/stages.py",
        "if operation.outgrows_float32(padded, choices, values_out):",
        "if False:",
        f"{RANGE}::test_weights_outside_float32_are_summed_in_float64",
    ),
    broken(
        "squares of magnitudes leave the range",
        "operations/loops.py",
        "if 0 < largest < math.inf:",
        "if False:",
        f"{RANGE}::test_magnitudes_scale_with_the_image",
    ),
    broken(
        "a formula is not made again when a part of it overflows",
        "operations/formulas.py",
        "again = ~np.isfinite(made[:, rows])",
        "again = np.zeros(made[:, rows].shape, bool)",
        f"{RANGE}::test_rescale",
        f"{RANGE}::test_unsharp",
    ),
    broken(
        "NaN keeps the sign that the tile gave it",
        "engines/cast.py",
        "band[np.isnan(band)] = np.nan",
        "pass",
        f"{CAST}::test_every_nan_gets_the_bits_of_numpys",
    ),
    broken(
        "whole-number sums may leave int64",
        "engines/sums.py",
        "if choice.sums.guarded:",
        "if False:",
        f"{RIGHT}::test_int64_is_exact_up_to_its_edge_and_refused_beyond",
    ),
    broken(
        "sums of several inputs may leave int64",
        "operations/add.py",
        "if made.dtype == INT64 and",
        "if False and",
        f"{SEVERAL}::test_exact_or_within_the_bound_in_every_type",
    ),
    broken(
        "a missing pixel divided by 0 is no longer missing",
        "operations/divide.py",
        "(b == 0) & ~np.isnan(a)",
        "b == 0",
        f"{SEVERAL}::test_nan_in_any_input_that_counts_is_nan",
    ),
    broken(
        "a product leaves the range on its way",
        "operations/multiply.py",
        "return parts[0] * parts[1] if len(parts) == 2 else _product(parts)",
        "return np.multiply.reduce(parts)",
        f"{SEVERAL}::test_parts_of_a_formula_do_not_leave_the_range",
    ),
    broken(
        "halves are rounded up",
        "engines/cast.py",
        "value = np.rint(part[i])\n            inside",
        "value = np.floor(part[i] + 0.5)\n            inside",
        f"{CAST}::test_floats_to_integers",
    ),
    broken(
        "pixels below the range are not counted",
        "engines/cast.py",
        "clipped += value < low or value >= past",
        "clipped += value >= past",
        f"{CAST}::test_floats_to_integers",
    ),
    broken(
        "overflow: error clips",
        "engines/cast.py",
        'if clipped and overflow == "error":',
        "if False:",
        f"{CAST}::test_overflow_error_refuses",
    ),
    broken(
        "NaN becomes a whole number",
        "engines/cast.py",
        "            absent += np.isnan(value)",
        "            absent += 0",
        f"{CAST}::test_nan_is_refused_with_the_count",
    ),
    broken(
        "nodata needs no rule",
        "planning/build.py",
        "if nodata is not None and spec.missing is None and not said_by_all:",
        "if False:",
        f"{SILENT}::test_nodata_without_a_rule_is_refused",
    ),
    broken(
        "what an operation says beside its kernels is no part of the identity",
        "planning/identity.py",
        "but=[f.name for f in fields(operation) if getattr(operation, f.name) in summed]",
        "but=[f.name for f in fields(operation)]",
        f"{PLAN}::test_no_field_of_an_operation_is_left_out",
    ),
    broken(
        "a field that nobody knows how to write is written as nothing",
        "planning/encoding.py",
        """        raise TypeError(f"nothing says how {type(value).__name__} is written down: {value!r}")
""",
        "        return None\n",
        f"{PLAN}::test_no_field_of_an_operation_is_left_out",
    ),
    broken(
        "of a border's value six digits count",
        "engines/borders.py",
        "{short if float(short) == self.value else self.value}",
        "{short}",
        f"{CHANGES}::test_all_digits_of_a_border_count",
    ),
    broken(
        "an array is filtered by the constants of this machine",
        "planning/arrays.py",
        "from tileconv.engines.cost import shipped_costs\n",
        "from tileconv.engines.cost import user_costs as shipped_costs\n",
        "engines/test_choice.py::test_a_calibration_decides_the_engines_of_plans_and_of_no_array",
    ),
)

MUTATIONS = (
    *GEOMETRY,
    *GRAPH,
    *RULES,
    *NUMBERS,
    *INPUT,
    *STORE,
    *LEASES,
    *JOURNALS,
    *PROCESSES,
    *LESSONS,
    *LEVELS,
    *MISSING,
    *CHANNELS,
)
