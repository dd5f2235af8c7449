"""What all tests share."""

import os
import tempfile


def pytest_configure(config):
    """Keep decoded data away from the user's own, in subprocesses too, before any test module reads the environment."""
    folder = tempfile.TemporaryDirectory(prefix="ablate-cache-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    os.environ["ABLATE_CACHE"] = folder.name
    # Two processes with two threads each on two cores spend most of their time waiting for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
