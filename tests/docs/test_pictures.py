"""The drawings of the book: described, in one style, and to be read in grey."""

import chapters
import numpy as np
import pytest

import npbert

matplotlib = pytest.importorskip("matplotlib", reason="the chapters draw with matplotlib")
from matplotlib.colors import to_rgb  # noqa: E402

pictures = chapters.drawings()
FAMILIES = ["bert", "convbert", "mobilebert", "squeezebert"]
TEXT = "what there is to see"
DRAWINGS = {
    "heatmap": lambda: pictures.heatmap(np.eye(3), ["a", "b", "c"], ["d", "e", "f"], alt=TEXT),
    "heatmaps": lambda: pictures.heatmap(
        np.ones((2, 3, 3)), alt=TEXT, signed=True, numbers=True, outside=np.eye(3, dtype=bool)
    ),
    "distributions": lambda: pictures.distributions({"a": [1, 2, 3], "b": [2, 2]}, alt=TEXT),
    "bars": lambda: pictures.bars({"a": 1, "b": 2}, alt=TEXT, log=True),
    "parts": lambda: pictures.bars({"a": {"x": 1, "y": 2}, "b": {"y": 2}}, alt=TEXT),
    "curves": lambda: pictures.curves({"a": ([1, 2], [3, 4])}, alt=TEXT, log_x=True, log_y=True),
    "roofline": lambda: pictures.roofline({"a": (1, 1e9)}, peak=1e10, bandwidth=1e9, alt=TEXT),
    "widths": lambda: pictures.widths([("in", 8), ("inside", 2), ("out", 8)], alt=TEXT),
}


def luminance(colour):
    """Return how light a colour is, from 0 to 1, as WCAG defines it."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_drawing_is_an_image_with_its_description(name):
    picture = DRAWINGS[name]()
    assert picture.png().startswith(b"\x89PNG")
    assert f'alt="{TEXT}"' in picture._repr_html_()


def test_a_picture_without_a_description_is_refused():
    with pytest.raises(TypeError, match="alt"):
        pictures.bars({"a": 1})
    with pytest.raises(ValueError, match="without a description"):
        pictures.bars({"a": 1}, alt=" ")


def test_a_description_cannot_leave_its_attribute():
    picture = pictures.bars({"a": 1}, alt='"><script>alert(1)</script>')
    assert "<script>" not in picture._repr_html_()


@pytest.mark.parametrize("family", FAMILIES)
def test_diagrams_have_the_shapes_of_the_config(family):
    config = npbert.AutoConfig.from_pretrained(f"{family}-tiny")
    layer, model = pictures.layer(config, 7), pictures.model(config, 7)
    assert f"[B, {config.heads}, 7, 7] from query" in layer.alt
    assert str(config.intermediate_size) in layer.alt
    assert f"[B, 7, {config.vocab_size}]" in model.alt
    assert model.alt.count("; layer ") == config.num_hidden_layers


@pytest.mark.parametrize("family", FAMILIES)
def test_the_boxes_of_a_layer_stand_apart(family):
    config = npbert.AutoConfig.from_pretrained(f"{family}-tiny")
    boxes = pictures.LAYERS[family](config, 7)
    for number, box in enumerate(boxes):
        for other in boxes[:number]:
            beside = abs(box.at[0] - other.at[0]) >= pictures.BOX_WIDTH
            below = abs(box.at[1] - other.at[1]) >= pictures.BOX_HEIGHT
            assert beside or below, f"{box.name} lies on {other.name}"


def test_areas_and_lines_differ_in_grey():
    areas = [luminance(shade) for shade in pictures.SHADES]
    assert (np.abs(np.diff(areas)) > 0.1).all()  # one beside the next
    assert len(set(pictures.HATCHES)) == len(pictures.SHADES)
    assert len(set(pictures.DASHES)) == len(pictures.LINES)
    for line in pictures.LINES:  # on white: WCAG asks 3 to 1 of what is no text
        assert 1.05 / (luminance(line) + 0.05) >= 3


@pytest.mark.parametrize("name", [pictures.SHARES, pictures.SIGNED])
def test_shades_of_a_heatmap_go_one_way_in_grey(name):
    shades = [luminance(matplotlib.colormaps[name](x)[:3]) for x in np.linspace(0, 1, 40)]
    steps = np.diff(shades)
    assert (steps > 0).all() or (steps < 0).all()


def test_text_on_a_box_has_contrast():
    for fill, *_ in pictures.LOOKS.values():
        assert (luminance(fill) + 0.05) / 0.05 >= 4.5
