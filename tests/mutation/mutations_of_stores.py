"""Promises about the output and the stores that it lies in, broken one at a time."""

from __future__ import annotations

from tests.mutation.mutation import Mutation, broken

JOURNAL, SINK = "record/test_journal.py", "sinks/test_zarr_sink.py"

STORE = (
    broken(
        "chunks carry a wrong checksum",
        "stores/packed.py",
        "value: int = google_crc32c.value(data)",
        "value: int = google_crc32c.value(data[1:])",
        "sinks/test_encoding.py::test_chunks_are_those_that_zarr_writes",
    ),
    broken(
        "a store says that it is complete from the start",
        "sinks/zarr.py",
        "self.layout.metadata(self.custody.unfinished).items():",
        'self.layout.metadata({MARKER: {"complete": True}}).items():',
        f"{SINK}::test_the_store_looks_complete_only_after_finish",
        "execute/test_results_as_inputs.py::test_the_result_of_a_broken_off_run_is_no_input",
    ),
    broken(
        "the ome attribute comes before the pixels",
        "sinks/zarr.py",
        "self.layout.metadata(self.custody.unfinished).items():",
        'self.layout.metadata(self.custody.unfinished | ome_attributes(self.layout.info, name="")).items():',
        f"{SINK}::test_the_store_looks_complete_only_after_finish",
    ),
    broken(
        "a shard says of a chunk that it lies a byte further",
        "sinks/writer.py",
        "index[self._inner(chunk)] = at, length",
        "index[self._inner(chunk)] = at + 1, length",
        f"{SINK}::test_any_tiling_by_whole_files_stores_the_image",
    ),
    broken(
        "a result is resumed with another codec",
        "planning/model.py",
        " | by_field(write.storage) |",
        " |",
        "execute/test_storage.py::test_another_way_to_store_it_is_refused",
    ),
    broken(
        "a hot pixel decides what is shown",
        "sinks/contrast.py",
        "OUTSIDE = 0.001",
        "OUTSIDE = 0.0",
        "sinks/test_contrast.py::test_percentiles_of_the_image_but_not_one_hot_pixel",
    ),
    broken(
        "finish takes a store that lacks chunks",
        "sinks/zarr.py",
        "if (missing := self.custody.missing()) > 0:",
        "if (missing := 0) > 0:",
        f"{SINK}::test_finish_refuses_a_store_that_lacks_chunks",
    ),
    Mutation(
        "files are written in place",
        (
            (
                "sinks/files.py",
                "temporary = steady.temporary_name(path)",
                "temporary = path",
            ),
            (
                "sinks/files.py",
                "            steady.rename(temporary, path)\n        except BaseException:\n            steady.",
                "        except BaseException:\n            steady.exists(temporary)  # ",
            ),
        ),
        ("sinks/test_output_files.py::test_a_failed_replacement_leaves_the_old_file_and_nothing_else",),
    ),
    broken(
        "the input may be the output",
        "sinks/files.py",
        "if any(_same(written, part) for part in (read, *read.parents)):",
        "if False:",
        "sinks/test_output_files.py::test_an_output_that_is_the_input_is_refused_through_links",
    ),
    broken(
        "what is created replaces what was there",
        "stores/steady.py",
        "retrying(partial(os.link, temporary, path))",
        "rename(temporary, path)",
        "stores/test_stores.py::test_an_object_is_created_once",
    ),
    broken(
        "segments of a journal are read by their names",
        "record/folder.py",
        "key=lambda segment: int(segment[1] or 0)",
        "key=lambda segment: segment[0]",
        f"{JOURNAL}::test_segments_are_read_in_the_order_of_their_numbers",
    ),
    broken(
        "stores of others are replaced",
        "sinks/custody.py",
        "if MARKER not in read_attributes(self.store):",
        "if False:",
        "sinks/test_custody.py::test_what_is_not_ours_is_never_touched",
    ),
)
