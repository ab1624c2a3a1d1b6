"""Promises about who writes to an object store, and what is known of its objects, broken one at a time."""

from __future__ import annotations

from tests.mutation.mutation import broken

LEASE, BUCKETS = "record/test_lease.py", "execute/test_buckets.py"
LATE = f"{LEASE}::test_one_that_was_thought_dead_writes_nothing_that_counts"

LEASES = (
    broken(
        "a lease is put in the place of any other",
        "record/lease.py",
        "    made = store.swap(KEY, data, version)\n",
        "    made = store._put(KEY, data)\n",
        f"{LEASE}::test_of_many_that_begin_at_once_one_has_it",
    ),
    broken(
        "a lease that is renewed is taken over",
        "record/lease.py",
        "                raise TakenError\n",
        "                pass\n",
        f"{LEASE}::test_a_lease_that_is_renewed_is_refused_at_once",
    ),
    broken(
        "who takes over does not seal the journal",
        "record/lease.py",
        "                seal(store)\n",
        "                pass\n",
        f"{LEASE}::test_who_takes_over_seals_the_journal",
    ),
    broken(
        "done is put in the place of that of another run",
        "record/lease.py",
        "        made = self.store.swap(DONE, data, self._done)\n",
        "        made = self.store._put(DONE, data)\n",
        LATE,
    ),
    broken(
        "a store that ignores conditions is taken",
        "record/lease.py",
        "    if twice or stale:\n",
        "    if twice and stale:\n",
        f"{LEASE}::test_a_store_that_replaces_in_spite_of_conditions_is_refused",
    ),
    broken(
        "a segment of the journal is put over that of another run",
        "record/segments.py",
        "    if not store.create(key, data) and content(store, key) != data:\n",
        "    if not store._put(key, data):\n",
        LATE,
    ),
    broken(
        "an object is replaced whoever holds the lease",
        "stores/objects.py",
        "            self._check_fence(key)\n            if there",
        "            if there",
        f"{LEASE}::test_a_chunk_that_comes_late_is_replaced_by_the_run_that_took_over",
    ),
    broken(
        "an object is replaced by the version that is there after the look at the lease",
        "stores/objects.py",
        "            if there is not None and self.swap(",
        "            there = self.look(key)\n            if there is not None and self.swap(",
        f"{LEASE}::test_one_that_stops_between_its_look_at_the_lease_and_its_step",
    ),
    broken(
        "objects are deleted under the lease of another run",
        "stores/objects.py",
        "        self._check_fence(key)\n        if key and not",
        "        if key and not",
        LATE,
    ),
    broken(
        "all runs put the same metadata before the end",
        "sinks/custody.py",
        '({"lease": fence.token} if fence else {})',
        "{}",
        f"{LEASE}::test_no_two_runs_put_the_same_metadata_before_the_end",
    ),
    broken(
        "the wait for a lease is kept to itself",
        "record/lease.py",
        "                if left_s > LOOK_S:\n",
        "                if False:\n",
        f"{LEASE}::test_the_wait_for_a_lease_is_said",
    ),
    broken(
        "an empty object counts as pixels where objects are listed",
        "stores/listed.py",
        " if facts.size)",
        ")",
        f"{BUCKETS}::test_resuming_lists_and_asks_for_no_object_of_pixels",
    ),
    broken(
        "an input object that was replaced is taken for the same",
        "sources/source.py",
        'return {"size": facts.size, "version": facts.version}',
        'return {"size": facts.size}',
        f"{BUCKETS}::test_an_input_object_that_was_replaced_is_noticed",
    ),
    broken(
        "status of a batch asks the cloud where the pipeline names a server",
        "audit/batch.py",
        "                yield name, entry, Location(output, access)\n",
        "                yield name, entry, Location(output)\n",
        f"{BUCKETS}::test_a_batch_from_a_bucket_to_a_bucket",
    ),
)
