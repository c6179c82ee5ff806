"""Every reader, given files that are wrong by meaning: one sentence, or a valid result, and soon.

The default run takes a few examples of each; DECONVVIZ_FUZZ=1 takes many.
"""

import io
import json
import os
import resource
import struct
import time
import warnings
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save
from torch import nn

from deconvviz.analysis.parts import read_parts
from deconvviz.analysis.rendering import render
from deconvviz.atlas import build_atlas, load_atlas
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DeconvvizError
from deconvviz.io.bundle import Bundle
from deconvviz.io.checkpoint import load_checkpoint, save_checkpoint
from deconvviz.io.data import cache, draw_shapes, load_dataset
from deconvviz.io.images import open_picture, to_png
from deconvviz.io.preprocess import Preprocess
from deconvviz.io.project import read_project
from deconvviz.io.saved import read_projection
from deconvviz.io.weights import read_weights
from deconvviz.io.zoo.names import demo_folder
from deconvviz.schema import to_dict
from deconvviz.study import read_records
from deconvviz.study.gradients import read_gradients
from deconvviz.study.plan import read_plan
from deconvviz.training import Recipe, read_metrics
from deconvviz.training.run_folder import RunConfig, read_config, read_state
from deconvviz.ui.networks import Network, input_view
from deconvviz.ui.reconstructions import Projector, reconstruct, whole_to_safetensors
from deconvviz.ui.runs import read_upload
from tests.mutations import (
    File,
    join_jpeg,
    join_png,
    join_riff,
    jpeg_segments,
    nested,
    numbers,
    parts,
    plain,
    png_chunks,
    riff_chunks,
    safetensors,
    texts,
    tiff_fields,
    toml,
    trees,
    zips,
)
from tests.originals import write_mnist
from tests.study.samples import record

pytestmark = pytest.mark.timeout(3000)
FUZZ = "DECONVVIZ_FUZZ" in os.environ
SECONDS = 4.0  # of the processor for one file; the files here are small
GROWTH = 700 * 2**20  # bytes of the process's peak over all examples of one reader
ROOT = Path(__file__).parents[1]


def examples(few, many=600):
    return settings(
        max_examples=many if FUZZ else few,
        deadline=None,
        derandomize=not FUZZ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.fixture(autouse=True)
def _memory_is_bounded():
    before = peak()
    yield
    assert peak() - before < GROWTH


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@contextmanager
def one_sentence_or_valid():
    """The reader in the block succeeds, or raises our error with one sentence; and in time."""
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, by Pillow
            yield
    except DeconvvizError as error:
        text = str(error)
        assert text.strip()
        assert "\n" not in text
        assert len(text) <= 1000
    assert time.process_time() - began < SECONDS


@contextmanager
def folder():
    with TemporaryDirectory() as name:
        yield Path(name)


@contextmanager
def stored(content, name="file"):
    """A file with bytes or text."""
    with folder() as place:
        path = place / name
        data = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
        path.write_bytes(data)
        yield path


def small_checkpoint():
    """The demo's description and record over a network of few numbers."""
    described = load_checkpoint(demo_folder() / "demo.safetensors").description
    described = replace(described, model="vgg:2,2")
    with folder() as place:
        save_checkpoint(place / "small", described.build(), described)
        return (place / "small").read_bytes()


CHECKPOINT = small_checkpoint()
(KEY,) = json.loads(CHECKPOINT[8 : 8 + struct.unpack("<Q", CHECKPOINT[:8])[0]])["__metadata__"]


@examples(25)
@given(safetensors(CHECKPOINT, KEY))
def test_checkpoints(content):
    with stored(content, "model.safetensors") as path, one_sentence_or_valid():
        load_checkpoint(path).network()


@examples(10)
@given(safetensors(CHECKPOINT, KEY))
def test_uploaded_checkpoints(content):
    with one_sentence_or_valid():
        run = read_upload(content, "my run.safetensors")
        assert run.row["run"]
        assert 0 <= run.accuracy <= 1


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


WEIGHTS = network().state_dict()
SAVED = io.BytesIO()
torch.save(WEIGHTS, SAVED)


@examples(25)
@given(st.one_of(safetensors(save(WEIGHTS), None), zips(SAVED.getvalue())))
def test_weights(content):
    with stored(content, "w") as path, one_sentence_or_valid():
        found = read_weights(path, WEIGHTS)
        network().load_state_dict(found)
        assert all(torch.isfinite(one).all() for one in found.values())


def saved_projection():
    """A unit of a small network in a picture of 12 x 10 pixels, as a file."""
    bundle = Bundle.of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (3, 12, 12))
    noise = open_picture(to_png(Image.effect_noise((12, 12), 90).convert("RGB")), "noise.png")
    drawn = Network(bundle, Deconvnet(bundle.model, bundle.input_size))
    projector = Projector(drawn, input_view(drawn, noise, "trained"))
    (one,) = reconstruct(projector, "1")
    return bundle, drawn.net, whole_to_safetensors(projector, one, 0.1)


@examples(60)
@given(data=st.data())
def test_saved_projections(saved, data):
    bundle, net, content = saved
    with stored(data.draw(safetensors(content, None)), "p") as path, one_sentence_or_valid():
        found = read_projection(path)
        assert render(found, bundle, net).pixels.isfinite().all()


PROJECT = {
    "network": "demo",
    "sha256": "0" * 64,
    "choices": {"layer": ["stage2.relu1"], "pictures": ["a.png", "cat"], "place": ["0.5,0.5"]},
    "pictures": ["a.png"],
    "versions": {"torch": "2"},
}


