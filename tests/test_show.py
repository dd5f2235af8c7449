"""`ablate show` on a study that was really trained."""

import io
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import ablate
from ablate import show as showing
from ablate.errors import StoreError
from ablate.place import Place

STUDY = """
question: What do they see?
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 300}}
slots: {attention: [none, se, cbam]}
design: one-at-a-time
seeds: [0, 1]
recipe: {epochs: 1, batch: 64}
metric: accuracy
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("show")
    (folder / "seen.yml").write_text(STUDY, encoding="utf-8")
    ablate.run(folder / "seen.yml", workers=0, runs=folder / "runs", quiet=True)
    return Place(folder / "runs")


def picture(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_setting_stands_beside_the_reference_on_the_same_images(place):
    shown = picture(showing.show(place, "seen", "se", n_images=3))
    alone = picture(showing.show(place, "seen", "none", n_images=3))

    assert shown.shape[0] == alone.shape[0]
    assert shown.shape[1] > 1.5 * alone.shape[1]
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 100


def test_the_picture_is_the_same_whenever_it_is_made_and_another_for_another_setting(place):
    first = showing.show(place, "seen", "cbam", n_images=2)

    assert showing.show(place, "seen", "cbam", n_images=2) == first
    assert showing.show(place, "seen", "se", n_images=2) != first
    assert showing.show(place, "seen", "cbam", n_images=2, layer="stem") != first


@pytest.mark.parametrize(
    ("setting", "more", "message"),
    [
        ("see", {}, "unknown setting of 'seen': 'see'; did you mean 'se'?"),
        ("se", {"layer": "stm"}, "did you mean 'stem'?"),
        ("se", {"seed": 7}, "seed 7: not all of 'none', 'se' are complete on it"),
        ("se", {"seed": 1}, "the weights of 'none' and 'se' are not kept on seed 1"),
    ],
)
def test_what_cannot_be_shown_is_a_sentence(place, setting, more, message):
    with pytest.raises(StoreError) as caught:
        showing.show(place, "seen", setting, **more)

    assert message in str(caught.value)


def test_weights_that_do_not_give_the_recorded_score_are_not_shown(place, tmp_path):
    shutil.copytree(place.root, tmp_path / "runs")
    for path in (tmp_path / "runs" / "artifacts").rglob("weights.pt"):
        state = torch.load(path, weights_only=True)
        torch.save({name: torch.zeros_like(tensor) for name, tensor in state.items()}, path)

    with pytest.raises(StoreError, match=r"its weights give accuracy .* now, and .* is recorded"):
        showing.show(Place(tmp_path / "runs"), "seen", "se")


def test_a_setting_without_a_complete_run_says_how_its_runs_ended(place, tmp_path):
    shutil.copytree(place.root, tmp_path / "runs")
    (plan,) = (tmp_path / "runs" / "artifacts").rglob("plan.json")
    content = json.loads(plan.read_text(encoding="utf-8"))
    content["trials"] = [trial for trial in content["trials"] if trial[0] != "se"]
    plan.write_text(json.dumps(content), encoding="utf-8")

    with pytest.raises(StoreError, match=r"setting 'se' has no complete run \(none has begun\)"):
        showing.show(Place(tmp_path / "runs"), "seen", "se")


@pytest.mark.parametrize(
    ("shape", "side"),
    [((2, 16, 8), 4), ((2, 17, 8), 4), ((2, 15, 8), 0), ((2, 4, 4, 8), 4), ((2, 8, 5, 5), 5), ((2, 8), 0)],
)
def test_tokens_and_channels_last_are_folded_to_maps(shape, side):
    made = torch.zeros(shape)

    assert showing._side(made) == side


def test_a_picture_has_a_name_that_every_system_accepts(place):
    path = showing.default_path(place, "seen", "conv=a/b, <x>: 50%")

    assert path.name == "conv=a-b,--x---50-.png"
