"""Rounds of SIGKILL: a run in a child process, killed when its journal has grown to a random length, until it is done.

``python -m faults.kill_rounds FOLDER ROUNDS SEED`` prints what each round found, a line of JSON a round. The children
are forks of a process that has imported everything, so that a round takes no start-up.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from execute.resume_help import attempts, digest, done, litter
from faults.faults_help import clear

import tileconv


def child(spec):
    """Start a run in a fork; return its process id."""
    if number := os.fork():
        return number
    try:
        tileconv.run(spec)
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{error}\n".encode())
        os._exit(1)


def lines(journal):
    try:
        return journal.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def chunks(folder):
    """Return the chunk files of all passes, each with what tells whether it was written anew."""
    stores = (folder / "o.zarr" / "0", folder / "o.zarr.pass0")
    return {p: p.stat().st_ino for store in stores for p in store.glob("c/*/*") if p.name.isdigit()}


def one_round(folder, spec, tiles, pick):
    """Kill and start again until the run is done; return what happened."""
    journal = folder / "o.zarr.tileconv" / "journal"
    clear(folder)
    kills, flying, codes = 0, [], []
    while True:
        target = lines(journal) + pick.randrange(1, tiles // 2)
        number = child(spec)
        ended = 0
        while not ended and lines(journal) < target:
            ended, code = os.waitpid(number, os.WNOHANG)
            time.sleep(pick.random() * 0.002)  # leaves the processor to the run, and varies the moment
        if ended:
            codes.append(os.waitstatus_to_exitcode(code))
            break
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
        kills += 1
        stored = len(chunks(folder))
        if (folder / "o.zarr.pass0").exists() and not (folder / "o.zarr.tileconv" / "done").exists():
            flying.append(stored - done(folder))
    most = max(attempts(folder).values())
    return {"kills": kills, "codes": codes, "flying": flying, "attempts": most,
            "digest": digest(folder / "o.zarr"), "litter": litter(folder)}  # fmt: skip


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(folder, rounds, seed):
    """Make the undisturbed run first, which also warms this process up."""
    folder = Path(folder)
    spec = folder / "p.yaml"
    tiles = tileconv.run(spec).tiles
    say(json.dumps({"digest": digest(folder / "o.zarr"), "tiles": tiles}))
    pick = random.Random(int(seed))  # noqa: S311
    for _ in range(int(rounds)):
        say(json.dumps(one_round(folder, spec, tiles, pick)))


if __name__ == "__main__":
    main(*sys.argv[1:])
