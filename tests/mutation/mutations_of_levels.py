"""Promises about levels of a pyramid, broken one at a time."""

from __future__ import annotations

from tests.mutation.mutation import broken

RUNS, ADDED, CRASHES = "execute/test_pyramids.py", "execute/test_pyramid_command.py", "faults/test_crash_of_levels.py"
WHOLE = f"{RUNS}::test_levels_are_those_of_the_whole_image"
ANEW = f"{ADDED}::test_what_is_there_and_was_not_named_may_be_made_anew"

LEVELS = (
    broken(
        "the last pixel of an odd size has no place above",
        "operations/shrink.py",
        "return tuple(-(-n // f) for n, f in zip(below, self.factor, strict=True))",
        "return tuple(max(1, n // f) for n, f in zip(below, self.factor, strict=True))",
        f"{RUNS}::test_where_levels_lie",
    ),
    broken(
        "a gaussian level ends where its tile does",
        "operations/shrink.py",
        "bounds = [(max(0, a * f - h), min(b * f + h, n)) for a, b, f, h, n in ends]",
        "bounds = [(max(0, a * f - h), min(b * f, n)) for a, b, f, h, n in ends]",
        WHOLE,
    ),
    broken(
        "a level lies where the one below does",
        "planning/pyramid.py",
        "place = tuple(p + s * at for p, s, at in zip(place, steps, shrink.first, strict=True))",
        "place = tuple(p for p, s, at in zip(place, steps, shrink.first, strict=True))",
        f"{RUNS}::test_where_levels_lie",
    ),
    broken(
        "a tile makes levels whose chunks it cuts",
        "planning/pyramid.py",
        "all(t >= n or t % (s * u) == 0 for t, n, s, u in sides)",
        "all(t >= n or t % s == 0 for t, n, s, u in sides)",
        WHOLE,
    ),
    broken(
        "labels have means",
        "planning/pyramid.py",
        "LABELS if info.labels else",
        "",
        f"{ADDED}::test_labels_are_made_by_mode",
    ),
    broken(
        "z shrinks wherever y and x do",
        "planning/pyramid.py",
        "return bool(known and deep",
        "return bool(not known or deep",
        f"{RUNS}::test_voxels_stay_roughly_cubic",
    ),
    broken(
        "what is missing counts in levels that are read back",
        "tiles/levels.py",
        "tile, info.nodata)",
        "tile, None)",
        f"{RUNS}::test_what_is_missing_is_skipped",
    ),
    broken(
        "what is missing counts in levels that are made with the tile",
        "tiles/windows.py",
        "level.shrink.make(pixels, place, level.info.nodata)",
        "level.shrink.make(pixels, place, None)",
        f"{RUNS}::test_what_is_missing_is_skipped",
    ),
    broken(
        "a level is made of tiles that are still made",
        "execute/work.py",
        "while not self.flying.isdisjoint(product(makers, under)):",
        "while False:",
        f"{RUNS}::test_a_level_goes_on_above_what_is_whole_of_the_level_below",
    ),
    broken(
        "a level waits until all below is made",
        "execute/work.py",
        "while not self.flying.isdisjoint(product(makers, under)):",
        "while self.flying:",
        f"{RUNS}::test_a_level_goes_on_above_what_is_whole_of_the_level_below",
    ),
    broken(
        "a level is made over a tile that failed",
        "execute/work.py",
        "if any(history.last(TileKey(array, one.number - 1, n)) != DONE for n in under):",
        "if False:",
        f"{RUNS}::test_a_tile_that_fails_leaves_out_what_lies_above",
    ),
    broken(
        "a level of what was damaged stays",
        "record/levels.py",
        "below = ~done | above(below, one)",
        "below = ~done",
        f"{RUNS}::test_levels_of_what_was_damaged_are_made_again_with_it",
    ),
    broken(
        "a chunk of a level that is gone is done",
        "record/levels.py",
        "if custody.lacks(tile_at(one.tiles.grid, tile), listed)]] = False",
        "if custody.lacks(tile_at(one.tiles.grid, tile), listed)]] = True",
        f"{RUNS}::test_stages_do_not_run_again_for_a_level",
    ),
    broken(
        "a result is whole without its levels",
        "execute/run.py",
        "if all_done(begun.histories[output], number, len(plan.write_of(output).levels)):",
        "if all_done(begun.histories[output], number, 0):",
        f"{RUNS}::test_a_tile_that_fails_leaves_out_what_lies_above",
    ),
    broken(
        "verify looks at the full size alone",
        "record/compare.py",
        "tiles = done if facts is None else [np.arange(len(grid)) for grid in grids]",
        "tiles = done if facts is None else [np.arange(len(grid)) for grid in grids[:1]]",
        f"{RUNS}::test_a_damaged_chunk_of_a_level_is_named_and_made_again",
    ),
    broken(
        "a result takes what levels a pipeline file says later",
        "execute/begin.py",
        "if asked is None or told[:both] == levels[:both]:",
        "if asked is None:",
        f"{RUNS}::test_a_result_keeps_the_levels_that_it_was_begun_with",
    ),
    broken(
        "levels of another method are taken for those that are asked for",
        "execute/begin.py",
        "if asked is None or told[:both] == levels[:both]:",
        "if True:",
        f"{RUNS}::test_levels_of_another_method_are_refused",
    ),
    broken(
        "levels are named before they are made",
        "execute/pyramid.py",
        "            _make(added.todo, workers, stop, added.heard, progress)\n            added.finish()",
        "            added.finish()\n            _make(added.todo, workers, stop, added.heard, progress)",
        f"{ADDED}::test_what_was_not_listed_is_made_anew_and_others_are_refused",
    ),
    broken(
        "a level that is whole and not named passes for another program's",
        "execute/pyramid_in_place.py",
        'MADE = {MARKER: {"complete": True}}',
        "MADE: dict[str, Any] = {}",
        ANEW,
    ),
    broken(
        "what a kill left of the first file of a level passes for another program's",
        "execute/pyramid_in_place.py",
        'if any(not TEMPORARY.fullmatch(name.rpartition("/")[2]) for name in store.list(key)):',
        "if any(True for _ in store.list(key)):",
        ANEW,
    ),
    broken(
        "an array of another program is taken for a level",
        "execute/pyramid_in_place.py",
        "if MARKER not in said:",
        "if False:",
        f"{ADDED}::test_what_was_not_listed_is_made_anew_and_others_are_refused",
    ),
    broken(
        "two commands add levels at once",
        "execute/pyramid.py",
        "with folder.locked(heard=progress.note):",
        "if True:",
        f"{ADDED}::test_two_at_once_are_refused",
    ),
    broken(
        "what a level is stored with is not counted",
        "execute/pyramid_in_place.py",
        "tile_bytes=bytes_alone(level, grid, of.shape) + coded)",
        "tile_bytes=bytes_alone(level, grid, of.shape))",
        f"{ADDED}::test_a_tile_takes_no_more_than_is_predicted",
    ),
    broken(
        "levels take what memory they want",
        "execute/pyramid.py",
        "if peak <= allowed.count or not tiles:",
        "if True:",
        f"{ADDED}::test_the_memory_says_how_many_take_part",
    ),
    broken(
        "a picture is as small as the smallest level",
        "report/picture.py",
        "if _pixels(-(-side // factor), max_px) < 0.75 * _pixels(side, max_px):",
        "if False:",
        "report/test_picture.py::test_the_smallest_level_that_is_large_enough_is_shown",
    ),
)
