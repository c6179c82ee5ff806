"""How a refusal reaches a person."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from deconvviz.errors import DeconvvizError

__all__ = ["refusals", "sentence"]


@contextmanager
def refusals() -> Iterator[None]:
    """Show a `DeconvvizError` as its one sentence; the session goes on.

    Any other exception is a fault of ours: Streamlit logs it and, as configured, shows no details.
    """
    try:
        yield
    except DeconvvizError as error:
        st.error(sentence(error), icon=":material/info:")


def sentence(error: DeconvvizError) -> str:
    """An error's message as a sentence: a capital first, a full stop last."""
    text = str(error).strip()
    first = text.partition(" ")[0]
    if first.isalpha():  # else it is a file's name, which stays as it is
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
