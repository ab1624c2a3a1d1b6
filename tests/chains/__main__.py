"""Random chains against an oracle of its own: ``python -m tests.chains --chains 50000 --seed 1``.

Prints every chain of which something wrong is made, how many were exact, within the bound and refused, and how the
largest errors compare with the bounds and with the errors that the plan expects. The exit code is 1 if any was wrong.
"""

import argparse
import statistics
import sys
import time
import traceback
from collections import Counter, defaultdict

from tests.chains.draw import Case, case
from tests.chains.judge import Doubtful, Wrong, judge
from tests.shards import ALL, shard

SHOWN = 20
"""Wrong chains that are printed whole."""


class Tally:
    """What became of the chains so far."""

    def __init__(self) -> None:
        self.outcomes, self.refused = Counter(), Counter()
        self.shares = defaultdict(list)

    def take(self, drawn: Case) -> None:
        """Judge one chain and count it."""
        try:
            verdict = judge(drawn)
        except Doubtful:
            self.outcomes["beside the end of a type"] += 1
        except Exception as error:  # whatever it is, it is what is looked for
            self.outcomes["WRONG"] += 1
            if self.outcomes["WRONG"] <= SHOWN:
                show(drawn, error)
        else:
            kind = "refused" if verdict.refused else "exact" if verdict.exact else "within the bound"
            self.outcomes[kind] += 1
            if verdict.refused:
                self.refused[verdict.refused] += 1
            for engine in (*verdict.engines, "all") if kind == "within the bound" else ():
                self.shares["bound", engine].append(verdict.of_bound)
                self.shares["expected error", engine].append(verdict.of_expected or 0.0)

    def print(self) -> None:
        """Print the table."""
        for name, count in [*self.outcomes.most_common(), *self.refused.most_common()]:
            say(f"  {count:8,} {name}")
        for (title, engine), values in sorted(self.shares.items()):
            some = [v for v in values if v > 0]
            if some:
                middle = statistics.median(some)
                say(f"  largest error / {title}, {engine}: median {middle:.3g}, most {max(some):.3g} of {len(some):,}")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def show(drawn: Case, error: Exception) -> None:
    """Print a chain and what is wrong with it."""
    say(f"chain {drawn.number}: {type(error).__name__}: {error}")
    say(f"  {drawn.image.dtype} {drawn.image.shape} {drawn.axes} {drawn.words} {drawn.tile}")
    for stage in drawn.stages:
        say(f"  {str(stage)[:300]}")
    if not isinstance(error, Wrong):
        traceback.print_exception(error, limit=-3, file=sys.stdout)


def main() -> int:
    """Judge the chains that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chains", type=int, default=50_000, help="how many (default 50000)")
    parser.add_argument("--seed", type=int, default=1, help="where the chains begin (default 1)")
    parser.add_argument("--first", type=int, default=0, help="number of the first chain (default 0)")
    parser.add_argument("--shard", default=ALL, help="k/n: every n-th of them from the k-th on (default: all)")
    asked = parser.parse_args()
    began, tally = time.monotonic(), Tally()
    numbers = shard(range(asked.first, asked.first + asked.chains), asked.shard)
    for number in numbers:
        tally.take(case(asked.seed, number))
    say(f"chains: {len(numbers):,} chains of seed {asked.seed} in {time.monotonic() - began:.0f} s")
    tally.print()
    return int(tally.outcomes["WRONG"] > 0)


if __name__ == "__main__":
    sys.exit(main())
