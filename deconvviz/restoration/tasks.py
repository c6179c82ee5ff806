"""The tasks by name."""

from collections.abc import Callable, Mapping

from deconvviz.errors import SettingError
from deconvviz.restoration.detection import Detection
from deconvviz.restoration.generation import Generation
from deconvviz.restoration.pictures import Deblurring, Denoising, Inpainting, SuperResolution
from deconvviz.restoration.recipe import RestorationRecipe
from deconvviz.restoration.segmentation import Segmentation
from deconvviz.restoration.task import AnyTask
from deconvviz.restoration.unsupervised import AutoEncoding, Supervised

TASKS: Mapping[str, Callable[[RestorationRecipe], AnyTask]] = {
    "sr": SuperResolution.load,
    "denoise": Denoising.load,
    "deblur": Deblurring.load,
    "inpaint": Inpainting.load,
    "segment": Segmentation.load,
    "detect": Detection.load,
    "generate": Generation.load,
    "autoencode": AutoEncoding.load,
    "classify": Supervised.load,
}
"""Makes a task, with its data loaded, from a recipe. To add one, add its line here."""


def load_task(recipe: RestorationRecipe) -> AnyTask:
    """The task of a recipe with its data.

    Raises:
        SettingError: There is no such task.
        DataError: Its data are missing or damaged.
        UnknownModelError: There is no such network.
    """
    if recipe.task not in TASKS:
        raise SettingError(f"no task `{recipe.task}`; there are {', '.join(TASKS)}")
    return TASKS[recipe.task](recipe)
