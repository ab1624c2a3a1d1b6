"""Promises about inputs, the output store and the journal, broken one at a time."""

from __future__ import annotations

from tests.mutation.mutation import Mutation, broken

PROVENANCE = "execute/test_provenance.py"
SINK, REWRITTEN = "sinks/test_zarr_sink.py", "sources/test_tiff_rewritten.py"
ORDER = "execute/test_order_of_a_run.py"
JOURNAL, RESUME, CHANGES = "execute/test_journal.py", "execute/test_kill_and_resume.py", "execute/test_changes.py"

INPUT = (
    broken(
        "a segment that a TIFF leaves out reads as zeros under missing_chunks: error",
        "sources/tiff.py",
        'if self._missing == "error":',
        "if False:",
        "sources/test_tiff_hostile.py::test_sparse_tiles_are_counted_and_read_as_nodata",
    ),
    broken(
        "a lost chunk of an intermediate result reads as zeros",
        "execute/run.py",
        'return open_source(str(sink.path), axes=axes, missing_chunks="error")',
        "return open_source(str(sink.path), axes=axes)",
        f"{ORDER}::test_a_lost_chunk_of_an_intermediate_result_is_never_zeros",
    ),
    broken(
        "an input is known by its beginning alone",
        "sources/source.py",
        "blocks.update(file.read(BLOCK_BYTES))",
        "pass",
        f"{PROVENANCE}::test_a_change_as_wide_as_a_32nd_of_a_large_file_is_found_wherever_it_lies",
    ),
    broken(
        "chunks of a Zarr input are known by their sizes alone",
        "sources/zarr.py",
        "digest.update(start + file.read())",
        "file.seek(0, os.SEEK_END)",
        "sources/test_zarr_source.py::test_chunks_written_anew_are_read_anew_and_change_the_fingerprint",
    ),
    broken(
        "an output tells how its run went",
        "execute/provenance.py",
        'del spec["run"], spec["output"]["path"]',
        'del spec["output"]["path"]',
        f"{PROVENANCE}::test_equal_runs_make_equal_stores",
    ),
    broken(
        "an image is named by the place of the output",
        "execute/run.py",
        "name=image_name(plan), ",
        "",
        f"{PROVENANCE}::test_equal_runs_make_equal_stores",
    ),
    broken(
        "an input that changes is not noticed",
        "sources/source.py",
        "if stamp_of(path) != stamp:",
        "if False:",
        f"{REWRITTEN}::test_a_file_written_over_with_one_of_the_same_size",
    ),
    broken(
        "an input that changes to one of the same size is not noticed",
        "sources/source.py",
        "return stat.st_size, stat.st_mtime_ns",
        "return stat.st_size, 0",
        f"{REWRITTEN}::test_a_file_written_over_with_one_of_the_same_size",
    ),
    broken(
        "decoded segments are kept by the name of their file alone",
        "sources/tiff.py",
        "self._key = (self._recipe, *self._stamp, *self.fingerprint.values())",
        "self._key = (self._recipe,)",
        f"{REWRITTEN}::test_decoded_pixels_are_those_of_the_file_as_it_is_now",
    ),
    broken(
        "the end of a JPEG segment may be cut off",
        "sources/tiff.py",
        "if layout.ends not in data[-64:]:",
        "if False:",
        "sources/test_tiff_hostile.py::test_segment_cut_short_is_named",
    ),
    broken(
        "tiles may lie beyond the end of the file",
        "sources/tiff_layout.py",
        "if (bad & present).any():",
        "if False:",
        "sources/test_tiff_hostile.py::test_truncated_anywhere_is_refused_or_whole",
    ),
    broken(
        "fax pixels of eight bits are zeros",
        "sources/tiff_layout.py",
        "if key.compression in _FAX and key.bitspersample != 1:",
        "if False:",
        f"{REWRITTEN}::test_what_the_fuzzer_found",
    ),
)

STORE = (
    broken(
        "chunks carry a wrong checksum",
        "sinks/encoding.py",
        "value: int = google_crc32c.value(data)",
        "value: int = google_crc32c.value(data[1:])",
        "sinks/test_encoding.py::test_chunks_are_those_that_zarr_writes",
    ),
    broken(
        "a store says that it is complete from the start",
        "sinks/zarr.py",
        'self.metadata({MARKER: {"complete": False}}).items():',
        'self.metadata({MARKER: {"complete": True}}).items():',
        f"{SINK}::test_the_store_looks_complete_only_after_finish",
        "execute/test_results_as_inputs.py::test_the_result_of_a_broken_off_run_is_no_input",
    ),
    broken(
        "the ome attribute comes before the pixels",
        "sinks/zarr.py",
        'self.metadata({MARKER: {"complete": False}}).items():',
        'self.metadata({MARKER: {"complete": False}, **ome_attributes(self.info, name="")}).items():',
        f"{SINK}::test_the_store_looks_complete_only_after_finish",
    ),
    broken(
        "a shard says of a chunk that it lies a byte further",
        "sinks/zarr.py",
        "index[self._inner(chunk)] = at, length",
        "index[self._inner(chunk)] = at + 1, length",
        f"{SINK}::test_any_tiling_by_whole_files_stores_the_image",
    ),
    broken(
        "a result is resumed with another codec",
        "execute/what.py",
        "        **last.storage.as_json(),\n",
        "",
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
        "if found < expected:",
        "if False:",
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
        "stores of others are replaced",
        "sinks/custody.py",
        "if MARKER not in read_attributes(self.path):",
        "if False:",
        f"{SINK}::test_what_is_not_ours_is_never_touched",
    ),
)

