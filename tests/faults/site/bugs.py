"""Bugs that the fault campaign must find, put into the engine while it is imported: ABLATE_TEST_BUG names one."""

import os
from pathlib import Path

BUG = os.environ.get("ABLATE_TEST_BUG")


class _InPlace(type(Path())):
    """A path beside which nothing can be written."""

    def with_name(self, _):
        return self

    def replace(self, _):
        return self


def in_checkpoint(module):
    """Write a checkpoint over the last one, not beside it."""
    if BUG == "in-place":
        real = module.save
        module.save = lambda path, saved: real(_InPlace(path), saved)


def in_attempt(module):
    """Go on from a checkpoint with the random numbers of the beginning."""
    if BUG == "position":
        from ablate import train  # after the engine's own imports

        real_train, real_generator, first = module.train, train.generator, 0

        def forgetful(network, data, recipe, seed, resume=None, **options):
            nonlocal first
            first = resume["epoch"] if resume else 0
            return real_train(network, data, recipe, seed, resume, **options)

        module.train = forgetful
        train.generator = lambda seed, word, epoch: real_generator(seed, word, epoch - first)


def in_writer(module):
    """Take an entry out of the spool before the record has it."""
    if BUG == "spool":
        from ablate.spool import Spool  # after the engine's own imports

        real = Spool.get

        def get(spool, attempt):
            entry = real(spool, attempt)
            spool._path(attempt).unlink(missing_ok=True)
            return entry

        Spool.get = get
