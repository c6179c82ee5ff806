"""The exceptions of deconvviz.

    DeconvvizError
    ├── PictureError                a file is not a readable picture, or a batch has a wrong shape
    ├── DataError                   a data set is missing, incomplete or malformed
    ├── AtlasError                  an atlas is missing, damaged, unfinished or of something else
    ├── CheckpointError             weights are missing, damaged, unsafe or of another network
    ├── UnknownModelError           there is no model of this name
    ├── TraceError                  a model cannot be traced
    ├── SelfCheckError              a traced model computes other values than the model itself
    ├── UnsupportedOperationError   an operation has no adjoint under this rule
    ├── UnknownLayerError           the model, recording or atlas has no layer of this name
    ├── SelectionError              there is no such unit, image or position
    ├── SettingError                an option has an invalid value
    ├── DivergedError               the loss of a training run, or a weight, is NaN or infinite
    ├── StudyError                  a study or one of its records is missing, damaged or different
    ├── SavedFileError              a saved projection or project is damaged, or of something else
    └── BusyError                   another process writes the same folder

A message is one sentence for people: what was asked, what there is, and what to do.
"""

_LONGEST = 1000  # characters of a message


class DeconvvizError(Exception):
    """Base of all exceptions of deconvviz.

    A message that repeats a long text of a damaged file is cut in its middle.
    """

    def __init__(self, message: object = "") -> None:
        text = str(message)
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST - 300]} … {text[-290:]}"
        super().__init__(text)


class PictureError(DeconvvizError):
    """A file is not a picture that can be read safely, or a batch of images has a wrong shape."""


class DataError(DeconvvizError):
    """A data set is missing, incomplete or malformed."""


class AtlasError(DeconvvizError):
    """An atlas is missing, damaged, unfinished, or of another network or other data."""


class CheckpointError(DeconvvizError):
    """A checkpoint is missing, damaged, unsafe or of another architecture."""


class UnknownModelError(DeconvvizError):
    """There is no model of this name."""


class TraceError(DeconvvizError):
    """A model cannot be traced into a tape of operations."""


class SelfCheckError(DeconvvizError):
    """A traced model computes other values than the model itself: a fault of the engine."""


class UnsupportedOperationError(DeconvvizError):
    """An operation has no adjoint under this rule."""


class UnknownLayerError(DeconvvizError):
    """The model, recording or atlas has no layer of this name."""


class SelectionError(DeconvvizError):
    """A selection has units, images or positions that the recording does not have."""


class SettingError(DeconvvizError):
    """An option of a command or a recipe has an invalid value."""


class DivergedError(DeconvvizError):
    """The loss of a training run is NaN or infinite; the last good state is kept."""


class StudyError(DeconvvizError):
    """A study, or a record of one of its runs, is missing, damaged or of another plan."""


class SavedFileError(DeconvvizError):
    """A saved projection or project is missing, damaged, or of another network."""


class BusyError(DeconvvizError):
    """Another process writes the same folder."""
