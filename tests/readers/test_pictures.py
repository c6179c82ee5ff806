"""Readers of pictures and data sets, given files that are wrong by meaning."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from deconvviz.analysis.parts import read_parts
from deconvviz.io.data import cache, draw_shapes, load_dataset
from deconvviz.io.images import open_picture, to_png
from deconvviz.io.preprocess import Preprocess
from tests.mutations import (
    join_jpeg,
    join_png,
    join_riff,
    jpeg_segments,
    numbers,
    parts,
    png_chunks,
    riff_chunks,
    texts,
    tiff_fields,
)
from tests.originals import write_mnist
from tests.readers.reading import PNG, examples, folder, one_sentence_or_valid, stored

pytestmark = pytest.mark.timeout(3000)

MARKS = {
    "pictures": ["a.png", "b.png"],
    "parts": {"eye": [[1, 1, 9, 9], [2, 2, 12, 12]], "nose": [[9, 9, 20, 20], [9, 9, 20, 20]]},
}


@examples(20)
@given(texts(MARKS))
def test_marked_parts(text):
    with stored(text, "parts.json") as path:
        for name in "ab":
            (path.parent / f"{name}.png").write_bytes(PNG)
        with one_sentence_or_valid():
            read_parts(path, Preprocess(32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)))


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    place = tmp_path_factory.mktemp("mnist")
    write_mnist(place)
    return {one.relative_to(place): one.read_bytes() for one in place.rglob("*") if one.is_file()}


@examples(20)
@given(data=st.data())
def test_idx_files(mnist, data):
    names = sorted(mnist, key=str)
    chosen = data.draw(st.sampled_from(names))
    content = mnist[chosen]
    head = [(0, 2), (2, 1), (3, 1), *((at, 4) for at in range(4, 4 + 4 * content[3], 4))]
    changed = data.draw(
        st.one_of(
            numbers(content, head, "big"),
            st.sampled_from((b"", content[:7], content[:-5], content * 2)),
            st.sampled_from([mnist[name] for name in names]),
        )
    )
    with folder() as place:
        for name, original in mnist.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(changed if name == chosen else original)
        with one_sentence_or_valid():
            found = load_dataset("mnist", "all", data_dir=place, progress=False)
            assert found.images.shape[1:] == (1, 28, 28)


ENTRIES = ("a.png", "B.JPG", ".hidden.png", "c.txt", "d.png.png", "é.png", "x" * 200 + ".png", "f")
CONTENTS = (
    PNG,
    PNG,
    PNG,
    b"",
    PNG[:50],
    b"text",
    to_png(Image.new("RGB", (9, 60))),
    to_png(Image.new("L", (40, 32))),
)


@examples(25)
@given(
    st.dictionaries(
        st.sampled_from(("one", "two", "train/one", "train/two", "test/one", "val/two", ".git")),
        st.dictionaries(st.sampled_from(ENTRIES), st.sampled_from(CONTENTS), max_size=4),
        max_size=5,
    ),
    st.sampled_from(("train", "test", "all", "x")),
    st.sampled_from((None, 16)),
)
def test_class_folders(tree, split, size):
    with folder() as place:
        for name, files in tree.items():
            (place / name).mkdir(parents=True, exist_ok=True)
            for file, content in files.items():
                (place / name / file).write_bytes(content)
        with one_sentence_or_valid():
            options = {"size": size, "data_dir": place, "progress": False}
            found = load_dataset("folder", split, **options)
            assert len(found.images) == len(found.labels)


@examples(15)
@given(data=st.data())
def test_decoded_pictures_in_the_cache(data):
    key = "0" * 64
    cache.write_pixels(key, [draw_shapes(2).images.numpy()])
    path = cache.cache_folder() / "decoded" / f"{key}.pixels"
    content = path.read_bytes()
    fields = [(len(content) - 64 + 8 * n, 8) for n in range(4)]
    path.write_bytes(data.draw(numbers(content, fields, "little")))
    try:
        with one_sentence_or_valid():
            assert cache.read_pixels(key) is None or path.read_bytes() == content
    finally:
        path.unlink()


def encoded(kind, **options):
    stream = io.BytesIO()
    Image.effect_noise((40, 32), 90).convert(options.pop("mode", "RGB")).save(
        stream, kind, **options
    )
    return stream.getvalue()


PICTURES = {
    "PNG": parts(png_chunks(encoded("PNG", mode="RGBA")), join_png),
    "JPEG": parts(jpeg_segments(encoded("JPEG", exif=b"Exif\0\0" + bytes(20))), join_jpeg),
    "progressive": parts(jpeg_segments(encoded("JPEG", progressive=True)), join_jpeg),
    "WebP": parts(riff_chunks(encoded("WEBP", exif=b"Exif\0\0" + bytes(20))), join_riff),
    "GIF": numbers(encoded("GIF"), [(6, 2), (8, 2), (10, 1), (11, 1), (800, 1)], "little"),
    "BMP": numbers(
        encoded("BMP"),
        [(2, 4), (10, 4), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2), (30, 4), (34, 4), (46, 4)],
        "little",
    ),
    "TIFF": numbers(encoded("TIFF"), tiff_fields(encoded("TIFF")), "little"),
    "LZW": numbers(
        encoded("TIFF", compression="tiff_lzw"),
        tiff_fields(encoded("TIFF", compression="tiff_lzw")),
        "little",
    ),
}


@pytest.mark.parametrize("kind", PICTURES)
@examples(10)
@given(data=st.data())
def test_pictures(kind, data):
    with one_sentence_or_valid():
        found = open_picture(data.draw(PICTURES[kind]), "mine")
        assert found.image.mode == "RGB"
