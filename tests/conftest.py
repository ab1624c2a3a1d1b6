"""Hypothesis profiles: ``TILECONV_PROFILE`` picks quick (default), ci or long."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = {"quick": 30, "ci": 300, "long": 5000}

for name, examples in EXAMPLES.items():
    settings.register_profile(
        name,
        max_examples=examples,
        deadline=None,
        database=None,  # nothing is written beside the tests
        derandomize=name != "long",  # the same examples every time, so that a failure is the change's own
        print_blob=name == "long",
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
settings.load_profile(os.environ.get("TILECONV_PROFILE", "quick"))
