"""Promises about stages that branch and join, and about several outputs, broken one at a time."""

from __future__ import annotations

from tests.mutation.mutation import broken

GRAPHS = "properties/test_graphs.py"

GRAPH = (
    broken(
        "a stage makes what its last reader needs alone",
        "planning/regions.py",
        "return other if one is None else (min(one[0], other[0]), max(one[1], other[1]))",
        "return other",
        f"{GRAPHS}::test_every_output_is_that_of_the_whole_image",
    ),
    broken(
        "a tile is done when one of the records that it writes to says so",
        "record/todo.py",
        "            why = np.where(found, found, why)\n",
        "            why = why if why.any() else found\n",
        f"{GRAPHS}::test_a_run_that_is_killed_between_any_two_lines_is_resumed_to_the_same_files",
    ),
    broken(
        "outputs that are complete are written again beside others",
        "execute/begin.py",
        "    passes = _unfinished(plan, sinks, todo, files)\n",
        "    passes = plan.passes\n",
        f"{GRAPHS}::test_an_output_that_is_complete_is_left_alone_while_another_is_mended",
    ),
    broken(
        "rows that are not finite are stored as they are",
        "engines/rows.py",
        "some, made):\n                return GAVE_UP",
        "some, made):\n                clipped += 0",
        "properties/test_rows.py::test_strange_pixels_are_left_to_the_stages",
    ),
    broken(
        "lengths of float32 vectors are summed in float32 by rows",
        "engines/row_loops.py",
        "of = code.double if which == WIDE_SQUARES else code.real",
        "of = code.real",
        "properties/test_rows.py::test_chains_are_made_by_rows",
    ),
    broken(
        "pixels at the end of a row that are made twice are counted twice",
        "engines/vectors.py",
        "b.shl(every, start)",
        "every",
        "properties/test_rows.py::test_chains_are_made_by_rows",
    ),
    broken(
        "a constant beyond a border is made before the pixels, and not of its own value",
        "engines/row_table.py",
        "rows[-1] = y\n",
        "rows[-1] = 0\n",
        "properties/test_rows.py::test_chains_are_made_by_rows",
    ),
)
