import numpy as np
import pytest

from reports.figures import save
from reports.figures.sight import Seen, sight

N = 3


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def seen(rng, label="se", *, scale=1.0, gate=None):
    shape = (N, 4, 4)
    return Seen(label, "accuracy 90.00 %", np.array([0, 1, 1]), scale * rng.random(shape), rng.random(shape), gate)


def drawn(ones, images):
    return sight(ones, images, np.arange(N), what="Study 'x', seed 0", layer="stages.1", why="as asked for")


def panels(drawing):
    """Return the images in the figure by the name of their colours."""
    found = {}
    for axes in drawing.figure.axes:
        for image in axes.get_images():
            found.setdefault(image.get_cmap().name, []).append(image)
    return found


def test_a_kind_of_map_has_one_scale_for_both_settings_from_zero_to_its_largest_value(rng):
    ones = [seen(rng), seen(rng, "cbam", scale=7.0)]

    energy = panels(drawn(ones, rng.random((N, 1, 8, 8))))["cividis"]

    assert len(energy) == 2 * N
    assert {image.get_clim() for image in energy} == {(0.0, max(one.energy.max() for one in ones))}


def test_a_setting_that_weighs_nothing_has_no_column_for_its_gate(rng):
    ones = [seen(rng), seen(rng, "cbam", gate=rng.random((N, 4, 4)))]

    assert len(panels(drawn(ones, rng.random((N, 1, 8, 8))))["viridis"]) == N


def test_an_image_in_colour_stays_in_colour(rng):
    images = rng.random((N, 3, 8, 8))

    shown = panels(drawn([seen(rng)], images))["gray"][0].get_array()

    assert shown.shape == (8, 8, 3)
    spread = images[0] - images[0].min()
    np.testing.assert_allclose(shown, (spread / spread.max()).transpose(1, 2, 0))


def test_maps_without_any_value_and_images_of_one_shade_are_drawn(rng):
    empty = np.zeros((N, 4, 4))
    gate = np.full((N, 4, 4), np.nan)

    drawing = drawn([Seen("none", "accuracy 10.00 %", np.zeros(N, int), empty, empty, gate)], np.ones((N, 1, 8, 8)))

    assert save(drawing, "png").startswith(b"\x89PNG")
    assert drawing.alt == "'none' answers 1 of 3 right."


def test_a_label_of_any_length_stays_within_its_columns_and_whole_in_the_words_below(rng):
    label = "attention=cbam(reduction=16, kernel=7, order=channel-first), norm=group(groups=8) $x$ \\input{a} <b>"

    drawing = drawn([seen(rng, "none"), seen(rng, label)], rng.random((N, 1, 8, 8)))

    (above,) = [text for text in drawing.figure.texts if "…" in text.get_text()]
    assert above.get_text().startswith("attention=")
    assert label in drawing.caption
    drawing.figure.set_dpi(300)  # as it is saved
    for text in drawing.figure.texts:
        box = text.get_window_extent(drawing.figure.canvas.get_renderer())
        assert box.x0 >= 0
        assert box.x1 <= drawing.figure.bbox.x1
