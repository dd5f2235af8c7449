"""What an unfinished trial goes on from."""

import os

import pytest
import torch

from ablate import checkpoint
from ablate.checkpoint import Checkpoint, DamagedError

CPU = torch.device("cpu")


def saved(epoch=3, **changes):
    state = {"network": {"w": torch.arange(6.0).reshape(2, 3)}, "optimizer": {"momentum": [0.9, None]}, "epoch": epoch}
    fields = {"identity": "a", "epoch": epoch, "curves": {"accuracy": [0.5] * epoch}, "seconds": 1.5, "state": state}
    return Checkpoint(**{**fields, **changes})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.pt"


def test_what_is_loaded_is_what_was_saved(path):
    checkpoint.save(path, saved())

    loaded = checkpoint.load(path, "a", device=CPU)

    assert (loaded.epoch, loaded.curves, loaded.seconds) == (3, {"accuracy": [0.5] * 3}, 1.5)
    assert torch.equal(loaded.state["network"]["w"], torch.arange(6.0).reshape(2, 3))
    assert loaded.state["optimizer"] == {"momentum": [0.9, None]}


def test_there_is_none_before_one_is_saved(path):
    assert checkpoint.load(path, "a", device=CPU) is None


def test_the_later_one_takes_the_place_of_the_earlier_and_nothing_stays_beside(path):
    checkpoint.save(path, saved(3))
    checkpoint.save(path, saved(4))

    assert checkpoint.load(path, "a", device=CPU).epoch == 4
    assert [left.name for left in path.parent.iterdir()] == ["a.pt"]


def test_strides_survive_so_that_training_goes_on_with_the_same_bits(path):
    weight = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    checkpoint.save(path, saved(state={"w": weight}))

    assert checkpoint.load(path, "a", device=CPU).state["w"].stride() == weight.stride()


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.999])
def test_a_truncated_file_is_damaged(path, keep):
    checkpoint.save(path, saved())
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])

    with pytest.raises(DamagedError, match="is not what was written"):
        checkpoint.load(path, "a", device=CPU)


@pytest.mark.parametrize("place", [5, 30, 200, -1])
def test_one_flipped_bit_anywhere_is_damage(path, place):
    checkpoint.save(path, saved())
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)

    with pytest.raises(DamagedError):
        checkpoint.load(path, "a", device=CPU)


def test_the_checkpoint_of_another_trial_is_refused(path):
    checkpoint.save(path, saved(identity="b"))

    with pytest.raises(DamagedError, match="belongs to another trial"):
        checkpoint.load(path, "a", device=CPU)


def test_a_folder_that_is_gone_leaves_no_half_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        checkpoint.save(tmp_path / "gone" / "a.pt", saved())


def test_objects_that_could_run_code_when_read_are_not_read(path):
    class Evil:
        def __reduce__(self):
            return os.system, ("true",)

    checkpoint.save(path, saved(state={"evil": Evil()}))

    with pytest.raises(DamagedError, match="holds objects that are not read again"):
        checkpoint.load(path, "a", device=CPU)
