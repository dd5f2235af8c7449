"""`ablate show` on studies that were really trained."""

import io
import shutil
import sqlite3

import numpy as np
import pytest
import torch
from PIL import Image

import ablate
from ablate import data, show
from ablate.errors import AblateError, StoreError
from ablate.place import Place
from ablate.tasks.classification import Samples, evaluate
from reports.figures import save

NASTY = r"50% of $x$ <script> \input{a} #1 通道"
STUDY = r"""
name: seen
question: What do they see?
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 300}}
slots:
  attention: [none, se, {cbam: {label: "50% of $x$ <script> \\input{a} #1 通道"}}]
  recipe.learning_rate: [0.1, 0.05]
seeds: [3, 1]
recipe: {epochs: 1, batch: 64}
metric: accuracy
"""
SE, CBAM, RATE = "attention=se", f"attention={NASTY}", "recipe.learning_rate=0.05"


def run(folder, text, name="study"):
    (folder / f"{name}.yml").write_text(text, encoding="utf-8")
    ablate.run(folder / f"{name}.yml", workers=0, runs=folder / "runs", quiet=True)
    return Place(folder / "runs")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return run(tmp_path_factory.mktemp("show"), STUDY)


@pytest.fixture
def copy(place, tmp_path):
    shutil.copytree(place.root, tmp_path / "runs")
    return Place(tmp_path / "runs")


def change(place, statement, *values):
    """Change a record as somebody else might; return how many rows that were."""
    with sqlite3.connect(place.database) as connection:
        return connection.execute(statement, values).rowcount


def weights_of(place, setting, seed):
    (run_id,) = sqlite3.connect(place.database).execute(
        "SELECT a.run_uuid FROM tags a JOIN params b ON a.run_uuid = b.run_uuid "
        "WHERE a.key = 'ablate.setting' AND a.value = ? AND b.key = 'seed' AND b.value = ?",
        (setting, str(seed)),
    ).fetchone()  # fmt: skip
    (experiment,) = [path for path in place.artifacts.iterdir() if path.name.startswith("seen-")]
    return experiment / run_id / "artifacts" / "weights.pt"


def words(drawing):
    return [text.get_text() for text in drawing.figure.texts]


def test_a_setting_stands_beside_the_reference_with_the_scores_of_their_runs(place):
    drawing = show.show(place, "seen", SE)

    frame = ablate.run(place.root.parent / "study.yml", workers=0, runs=place.root, quiet=True).frame
    for label in ("reference", SE):
        accuracy = frame[(frame["setting"] == label) & (frame["seed"] == 3)]["accuracy"].iloc[0]
        assert label in words(drawing)
        assert f"accuracy {100 * accuracy:.2f} %" in words(drawing)
    assert words(drawing).count("gate") == 1  # the reference has none
    assert "Study 'seen', seed 3: 'attention=se' beside the reference 'reference'" in drawing.caption
    assert "Layer stages.1.0.attention, the last in which they differ" in drawing.caption


def test_the_network_shown_is_the_trained_one(place, monkeypatch):
    networks = []
    monkeypatch.setattr(
        show.maps, "layers", lambda network, images: networks.append(network) or LAYERS(network, images)
    )

    drawing = show.show(place, "seen", CBAM)

    images = data.load(show.reporting.open_records(place, "seen").study().data)
    for network in networks:
        score = evaluate(network, Samples.of(images, torch.device("cpu")))["accuracy"]
        assert f"accuracy {100 * score:.2f} %" in words(drawing)


LAYERS = show.maps.layers


def test_the_images_are_the_first_of_each_class_and_what_is_answered_stands_beside_them(place):
    drawing = show.show(place, "seen", SE, n_images=12)

    classes = [text for text in words(drawing) if text.isdecimal()]
    answers = [text for text in words(drawing) if text.endswith((" ✓", " ✗"))]
    assert classes == [*map(str, range(10)), "0", "1"]
    assert len(answers) == 24
    assert any(text.endswith("✗") for text in answers)  # after one epoch
    for text, own in zip(answers, classes * 2, strict=True):
        assert text.endswith("✓") == (text.split()[0] == own)
    n_right = [sum(text.endswith("✓") for text in answers[at : at + 12]) for at in (0, 12)]
    assert (
        drawing.alt == f"'reference' answers {n_right[0]} of 12 right, 'attention=se' answers {n_right[1]} of 12 right."
    )


def test_the_reference_is_shown_alone(place):
    drawing = show.show(place, "seen", "reference", n_images=2)

    assert words(drawing).count("Grad-CAM") == 1
    assert "seed 3: the reference 'reference', on" in drawing.caption


def test_settings_that_differ_in_training_alone_are_shown_at_the_last_layer(place):
    assert "Layer stages.1, the last of 4×4 pixels or more;" in show.show(place, "seen", RATE).caption


@pytest.mark.slow
def test_two_pictures_have_the_same_bytes_and_say_neither_when_nor_by_what_they_were_made(place):
    first, second = (save(show.show(place, "seen", SE, n_images=3), "png") for _ in range(2))

    assert first == second
    image = Image.open(io.BytesIO(first))
    assert set(image.info) <= {"dpi"}
    assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 1000


def test_another_layer_makes_another_picture(place):
    drawing = show.show(place, "seen", SE, layer="stem")

    assert "Layer stem, as asked for; its maps of 8×8" in drawing.caption


def test_names_of_any_kind_come_out_as_text_and_make_a_file_name(place):
    drawing = show.show(place, "seen", CBAM, n_images=1)
    path = show.default_path(place, "seen", CBAM)

    assert CBAM in drawing.caption.replace("\n", " ")
    assert path.parent == place.root / "seen" / "show"
    assert path.name.startswith("attention=50-of-x-script-input-a-1-通道-")
    assert show.default_path(place, "seen", "a/b") != show.default_path(place, "seen", "a-b")
    assert show.default_path(place, "seen", "..").parent == path.parent
    assert show.default_path(place, "seen", SE).name == "attention=se.png"


