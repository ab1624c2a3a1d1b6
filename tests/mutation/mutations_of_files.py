"""Promises about inputs and the journal, broken one at a time."""

from __future__ import annotations

from tests.mutation.mutation import broken

PROVENANCE = "record/test_provenance.py"
REWRITTEN = "sources/test_tiff_rewritten.py"
ORDER, DECLARED = "execute/test_order_of_a_run.py", "sources/test_declared.py"
JOURNAL, RESUME, CHANGES = "record/test_journal.py", "execute/test_kill_and_resume.py", "record/test_changes.py"

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
        "execute/work.py",
        'return open_source(place, axes=axes, missing_chunks="error")',
        "return open_source(place, axes=axes)",
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
        "sources/zarr_files.py",
        "digest.update(start + file.read())",
        "file.seek(0, os.SEEK_END)",
        "sources/test_zarr_source.py::test_chunks_written_anew_are_read_anew_and_change_the_fingerprint",
    ),
    broken(
        "an output tells how its run went",
        "record/provenance.py",
        'del spec["run"], spec["output"]["path"]',
        'del spec["output"]["path"]',
        f"{PROVENANCE}::test_equal_runs_make_equal_stores",
    ),
    broken(
        "an image is named by the place of the output",
        "execute/run.py",
        "name=image_name(plan, output), ",
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
        "self._key = repr((self._recipe, *self._stamp, *self.fingerprint.values()))",
        "self._key = repr((self._recipe,))",
        f"{REWRITTEN}::test_decoded_pixels_are_those_of_the_file_as_it_is_now",
    ),
    broken(
        "the end of a JPEG segment may be cut off",
        "sources/tiff_segments.py",
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
    broken(
        "a mask of a GeoTIFF goes by unseen",
        "sources/tiff_guard.py",
        "return bool(value & 4)",
        "return False",
        DECLARED,
    ),
    broken(
        "a mask that is not read is taken for none",
        "planning/build.py",
        "if source.masks and said is None and spec.input.mask is None:",
        "if False:",
        DECLARED,
    ),
    broken(
        "xarray's base64 is read from the highest byte down",
        "sources/zarr_conventions.py",
        'struct.unpack("<d", stored)',
        'struct.unpack(">d", stored)',
        DECLARED,
    ),
    broken(
        "a colour palette is read with red and blue exchanged",
        "sources/palette.py",
        "for column in part.T]",
        "for column in part.T[::-1]]",
        DECLARED,
    ),
    broken(
        "the place on the earth stays where it was",
        "planning/grids.py",
        'source.georeference.moved(corner.get("y", 0), corner.get("x", 0))',
        "source.georeference",
        DECLARED,
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
        "        made: list[Outcome] = []\n",
        "        from tileconv.tiles.windows import Receipt\n"
        "        from tileconv.tiles.compute import Counts\n\n"
        "        for tile in tiles:\n"
        "            heard(job, Receipt(tile, 0.0, (Counts(),), ('0-0',)))\n"
        "        made: list[Outcome] = []\n",
        f"{ORDER}::test_a_tile_that_is_in_the_journal_is_stored",
    ),
    broken(
        "a torn line of the journal swallows the next",
        "record/journal.py",
        'lines = b"\\n" * self._torn + lines',
        "lines = lines[:]",
        f"{JOURNAL}::test_every_torn_end_loses_the_last_line_alone",
    ),
    broken(
        "the checksum of a journal's line is not checked",
        "record/journal.py",
        'if checksum != b"%08x" % zlib.crc32(text):',
        "if False:",
        f"{JOURNAL}::test_a_flipped_bit_loses_its_line_and_invents_nothing",
    ),
    broken(
        "the marker done comes before the metadata",
        "execute/run.py",
        "        folders[output].unset_done()\n",
        '        folders[output].set_done({"fingerprint": plan.fingerprint()})\n',
        f"{ORDER}::test_done_is_said_when_all_is_done",
    ),
    broken(
        "a run that goes on ignores lost chunks",
        "record/todo.py",
        "why[tile] = GONE if sink.custody.lacks(stored_box(pass_, tile), listed) else 0",
        "why[tile] = 0",
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
        "    check_same(recorded, plan_record(plan, source, output), path)\n",
        "",
        f"{CHANGES}::test_another_input_is_refused",
    ),
    broken(
        "two runs write to one output",
        "record/lock.py",
        "_locked(descriptor, fcntl.LOCK_EX, file)",
        "_locked(descriptor, fcntl.LOCK_SH, file)",
        f"{RESUME}::test_a_second_run_at_the_same_time_is_refused",
    ),
    broken(
        "verify takes any digest",
        "record/compare.py",
        "if sink.writer.stored_digest(box) == digest:",
        "if sink.writer.stored_digest(box):",
        "audit/test_verify.py::test_several_chunks_in_a_tile",
        "faults/test_damages.py::test_one_by_one",
    ),
    broken(
        "verify makes nothing again",
        "audit/recompute.py",
        "    if not differ.any():\n",
        "    if True:\n",
        "audit/test_verify.py::test_pixels_that_are_wrong_though_whole",
    ),
    broken(
        "a repair forgets what it found",
        "execute/repair.py",
        "            lines.append(event)\n            history.add(event)\n",
        "",
        "execute/test_repair.py::test_only_what_is_damaged",
    ),
    broken(
        "what the system cannot tell is absent",
        "stores/steady.py",
        "        if error.errno in _NOTHING:\n            return None\n        raise\n",
        "        return None if error else None\n",
        "stores/test_steady.py::test_what_the_system_cannot_tell_is_not_absent",
    ),
    broken(
        "chunks are written through links",
        "stores/local.py",
        "        if not checked:\n",
        "        if False:\n",
        "execute/test_links.py::test_a_folder_that_is_a_link_is_not_written_through",
        "execute/test_links.py::test_a_link_made_while_the_run_writes",
    ),
    broken(
        "the record is written through links",
        "record/folder.py",
        '                self.store.check(f"{name}/")\n',
        "                continue\n",
        "execute/test_links.py::test_a_file_of_the_record_that_is_a_link_is_not_written_through",
    ),
    broken(
        "a complete run needs a disk that it may write to",
        "record/lock.py",
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
        "a repair says that it begins when its libraries are there",
        "cli.py",
        "    with _announced(loaded) if repair else nullcontext():\n",
        "    with nullcontext():\n",
        "execute/test_repair.py::test_killed_before_its_libraries_are_there",
    ),
    broken(
        "a repair that was refused leaves an output that counts as unfinished",
        "record/folder.py",
        "        if folder.announced():\n",
        "        if False:\n",
        "execute/test_repair.py::test_one_that_is_refused_leaves_no_trace",
    ),
    broken(
        "a URL is a folder whose name ends in a colon",
        "stores/location.py",
        "            raise ValueError(hint)\n",
        "            continue\n",
        "spec/test_override.py::test_paths_of_no_file_here_are_refused_wherever_they_come_from",
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