JOURNALS = (
    broken(
        "a worker with other versions is trusted",
        "execute/look.py",
        "    if differ:\n",
        "    if False:\n",
        "execute/test_trust.py::test_what_differs_is_named_and_what_was_called_is_not_done",
    ),
    broken(
        "tiles go to workers that are not trusted",
        "execute/crew.py",
        " for address in workers if address in self.trust.trusted}",
        " for address in workers}",
        "execute/test_trust.py::test_another_code_gets_no_tiles_and_is_named",
    ),
    broken(
        "a worker whose libraries changed while it runs is trusted",
        "execute/look.py",
        "    if changed:\n",
        "    if False:\n",
        "execute/test_trust.py::test_what_was_installed_after_a_process_began_is_not_trusted",
    ),
    broken(
        "a tile is in the journal before it is written",
        "execute/local.py",
        "        return None if stop.is_set() else make(tile)",
        "        from tileconv.graph.windows import Receipt\n"
        "        from tileconv.graph.work import Counts\n\n"
        "        heard(Receipt(tile, 0.0, Counts()))\n"
        "        return None if stop.is_set() else make(tile)",
        f"{ORDER}::test_a_tile_that_is_in_the_journal_is_stored",
    ),
    broken(
        "a torn line of the journal swallows the next",
        "execute/journal.py",
        'line = b"\\n" * self._torn + line',
        "line = line[:]",
        f"{JOURNAL}::test_every_torn_end_loses_the_last_line_alone",
    ),
    broken(
        "the checksum of a journal's line is not checked",
        "execute/journal.py",
        'if checksum != b"%08x" % zlib.crc32(text):',
        "if False:",
        f"{JOURNAL}::test_a_flipped_bit_loses_its_line_and_invents_nothing",
    ),
    broken(
        "the marker done comes before the metadata",
        "execute/run.py",
        "            folder.unset_done()\n",
        '            folder.set_done({"fingerprint": plan.fingerprint()})\n',
        f"{ORDER}::test_done_is_said_when_all_is_done",
    ),
    broken(
        "a run that goes on ignores lost chunks",
        "execute/resume.py",
        'return "" if there and not sink.lacks(stored_box(work, key[1])) else GONE',
        'return ""',
        f"{RESUME}::test_a_lost_chunk_is_made_again_and_nothing_else",
    ),
    broken(
        "a run that goes on takes its own tiles for those of the run before",
        "execute/begin.py",
        "    plan = adopt(plan, source, recorded)\n",
        "",
        f"{CHANGES}::test_the_tile_that_the_plan_chose_is_adopted",
    ),
    broken(
        "a run goes on with what another began",
        "execute/begin.py",
        "    check_same(recorded, what(plan, source), plan.spec.output.path)\n",
        "",
        f"{CHANGES}::test_another_input_is_refused",
    ),
    broken(
        "two runs write to one output",
        "execute/lock.py",
        "_locked(descriptor, fcntl.LOCK_EX, file)",
        "_locked(descriptor, fcntl.LOCK_SH, file)",
        f"{RESUME}::test_a_second_run_at_the_same_time_is_refused",
    ),
    broken(
        "verify takes any digest",
        "execute/verify.py",
        "if sink.stored_digest(box) == digest:",
        "if sink.stored_digest(box):",
        "execute/test_verify.py::test_several_chunks_in_a_tile",
        "faults/test_damages.py::test_one_by_one",
    ),
    broken(
        "verify makes nothing again",
        "execute/recompute.py",
        "    if not differ.any():\n",
        "    if True:\n",
        "execute/test_verify.py::test_pixels_that_are_wrong_though_whole",
    ),
    broken(
        "a repair forgets what it found",
        "execute/repair.py",
        "            journal.append(event)\n            history.add(event)\n",
        "",
        "execute/test_repair.py::test_only_what_is_damaged",
    ),
    broken(
        "what the system cannot tell is absent",
        "steady.py",
        "        if error.errno in _NOTHING:\n            return None\n        raise\n",
        "        return None if error else None\n",
        "test_steady.py::test_what_the_system_cannot_tell_is_not_absent",
    ),
    broken(
        "chunks are written through links",
        "sinks/zarr.py",
        "        refuse_links(self.path, file)\n",
        "",
        "execute/test_links.py::test_a_folder_that_is_a_link_is_not_written_through",
        "execute/test_links.py::test_a_link_made_while_the_run_writes",
    ),
    broken(
        "the record is written through links",
        "execute/folder.py",
        "                refuse_links(self.path / name, self.path / name)\n",
        "                continue\n",
        "execute/test_links.py::test_a_file_of_the_record_that_is_a_link_is_not_written_through",
    ),
    broken(
        "a complete run needs a disk that it may write to",
        "execute/lock.py",
        "if error.errno not in _READ_ONLY or not idle():",
        "if error:",
        "execute/test_links.py::test_a_complete_run_on_a_read_only_disk",
    ),
    broken(
        "a repair verifies before it says that it has begun",
        "execute/repair.py",
        "    folder.set_repairing()\n",
        "",
        "execute/test_repair.py::test_stopped_while_it_verifies_what_is_whole",
    ),
    broken(
        "a worker of an older run replaces a chunk",
        "execute/run.py",
        "        revoke(folder)\n",
        "",
        "execute/test_staging.py::test_a_run_takes_it_away_from_the_workers_of_the_one_before",
    ),
    broken(
        "a worker still replaces a chunk when its run is over",
        "execute/staging.py",
        "        raise\n    revoke(folder)\n",
        "        raise\n",
        "execute/test_staging.py::test_after_the_run_nothing_comes_into_its_place",
    ),
)
