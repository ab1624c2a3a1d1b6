"""Promises about kernels that are learned, broken one at a time."""

from __future__ import annotations

from tests.mutation.mutation import broken

SUMS, LEARN, PASSES = "lessons/test_sums.py", "lessons/test_learn.py", "lessons/test_learning_passes.py"

LESSONS = (
    broken(
        "rows that only some windows have are left out",
        "lessons/sums.py",
        "_add_rows(a, b, first + height + k - 1, 1, down, edge)",
        "_add_rows(a, b, first + height + k - 2, 1, down, edge)",
        f"{SUMS}::test_sums_of_a_block_are_those_of_all_its_patches",
    ),
    broken(
        "the carry of a sum is lost",
        "lessons/exact.py",
        "parts = ((mantissa << shift) & _LOW, rest & _LOW, rest >> LIMB)",
        "parts = ((mantissa << shift) & _LOW, rest & _LOW)",
        f"{SUMS}::test_sums_are_exact_in_any_order_and_in_any_parts",
    ),
    broken(
        "blocks are held out by the tile",
        "lessons/job.py",
        "number = number * count + at[axis] // side",
        "number = number * count + (at[axis] - tile.start[tile.axes.index(axis)]) // side",
        f"{PASSES}::test_bytes_do_not_depend_on_tiles_workers_or_executors",
    ),
    broken(
        "pixels whose kernel touches a missing one count",
        "lessons/job.py",
        "counts = footprints(good, self.shape) & (True if counts is None else counts)",
        "pass",
        f"{LEARN}::test_missing_pixels_and_a_mask_do_not_count",
    ),
    broken(
        "sums that were damaged on their way are added",
        "lessons/teach.py",
        "if hashlib.sha256(data).hexdigest() != outcome.digests[0]:",
        "if False:",
        f"{PASSES}::test_sums_that_were_damaged_on_their_way_are_refused",
    ),
    broken(
        "a sum of weights is not met",
        "lessons/wishes.py",
        "solution = first + free @ _shortest(factor, aim)",
        "solution = free @ _shortest(factor, aim)",
        "lessons/test_wishes.py::test_the_best_weights",
    ),
)
