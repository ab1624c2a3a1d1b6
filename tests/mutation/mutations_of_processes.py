"""Promises about the process that tileconv runs in, broken one at a time."""

from __future__ import annotations

from tests.mutation.mutation import broken

SIGNALS, STREAMS, MACHINE = "execute/test_signals.py", "test_streams.py", "planning/test_machine.py"
EXECUTORS, TRUST = "execute/test_executors.py", "execute/test_trust.py"
LOOPS, SETTINGS = "engines/test_loops.py", "test_process_settings.py"

PROCESSES = (
    broken(
        "a signal takes back a result that stands",
        "signals.py",
        "    if not _standing[0]:\n",
        "    if True:\n",
        f"{SIGNALS}::test_a_run_that_failed_is_no_result",
    ),
    broken(
        "a file that is half written stays after a signal",
        "signals.py",
        "        take()\n        raise KeyboardInterrupt\n",
        "        end(AGAIN)\n",
        f"{SIGNALS}::test_a_file_that_is_half_written_goes",
    ),
    broken(
        "a report that cannot be printed ends the run",
        "streams.py",
        "            self.error = self.error or error\n            return len(data)\n",
        "            raise\n",
        f"{STREAMS}::test_a_run_is_not_lost_with_its_report",
    ),
    broken(
        "what a control group keeps of files counts as taken",
        "planning/machine.py",
        " + sum(_field(stat, name, 0) for name in cached)",
        "",
        f"{MACHINE}::test_files_of_the_disk_that_a_group_keeps_in_memory_are_free",
    ),
    broken(
        "a quota of processor time is passed over",
        "planning/machine.py",
        "if quota > 0 and period > 0:",
        "if False:",
        f"{MACHINE}::test_quotas_of_processor_time",
    ),
    broken(
        "compiled loops are read from where others can write",
        "engines/loops.py",
        "ours = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o022",
        "ours = True",
        f"{LOOPS}::test_a_folder_that_others_could_write_to_is_not_taken",
    ),
    broken(
        "a process makes tiles of the job that it took first",
        "execute/processes.py",
        "            if child.job is not job:\n",
        "            if child.job is None:\n",
        f"{EXECUTORS}::test_tiles_begin_in_the_order_of_the_stream_whose_jobs_may_alternate",
    ),
    broken(
        "a stop lets further tiles begin",
        "execute/local.py",
        "made.extend(make(job, takewhile(lambda _: not stop.is_set(), tiles)))",
        "made.extend(make(job, tiles))",
        f"{EXECUTORS}::test_what_waits_in_the_pool_does_not_begin_after_a_stop",
    ),
    broken(
        "workers that were trusted with one job are trusted with the next",
        "execute/trust.py",
        "            self.trusted.clear()\n",
        "            pass\n",
        f"{TRUST}::test_workers_are_asked_anew_about_every_job_and_about_those_at_work",
    ),
    broken(
        "a Python function changes the caller's allocator",
        "tiles/in_memory.py",
        "    out = np.empty(pass_.image.shape, pass_.writes[0].info.dtype)\n",
        "    from tileconv.allocator import keep_freed_memory\n\n    keep_freed_memory()\n"
        "    out = np.empty(pass_.image.shape, pass_.writes[0].info.dtype)\n",
        f"{SETTINGS}::test_the_process_of_a_caller_is_left_as_it_is",
    ),
)
