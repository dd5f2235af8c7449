"""What a power cut may leave of a checkpoint: this one or the one before, whatever the disk has not been told to keep.

The system calls of a real `checkpoint.save` are recorded. For every prefix of them the worst disks are built that a power
cut may leave then: what was not synced is there, or lost, or cut off, or zeros, and names change in order but late.
"""

import io
import os
import pathlib
import sys
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch

from ablate import checkpoint
from ablate.checkpoint import Checkpoint, DamagedError
from ablate.spool import Entry, Spool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="which file a descriptor is stands in /proc")


class Call(NamedTuple):
    """A system call: create, write, sync, rename, unlink or sync-folder, and what it is about."""

    kind: str
    name: str = ""
    data: bytes = b""
    to: str = ""


class Recorder:
    """Records the calls that change a folder, while they are really made."""

    def __init__(self, monkeypatch):
        self.calls = []
        self._names = {}
        real = SimpleNamespace(fsync=os.fsync, replace=os.replace, unlink=os.unlink, open=io.open)

        def fsync(descriptor):
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            self._note("sync-folder" if path.is_dir() else "sync", path)
            real.fsync(descriptor)

        def replace(source, target):
            self._note("rename", source, to=Path(target).name)
            real.replace(source, target)

        def unlink(path):
            self._note("unlink", path)
            real.unlink(path)

        def opened(path, mode="r", *arguments, **options):
            if mode != "wb":
                return real.open(path, mode, *arguments, **options)
            self._note("create", path)
            return io.BufferedWriter(self._file(path))

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "replace", replace)
        monkeypatch.setattr(os, "unlink", unlink)
        monkeypatch.setattr(pathlib, "io", SimpleNamespace(**{**vars(io), "open": opened}))

    def _note(self, kind, path, **more):
        self.calls.append(Call(kind, Path(path).name, **more))

    def _file(self, path):
        note = self._note

        class File(io.FileIO):
            def write(self, data):
                n = super().write(data)
                note("write", path, data=bytes(data[:n]))
                return n

        return File(path, "wb")


class File:
    """A file as it stands in memory, and as it stands on the disk for sure."""

    def __init__(self, content=b""):
        self.content = self.synced = content

    def variants(self):
        """Return what a power cut may leave of it."""
        if self.content == self.synced:
            return {self.content}
        n = len(self.synced) if self.content.startswith(self.synced) else 0
        half = self.content[: (n + len(self.content)) // 2]
        zeros = self.content[:n] + bytes(len(self.content) - n)
        return {self.content, self.synced, b"", half, zeros}


def disks(before, calls, *, power=True):
    """Yield the folders (contents by name) that a power cut after these calls may leave; without one, as it is."""
    kept = {name: File(content) for name, content in before.items()}  # as the disk has it
    names, late = dict(kept), []
    for call in calls:
        if call.kind == "create":
            if call.name in names:
                names[call.name].content = b""
            else:
                names[call.name] = File()
                late.append(dict(names))
        elif call.kind == "write":
            names[call.name].content += call.data
        elif call.kind == "sync":
            names[call.name].synced = names[call.name].content
        elif call.kind == "sync-folder":
            kept, late = dict(names), []
        else:
            file = names.pop(call.name)
            if call.kind == "rename":
                names[call.to] = file
            late.append(dict(names))
    if not power:
        yield {name: file.content for name, file in names.items()}
        return
    for folder in (kept, *late):
        for contents in product(*(file.variants() for file in folder.values())):
            yield dict(zip(folder, contents, strict=True))


def written(folder, contents):
    """Make a folder hold these files and no others."""
    for path in folder.iterdir():
        path.unlink()
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def saved(epoch):
    state = {"network": {"w": torch.full((64, 64), float(epoch))}, "epoch": epoch}
    return Checkpoint("a", epoch, {"accuracy": [0.5] * epoch}, 1.0, state)


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Return the folder with the checkpoint of epoch 3, and the calls that put that of epoch 4 in its place."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    checkpoint.save(folder / "a.pt", saved(3))
    before = {"a.pt": (folder / "a.pt").read_bytes()}
    with monkeypatch.context() as patch:
        recorder = Recorder(patch)
        checkpoint.save(folder / "a.pt", saved(4))
    (as_recorded,) = disks(before, recorder.calls, power=False)
    assert as_recorded == {path.name: path.read_bytes() for path in folder.iterdir()}  # no call went unseen
    return before, recorder.calls


def outcomes(folder, before, calls):
    """Return the epochs that may be found after a power cut, after each number of calls."""
    folder.mkdir(exist_ok=True)
    found = []
    for n in range(len(calls) + 1):
        epochs = set()
        for contents in disks(before, calls[:n]):
            written(folder, contents)
            try:
                loaded = checkpoint.load(folder / "a.pt", "a", device=torch.device("cpu"))
                epochs.add(loaded.epoch if loaded else None)
            except DamagedError:
                epochs.add("damaged")
        found.append(epochs)
    return found


def test_a_power_cut_at_any_moment_leaves_this_checkpoint_or_the_one_before(tmp_path, recorded):
    before, calls = recorded

    found = outcomes(tmp_path / "disk", before, calls)

    assert set().union(*found) == {3, 4}
    assert found[0] == {3}
    assert found[-1] == {4}  # what `save` has returned from is on the disk
    assert [call.kind for call in calls if call.kind != "write"] == ["create", "sync", "rename", "sync-folder"]


def without(*kinds):
    return lambda calls: [call for call in calls if call.kind not in kinds]


def in_place(calls):
    return [call._replace(name="a.pt") for call in calls if call.kind != "rename"]


@pytest.mark.parametrize(
    ("change", "leaves"),
    [(without("sync"), "damaged"), (in_place, "damaged"), (without("sync-folder"), 3)],
    ids=["without the file's sync", "in place, without renaming", "without the folder's sync"],
)
def test_without_one_of_these_calls_a_power_cut_is_seen_to_do_harm(tmp_path, recorded, change, leaves):
    before, calls = recorded

    found = outcomes(tmp_path / "disk", before, change(calls))

    assert leaves in (found[-1] if leaves == 3 else set().union(*found))


def test_a_process_killed_anywhere_in_the_writing_of_an_entry_leaves_it_whole_or_not_there(tmp_path, monkeypatch):
    entry = Entry("attempt", "none seed 0", "FINISHED", 1, 2, {"tag": "x"}, {"seed": "0"}, (("accuracy", 0.5, 1, 1),),
                  {"weights.pt": b"w" * 10_000})  # fmt: skip
    with monkeypatch.context() as patch:
        recorder = Recorder(patch)
        Spool(tmp_path / "spool").put(entry)

    found = []
    for n in range(len(recorder.calls) + 1):
        (contents,) = disks({}, recorder.calls[:n], power=False)
        written(tmp_path / "spool", contents)
        spool = Spool(tmp_path / "spool")
        found += [[spool.get(attempt) for attempt in spool.waiting()]]
        for kept in (kept for kept in found[-1] if kept):
            assert (kept.points, kept.files["weights.pt"].read_bytes()) == (entry.points, b"w" * 10_000)

    assert found[:-1] == [[]] * len(recorder.calls)
    assert len(found[-1]) == 1