@examples(60)
@given(data=st.data())
def test_projects(data):
    text = data.draw(st.one_of(texts(PROJECT), st.just(json.dumps(PROJECT))))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("project.json", text.encode(errors="surrogatepass"))
        archive.writestr("pictures/0.png", PNG)
    content = data.draw(st.one_of(zips(stream.getvalue()), st.just(stream.getvalue())))
    with one_sentence_or_valid():
        for one in read_project(content, "mine.deconvviz", 64).pictures.values():
            assert max(one.image.size) <= 64


@pytest.fixture(scope="module")
def saved():
    return saved_projection()


ODD = (
    None,
    3,
    "a",
    [1, [2]],
    {"a": 1},
    torch.zeros(0),
    torch.zeros(2, 2, 2),
    torch.full((4,), float("nan")),
    torch.zeros(4, dtype=torch.int64),
    torch.zeros(4, dtype=torch.complex64),
    torch.zeros(1).expand(4),
    nested(50),
    10**30,
    float("nan"),
)


@st.composite
def states(draw, state):
    """A pickled dict in which values are of another kind, or missing, or more."""
    state = dict(state)
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from([*state, "x", "", 3]))
        if draw(st.booleans()):
            state[name] = draw(st.sampled_from(ODD))
        else:
            state.pop(name, None)
    stream = io.BytesIO()
    torch.save(draw(st.sampled_from((state, state, state, [state], list(state), None))), stream)
    return File(stream.getvalue())


@examples(20)
@given(states(WEIGHTS))
def test_weights_of_other_kinds(content):
    with stored(content, "w.pt") as path, one_sentence_or_valid():
        network().load_state_dict(read_weights(path, WEIGHTS))


STATE = {
    "epoch": 1,
    "seconds": 1.0,
    "objective": WEIGHTS,
    "optimisers": [{"state": {}, "param_groups": []}],
    "ema": {},
}


@examples(20)
@given(st.one_of(states(STATE), zips(SAVED.getvalue()), st.binary(max_size=100)))
def test_states_of_runs(content):
    with stored(content, "state.pt") as path, one_sentence_or_valid():
        read_state(path.parent, torch.device("cpu"))


CONFIG = plain(to_dict(RunConfig(Recipe(precision="float32"), "0" * 64)))


@examples(30)
@given(texts(CONFIG))
def test_configurations_of_runs(text):
    with stored(text, "config.json") as path, one_sentence_or_valid():
        read_config(path)


METRICS = {"epoch": 1, "train_loss": 2.0, "test_loss": 2.0, "test_accuracy": 0.5, "seconds": 1.0}


@examples(25)
@given(st.lists(texts(METRICS), min_size=1, max_size=3))
def test_metrics_of_runs(lines):
    with stored("\n".join(lines) + "\n", "metrics.jsonl") as path, one_sentence_or_valid():
        read_metrics(path.parent)


RECORD = plain(asdict(record()))


@examples(30)
@given(st.lists(texts(RECORD), min_size=1, max_size=2))
def test_records_of_studies(lines):
    with stored("\n".join(lines), "helps.jsonl") as path, one_sentence_or_valid():
        read_records(path)


TRACE = json.loads((ROOT / "results" / "gradients.jsonl").read_text().splitlines()[0])


@examples(20)
@given(texts(TRACE))
def test_traces_of_gradients(text):
    with stored(f"{text}\n", "gradients.jsonl") as path, one_sentence_or_valid():
        read_gradients(path)


PLAN = {
    "name": "mine",
    "question": "What?",
    "recipe": {"model": "vgg:4,8", "epochs": 2, "precision": "float32", "decoder": {"kernel": 3}},
    "arms": [{"name": "A", "title": "one", "changes": {"lr": 0.1}}, {"name": "B", "title": "two"}],
    "budgets": {"100": {"epochs": 3}},
    "seeds": [0, 1],
    "contrasts": [],
}


@examples(40)
@given(trees(PLAN), st.integers(0, 400), st.booleans())
def test_plans(tree, at, cut):
    text = "\n".join(f"{json.dumps(str(name))} = {toml(value)}" for name, value in tree.items())
    with stored(text[:at] if cut else text, "plan.toml") as path, one_sentence_or_valid():
        list(read_plan(path).specs())


@pytest.fixture(scope="module")
def atlas_file(tmp_path_factory):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 2, 3, stride=4), nn.ReLU())
    place = tmp_path_factory.mktemp("atlas")
    build_atlas(Bundle.of(model, (3, 32, 32)), draw_shapes(8), place, k=2)
    return (place / "atlas.safetensors").read_bytes()


@examples(30)
@given(data=st.data())
def test_atlases(atlas_file, data):
    content = data.draw(safetensors(atlas_file, "deconvviz_atlas"))
    with stored(content, "atlas.safetensors") as path, one_sentence_or_valid():
        found = load_atlas(path)
        for layer, units in found.units.items():
            assert units.value.shape == (found.header.layers[layer][0], found.header.k)


MARKS = {
    "pictures": ["a.png", "b.png"],
    "parts": {"eye": [[1, 1, 9, 9], [2, 2, 12, 12]], "nose": [[9, 9, 20, 20], [9, 9, 20, 20]]},
}
PNG = to_png(Image.effect_noise((40, 32), 90).convert("RGB"))


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
