"""Shared by the tests of readers: how many files, and what a reader may do with a wrong one.

A file that is wrong by meaning gives one sentence or a valid result, and soon. The default run
takes a few examples of each; DECONVVIZ_FUZZ=1 takes many.
"""

import os
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from PIL import Image

from deconvviz.errors import DeconvvizError
from deconvviz.io.images import to_png

FUZZ = "DECONVVIZ_FUZZ" in os.environ
SECONDS = 4.0  # of the processor for one file; the files here are small
PNG = to_png(Image.effect_noise((40, 32), 90).convert("RGB"))


def examples(few, many=600):
    return settings(
        max_examples=many if FUZZ else few,
        deadline=None,
        derandomize=not FUZZ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


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