@pytest.mark.parametrize(
    ("study", "setting", "more", "message"),
    [
        ("sene", SE, {}, "unknown study: 'sene'; did you mean 'seen'?"),
        ("seen", "attention=see", {}, "unknown setting of study 'seen': 'attention=see'; did you mean 'attention=se'?"),
        ("seen", SE, {"seed": 7}, "unknown seed of 'reference' and 'attention=se': 7 (known: 3, 1)"),
        ("seen", SE, {"layer": "stm"}, "that puts out a map: 'stm'; did you mean 'stem'?"),
        ("seen", SE, {"layer": "head"}, "that puts out a map: 'head'"),
        ("seen", SE, {"n_images": 0}, "images: 0 is out of range: must be from 1 to 40"),
        ("seen", SE, {"seed": 1}, "that are of seed 1 keep no weights: unless the study file says `keep: weights`, only those"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_said_in_a_sentence(place, study, setting, more, message):
    with pytest.raises(AblateError) as caught:
        show.show(place, study, setting, **more)

    assert message in str(caught.value)


def test_where_nothing_was_run_there_is_nothing_to_show(tmp_path):
    with pytest.raises(StoreError, match="nothing has been run here"):
        show.show(Place(tmp_path / "runs"), "seen", SE)


def test_a_setting_without_a_complete_run_says_how_its_runs_stand(copy):
    ids = "SELECT run_uuid FROM tags WHERE key = 'ablate.setting' AND value = ?"
    assert change(copy, f"UPDATE runs SET status = 'RUNNING' WHERE run_uuid IN ({ids})", SE) == 2

    with pytest.raises(
        StoreError, match=r"no seed of study 'seen' has complete runs of 'reference' and 'attention=se' "
    ) as caught:
        show.show(copy, "seen", SE)

    assert "'attention=se' seed 3 running" in str(caught.value)
    assert "`ablate status seen` says more" in str(caught.value)


def test_the_first_seed_whose_weights_are_kept_is_shown(place, copy):
    for label in ("reference", SE):
        weights_of(copy, label, 1).parent.mkdir(parents=True)
        weights_of(copy, label, 3).rename(weights_of(copy, label, 1))

    with pytest.raises(StoreError, match="seed 3 keep no weights"):
        show.show(copy, "seen", SE, seed=3)
    assert "seed 1" in show.show(copy, "seen", SE).caption


def test_weights_that_are_gone_are_not_made_up(copy):
    weights_of(copy, SE, 3).unlink()

    with pytest.raises(
        StoreError, match=r"keep no weights.*delete these runs in `ablate ui`, and `ablate run seen` trains"
    ):
        show.show(copy, "seen", SE)


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_weights_that_are_damaged_or_another_network_s_are_refused(copy, content):
    path = weights_of(copy, SE, 3)
    path.write_bytes(weights_of(copy, "reference", 3).read_bytes() if content is None else content)

    with pytest.raises(StoreError, match="the weights of 'attention=se' are damaged, or not those of its network"):
        show.show(copy, "seen", SE)


def test_a_block_whose_source_has_changed_since_is_not_shown(copy):
    parts = "SELECT value FROM tags WHERE key = 'ablate.parts' AND value LIKE '%squeeze_excite%'"
    (noted,) = sqlite3.connect(copy.database).execute(parts).fetchone()
    hash_ = noted.partition('squeeze_excite.py": "')[2][:8]
    assert change(copy, "UPDATE tags SET value = replace(value, ?, '00000000') WHERE key = 'ablate.parts'", hash_)

    with pytest.raises(
        StoreError, match=r"^blocks/attention/squeeze_excite.py changed since 'attention=se' was trained"
    ):
        show.show(copy, "seen", SE)


@pytest.mark.slow
def test_a_study_that_took_its_runs_from_another_shows_their_weights(place, copy):
    with_one_seed = STUDY.replace("name: seen", "name: again").replace("[3, 1]", "[3]")

    run(copy.root.parent, with_one_seed, "again")

    assert save(show.show(copy, "again", SE), "png") != save(show.show(copy, "seen", SE), "png")  # it says its name
    mine, theirs = (show.show(copy, name, SE) for name in ("again", "seen"))
    assert words(mine)[:-6] == words(theirs)[:-6]


SMALL = """
name: small
question: Which?
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 100}}
slots: {SLOTS}
seeds: 1
recipe: {epochs: 1}
metric: accuracy
"""


@pytest.mark.slow
def test_settings_with_data_of_their_own_have_no_images_in_common(tmp_path):
    place = run(tmp_path, SMALL.replace("SLOTS", "data.train: [100, 200]").replace("{train: 100}", "{}"))

    with pytest.raises(AblateError, match="may be tested on images that '100' was trained on"):
        show.show(place, "small", "200")


@pytest.mark.slow
def test_a_study_that_keeps_nothing_says_so(tmp_path):
    place = run(tmp_path, SMALL.replace("SLOTS", "attention: [none, se]") + "keep: none\n")

    with pytest.raises(StoreError, match="`keep: none` in the study file says so"):
        show.show(place, "small", "se")


@pytest.mark.slow
def test_a_setting_that_was_made_as_large_as_the_reference_is_shown_as_it_was_trained(tmp_path):
    place = run(tmp_path, SMALL.replace("SLOTS", "attention: [none, {cbam: {reduction: 1}}]") + "match: params\n")

    drawing = show.show(place, "small", "cbam(reduction=1)")

    assert "'cbam(reduction=1)' beside the reference 'none'" in drawing.caption
