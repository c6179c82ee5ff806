"""Everything that deconvviz refuses, as one small tree of exceptions.

Each message says what was asked, what there is, and what to do, in one sentence that a person can
be shown as it stands. Code that calls deconvviz catches `DeconvvizError`.
"""

__all__ = [
    "AtlasError",
    "CheckpointError",
    "DataError",
    "DeconvvizError",
    "DivergedError",
    "PictureError",
    "SelectionError",
    "SettingError",
    "StudyError",
    "TraceError",
    "UnknownLayerError",
    "UnknownModelError",
    "UnsupportedOperationError",
]


class DeconvvizError(Exception):
    """The base of every refusal."""


class PictureError(DeconvvizError):
    """A file is no picture that can be read safely, or a batch of images has the wrong form."""


class DataError(DeconvvizError):
    """A data set is missing, incomplete or not of the stated form."""


class AtlasError(DeconvvizError):
    """An atlas is missing, damaged, unfinished, or of another network or other data."""


class CheckpointError(DeconvvizError):
    """A checkpoint is missing, damaged, unsafe or of another architecture."""


class UnknownModelError(DeconvvizError):
    """No model has this name."""


class TraceError(DeconvvizError):
    """A model cannot be turned into a tape of operations."""


class UnsupportedOperationError(DeconvvizError):
    """An operation has no adjoint under the rule that was asked for."""


class UnknownLayerError(DeconvvizError):
    """The model, or the recording, has no layer of this name."""


class SelectionError(DeconvvizError):
    """A selection names units, images or positions that the recording does not have."""


class SettingError(DeconvvizError):
    """An option, of a command or a recipe, has a value that cannot be."""


class DivergedError(DeconvvizError):
    """A training run's loss is no longer a number; what was good before is kept."""


class StudyError(DeconvvizError):
    """A study, or a record of one of its runs, is missing, damaged or of another plan."""
