"""Decoded data in one file: shared by processes, never stale, never half, never needed."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import ablate
import blocks
from ablate import data
from ablate.data import Images, kept
from ablate.data.fashion_mnist import fashion_mnist
from ablate.study import Choice
from ablate.tasks.classification import Samples

posix = pytest.mark.skipif(sys.platform == "win32", reason="limits and signals of POSIX")

# Loads a data set and says what came of it; the interpreter itself tells which source files were opened.
LOAD = """
import json, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from ablate import data
from ablate.study import Choice
images = data.load(Choice("fashion-mnist", (("path", sys.argv[1]), ("train", 40), ("split", 0))))
print(json.dumps([images.fingerprint, sum(path.endswith(".gz") for path in opened)]))
"""
FROM_FILE, DECODED = 0, 4

FULL_DISK = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
"""
# The kernel kills a process that writes more than it may, unless Python ignores the signal.
KILLED_WHILE_WRITING = f"""{FULL_DISK}
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
"""
KILLED_BEFORE_RENAMING = """
import os, signal, sys
sys.addaudithook(lambda event, args: os.kill(os.getpid(), signal.SIGKILL) if event == "os.rename" else None)
"""


def start(path, before="", **options):
    command = [sys.executable, "-c", before + LOAD, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def end(process):
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return tuple(json.loads(printed))


def load(path, before="", **options):
    """Load in a process of its own; return the fingerprint and how many source files were opened."""
    return end(start(path, before, **options))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """An empty folder of decoded data, and a process that has loaded nothing."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ABLATE_CACHE", str(folder))
    data._load.cache_clear()
    yield folder / "data"
    data._load.cache_clear()


def choice(folder):
    return Choice("fashion-mnist", (("path", str(folder)), ("train", 40), ("split", 0)))


def relabel(folder, by):
    """Write other labels of the test part."""
    path = folder / "t10k-labels-idx1-ubyte.gz"
    content = gzip.decompress(path.read_bytes())
    labels = bytes((label + by) % 10 for label in content[8:])
    path.write_bytes(gzip.compress(content[:8] + labels, mtime=0))


def decoded(folder):
    return fashion_mnist(path=str(folder), train=40).fingerprint


def test_a_second_process_opens_no_file_that_the_data_come_from(folder, cache):
    assert load(folder) == (decoded(folder), DECODED)
    assert load(folder) == (decoded(folder), FROM_FILE)
    assert len(list(cache.iterdir())) == 1


def test_what_is_kept_is_what_was_decoded(folder):
    data.load(choice(folder))
    data._load.cache_clear()

    there, fresh = data.load(choice(folder)), fashion_mnist(path=str(folder), train=40)

    assert there.n_classes == fresh.n_classes
    for name in ("train_inputs", "train_targets", "test_inputs", "test_targets"):
        np.testing.assert_array_equal(getattr(there, name), getattr(fresh, name), strict=True)


def test_other_options_are_another_data_set(folder):
    few = Choice("fashion-mnist", (("path", str(folder)), ("train", 20), ("split", 0)))

    assert len(data.load(choice(folder)).train_targets) == 40
    assert len(data.load(few).train_targets) == 20


def test_the_held_out_part_is_another_data_set_and_kept_too(folder, cache):
    whole, held_out = data.load(choice(folder)), data.load(choice(folder), held_out=True)
    assert data.fingerprint(choice(folder), held_out=True) == held_out.fingerprint == whole.held_out.fingerprint
    assert len(list(cache.iterdir())) == 2

    data._load.cache_clear()
    assert data.load(choice(folder), held_out=True).test_targets.tolist() == held_out.test_targets.tolist()
    assert data.load(choice(folder)).fingerprint == whole.fingerprint


def test_a_relative_folder_is_another_data_set_elsewhere(folder, cache):
    other = folder.parent / "other" / folder.name
    shutil.copytree(folder, other)
    relabel(other, 1)

    assert load(folder.name, cwd=folder.parent) == (decoded(folder), DECODED)
    assert load(folder.name, cwd=other.parent) == (decoded(other), DECODED)
    assert load(folder) == (decoded(folder), FROM_FILE), "the same folder by its absolute path"


def test_a_folder_in_the_environment_is_part_of_the_key(folder, monkeypatch):
    choice = Choice("fashion-mnist", (("path", None), ("train", 40), ("split", 0)))
    fingerprints = []
    for by, place in enumerate(("one", "two")):
        shutil.copytree(folder, folder.parent / place / "fashion_mnist")
        relabel(folder.parent / place / "fashion_mnist", by)
        monkeypatch.setenv("ABLATE_DATA", str(folder.parent / place))
        data._load.cache_clear()
        fingerprints.append(data.fingerprint(choice))

    assert fingerprints[0] != fingerprints[1]


def test_a_changed_file_is_decoded_again_though_size_and_time_are_the_same(folder):
    load(folder)
    path = folder / "t10k-labels-idx1-ubyte.gz"
    status = path.stat()
    relabel(folder, 1)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert load(folder) == (decoded(folder), DECODED)
    assert load(folder) == (decoded(folder), FROM_FILE)


def test_a_missing_file_is_an_error_and_not_what_was_once_decoded(folder):
    load(folder)
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()

    with pytest.raises(ablate.errors.DataError, match="lacks t10k-labels"):
        data.load(choice(folder))


def test_changed_source_code_decodes_again_and_a_comment_does_not(folder, tmp_path):
    for package in (ablate, blocks):
        shutil.copytree(Path(package.__file__).parent, tmp_path / "src" / package.__name__)
    source = tmp_path / "src" / "ablate" / "data" / "fashion_mnist.py"
    written = source.read_text(encoding="utf-8")
    first = load(folder, cwd=tmp_path / "src")

    source.write_text(written + "\n# a comment\n", encoding="utf-8")
    assert load(folder, cwd=tmp_path / "src") == (first[0], FROM_FILE)

    source.write_text(written + "\nUNUSED = 1\n", encoding="utf-8")
    assert load(folder, cwd=tmp_path / "src") == (first[0], DECODED)


def test_another_version_of_numpy_decodes_again(folder):
    first = load(folder)

    assert load(folder, "import numpy; numpy.__version__ = '99'\n") == (first[0], DECODED)


def test_what_reads_no_file_that_could_be_seen_to_change_is_not_kept(cache):
    images = grey()

    assert kept.images({"name": "made-up"}, "", lambda: images) is images
    assert not cache.exists()


@pytest.mark.parametrize("cut", [0, 1, 100, 2000, -200, -1])
def test_a_truncated_file_is_decoded_again_and_repaired(folder, cache, cut):
    load(folder)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])

    assert data.fingerprint(choice(folder)) == decoded(folder)
    assert path.read_bytes() == whole
    assert load(folder)[1] == FROM_FILE


def test_no_flipped_bit_is_ever_served(folder, cache):
    data.load(choice(folder))
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    repaired = 0
    for at in range(0, len(whole), 29):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        data._load.cache_clear()

        images = data.load(choice(folder))

        assert (images.fingerprint, images.n_classes) == (decoded(folder), 10)
        repaired += path.read_bytes() == whole
    assert repaired > 0.95 * len(whole) / 29, "all but what fills the gaps between the arrays"


def test_a_folder_that_cannot_be_made_costs_nothing_but_time(folder, cache):
    cache.parent.rmdir()
    cache.parent.write_text("a file")

    assert load(folder) == load(folder) == (decoded(folder), DECODED)


@posix
def test_a_full_disk_costs_nothing_but_time_and_leaves_nothing(folder, cache):
    assert load(folder, FULL_DISK) == (decoded(folder), DECODED)
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the folder of Linux")
def test_the_folder_is_that_of_the_platform_unless_another_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("ABLATE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kept.folder() == tmp_path / ".cache" / "ablate" / "data"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert kept.folder() == tmp_path / "xdg" / "ablate" / "data"


def test_processes_that_write_at_once_leave_one_whole_file(folder, cache):
    results = {end(process)[0] for process in [start(folder) for _ in range(4)]}

    assert results == {decoded(folder)}
    assert [path.suffix for path in cache.iterdir()] == [".images"]
    assert load(folder)[1] == FROM_FILE


@posix
@pytest.mark.parametrize("death", [KILLED_WHILE_WRITING, KILLED_BEFORE_RENAMING], ids=["writing", "renaming"])
def test_a_killed_writer_leaves_nothing_that_is_used_and_nothing_for_ever(folder, cache, death):
    process = start(folder, death)
    process.communicate(timeout=60)
    (part,) = cache.iterdir()
    assert process.returncode < 0
    assert part.suffix == ".part"

    assert load(folder) == (decoded(folder), DECODED)
    assert part.exists(), "its writer may be alive"

    os.utime(part, (time.time() - 2 * kept.ABANDONED,) * 2)
    next(cache.glob("*.images")).unlink()
    assert load(folder) == (decoded(folder), DECODED)
    assert [path.suffix for path in cache.iterdir()] == [".images"]


def grey(n=6, *, channels=1):
    inputs = np.random.default_rng(0).standard_normal((n, channels, 5, 4)).astype(np.float32)
    return Images(inputs, np.arange(n), inputs[:2] + 1, np.arange(2), n_classes=n)


def mapped(tmp_path, channels):
    """Return made-up images from their file, and what was decoded."""
    (tmp_path / "source").write_bytes(b"bytes")
    fresh = grey(channels=channels)

    def decode():
        data.read_bytes(tmp_path / "source")
        return fresh

    return kept.images({"name": "made-up"}, "", decode), fresh


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_on_the_cpu_are_the_pages_of_the_file(tmp_path, channels):
    images, fresh = mapped(tmp_path, channels)
    assert images is not fresh
    assert images.fingerprint == fresh.fingerprint, "a hash of values, not of how they lie"

    samples = Samples.of(images, torch.device("cpu"))

    for name in ("train_inputs", "train_targets", "test_inputs", "test_targets"):
        tensor, array = getattr(samples, name), getattr(images, name)
        assert tensor.data_ptr() == array.ctypes.data, name
        assert tensor.numpy().base is not None
        np.testing.assert_array_equal(tensor.numpy(), getattr(fresh, name))


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_lie_alike_whether_decoded_or_mapped(tmp_path, channels):
    both = [Samples.of(images, torch.device("cpu")) for images in mapped(tmp_path, channels)]

    for samples in both:
        assert samples.train_inputs.stride() == (20 * channels, 1, 4 * channels, channels)
        assert samples.test_inputs.stride() == (20 * channels, 1, 4 * channels, channels)


def test_a_write_to_the_samples_stays_in_the_process(tmp_path, cache):
    images, fresh = mapped(tmp_path, 1)

    Samples.of(images, torch.device("cpu")).train_inputs.zero_()

    assert mapped(tmp_path, 1)[0].fingerprint == fresh.fingerprint
    assert images.train_inputs.max() == 0
