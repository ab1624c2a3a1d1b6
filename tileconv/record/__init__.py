"""What a run knows of itself, in the run folder beside its output: identity, plan, journal, lock, done."""
