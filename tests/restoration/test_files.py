"""Picture files: what cannot be read is refused, what need not change stays."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from PIL.ExifTags import Base as Exif
from torch import nn

from deconvviz.errors import SettingError
from deconvviz.networks import architecture
from deconvviz.restoration.apply import Network, Restorer
from deconvviz.restoration.files import restore_files, targets

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


class Same(nn.Module):
    """Answers what it is given, without alpha."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, pictures):
        return pictures[:, : self.outputs]


class Blue(nn.Module):
    """Answers blue."""

    def forward(self, pictures):
        return torch.zeros_like(pictures[:, :3]) + torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1)


SAME = Network(Same(3), architecture("half"), "denoise", 3)
UNCHANGED = Restorer("denoise", SAME, SAME)
BLUE = Network(Blue(), architecture("half:alpha=true"), "inpaint", 4)
FILLED = Restorer("inpaint", BLUE, BLUE)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def one(source, out, restorer=UNCHANGED, **options):
    (result,) = restore_files(targets(source, out), restorer, **options)
    return result


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".bmp", ".jpg"])
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_stays_grey_and_a_network_that_changes_nothing_changes_nothing(
    tmp_path, suffix, channels
):
    pixels = noise(21, 33, channels).squeeze()
    Image.fromarray(pixels).save(tmp_path / "in.png")
    result = one(tmp_path / "in.png", tmp_path / f"out{suffix}")
    with Image.open(result.target) as written:
        grey = channels == 1 and suffix != ".webp"  # which has no grey
        assert written.mode == ("L" if grey else "RGB")
        made = np.asarray(written.convert("L" if channels == 1 else "RGB")).astype(int)
    assert np.abs(made - pixels).max() <= (0 if suffix != ".jpg" else 60)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_profile_transparency_and_orientation_are_kept(tmp_path, suffix):
    pixels = noise(20, 30, 4)
    exif = Image.Exif()
    exif[Exif.Orientation] = 6  # to be turned by 90 degrees clockwise
    exif[Exif.Make] = "camera"
    Image.fromarray(pixels).save(tmp_path / "in.png", exif=exif, icc_profile=PROFILE)
    result = one(tmp_path / "in.png", tmp_path / f"out{suffix}")
    with Image.open(result.target) as written:
        assert written.info["icc_profile"] == PROFILE
        visible = pixels[..., 3:] > 0  # WebP may change colours that nobody sees
        made = np.rot90(np.asarray(written))
        assert np.array_equal(np.where(visible, made, 0), np.where(visible, pixels, 0))
        assert Exif.Make not in written.getexif()
        assert written.getexif().get(Exif.Orientation, 1) == 1


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".png"])
def test_the_profile_of_each_format_is_kept(tmp_path, suffix):
    profile = PROFILE + bytes(100_000)  # two segments of a JPEG
    Image.fromarray(noise(20, 30, 3)).save(tmp_path / f"in{suffix}", icc_profile=profile)
    with Image.open(one(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}").target) as written:
        assert written.info["icc_profile"] == profile


def test_a_profile_of_another_colour_space_is_left_out(tmp_path):
    Image.fromarray(noise(20, 30)).save(tmp_path / "in.png", icc_profile=PROFILE)
    with Image.open(one(tmp_path / "in.png", tmp_path / "out.png").target) as written:
        assert "icc_profile" not in written.info


def test_jpeg_of_a_transparent_picture_tells_what_is_lost(tmp_path):
    Image.fromarray(noise(20, 30, 4)).save(tmp_path / "in.png")
    result = one(tmp_path / "in.png", tmp_path / "out.jpg")
    assert result.notices == ("JPEG has no transparency",)


def test_inpainting_fills_what_the_mask_or_transparency_says(tmp_path):
    pixels, missing = noise(20, 30, 3), noise(20, 30, seed=1) > 128
    wanted = np.where(missing[..., None], np.array([0, 0, 255], np.uint8), pixels)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    Image.fromarray(missing.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    alpha = np.dstack([pixels, np.where(missing, 0, 255).astype(np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    masked = one(tmp_path / "in.png", tmp_path / "a.png", FILLED, mask=tmp_path / "mask.png")
    transparent = one(tmp_path / "alpha.png", tmp_path / "b.png", FILLED)
    for result in (masked, transparent):
        with Image.open(result.target) as written:
            assert np.array_equal(np.asarray(written), wanted)
    refused = one(tmp_path / "in.png", tmp_path / "c.png", FILLED)
    assert "no transparent pixels" in refused.refusal
    Image.fromarray(noise(8, 8)).save(tmp_path / "mask.png")
    refused = one(tmp_path / "in.png", tmp_path / "c.png", FILLED, mask=tmp_path / "mask.png")
    assert "the mask is 8 x 8 pixels, and the picture 30 x 20" in refused.refusal
    assert not (tmp_path / "c.png").exists()


def test_a_folder_is_done_file_by_file(tmp_path):
    given, out = tmp_path / "in", tmp_path / "out"
    (given / "inner").mkdir(parents=True)
    for name in ("a.png", "a.gif", "inner/b.jpg", "c.webp"):
        Image.fromarray(noise(16, 16, 3)).save(given / name)
    (given / "bad.png").write_bytes(b"")
    (given / "notes.txt").write_text("no picture")
    (given / "cut.jpg").write_bytes((given / "inner/b.jpg").read_bytes()[:300])
    (given / ".hidden").write_text("not looked at")
    results = list(restore_files(targets(given, out), UNCHANGED))
    refused = {result.source.name for result in results if result.refusal}
    assert refused == {"bad.png", "notes.txt", "cut.jpg"}
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert written == {"a.png", "a.png.png", "inner/b.jpg", "c.webp"}
    again = targets(given, given / "out")
    assert len(again) == len(results)


def test_places_that_cannot_be_are_told(tmp_path):
    Image.fromarray(noise(16, 16, 3)).save(tmp_path / "a.png")
    for source, out, message in (
        ("none.png", "b.png", "no file or folder"),
        ("a.png", "a.png", "would replace the original"),
        ("a.png", ".", "would replace the original"),
        ("a.png", "b.gif", "ends in .png"),
        (".", "a.png", "is a folder, and"),
        (".", ".", "no files"),  # what lies in OUT is not looked at
    ):
        with pytest.raises(SettingError, match=message):
            targets(tmp_path / source, tmp_path / out)
