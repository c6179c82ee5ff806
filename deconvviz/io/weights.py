"""Files of weights from anyone: what a file declares is checked before its numbers are read."""

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from deconvviz.errors import CheckpointError, DeconvvizError

_MAX_HEADER = 1 << 20  # bytes; real headers have a few kB for each hundred tensors
_DTYPES = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Types of weights and counters, by their names in safetensors files."""
_NESTED = ("state_dict", "model_state_dict", "model")  # where training scripts put the weights
_BEFORE_ZIP = b"\x80\x02\x8a\nl\xfc\x9cF\xf9"  # torch's magic number, pickled, in its older files
_MAX_PICKLE = 16 << 20  # bytes; names, shapes and types of all tensors


def read_weights(path: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read the weights of a network.

    The file is safetensors, or a `state_dict` that `torch.save` wrote (since version 1.6), alone or
    under "state_dict", "model_state_dict" or "model". Code in it is never run, and only tensors of
    the names and shapes of the network are read.

    Args:
        path: The file.
        wanted: The network's own `state_dict`.

    Returns:
        Tensors by name, in the network's types, finite.

    Raises:
        CheckpointError: The file is missing, damaged, unsafe, or of another network.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    with path.open("rb") as file:
        start = file.read(9)
    if start[:4] == b"PK\3\4":
        declared = _stored_by_torch(path)
        _check_names(path, {name: tuple(one.shape) for name, one in declared.items()}, wanted)
        return {name: _checked(path, name, one, wanted[name]) for name, one in declared.items()}
    if start == _BEFORE_ZIP:
        raise CheckpointError(
            f"{path} has the form that torch.save wrote before version 1.6, which is not read; "
            "write it anew with torch.save(torch.load(path, weights_only=True), new_path)"
        )
    if start[8:] != b"{":
        raise _unreadable(path)
    with open_safetensors(path) as file:
        slices = _plain_names({name: file.get_slice(name) for name in file.keys()})  # noqa: SIM118
        _check_names(path, {k: tuple(one.get_shape()) for k, one in slices.items()}, wanted)
        for name, one in slices.items():
            if (dtype := one.get_dtype()) not in _DTYPES:
                raise CheckpointError(
                    f"{path}: `{name}` has the type {dtype}, which is not read; save it as float32"
                )
        return {k: _checked(path, k, one[...], wanted[k]) for k, one in slices.items()}


def read_metadata(path: Path) -> dict[str, str]:
    """The texts in the header of a safetensors file.

    Raises:
        CheckpointError: It is damaged, or another kind of file.
    """
    with open_safetensors(path) as file:
        return file.metadata() or {}


@contextmanager
def open_safetensors(
    path: Path,
    error: type[DeconvvizError] = CheckpointError,
    kind: str = "file of weights (pickled .pt files are not read here; they can run code)",
    max_header: int = _MAX_HEADER,
) -> Iterator[Any]:
    """A safetensors file, unless its header is impossible, or larger than any of its kind.

    Args:
        path: The file.
        error: Raised, with one sentence, where it is damaged or another kind of file.
        kind: What it should be, for that sentence.
        max_header: Bytes of the header.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        starts = file.read(1)
    if starts != b"{" or not 0 < length <= min(max_header, path.stat().st_size - 8):
        raise error(f"{path} has no plausible safetensors header; it is damaged, or no {kind}")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as problem:
        raise error(f"{path} is a damaged safetensors file ({problem})") from None


def _stored_by_torch(path: Path) -> dict[str, Tensor]:
    """The weights in a zip of `torch.save`, mapped from the file and not yet read."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            packed = any(one.compress_type != zipfile.ZIP_STORED for one in entries)
            size = sum(one.file_size for one in entries)
            pickles = [one for one in entries if one.filename.endswith("data.pkl")]
            small = len(pickles) == 1 and pickles[0].file_size <= _MAX_PICKLE
            # of what torch's reader without code allows, this alone makes bytes from a number
            fills = not packed and small and b"bytearray" in archive.read(pickles[0])
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
        raise _unreadable(path) from error
    if packed or size > path.stat().st_size:
        raise CheckpointError(
            f"{path} is compressed, and may be of any size; save the network's state_dict() with "
            "torch.save, which does not compress"
        )
    if not small or fills:
        raise _unreadable(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on unusual pickles
            stored: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # its reader raises anything on a damaged file
        raise _unreadable(path) from error
    for key in _NESTED:
        if isinstance(stored, Mapping) and isinstance(stored.get(key), Mapping):
            stored = stored[key]
    if not isinstance(stored, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in stored.items()
    ):
        raise CheckpointError(
            f"{path} has no weights by name; save the network's state_dict() alone"
        )
    plain = _plain_names(stored)
    for name, tensor in plain.items():
        _check_plain(path, name, tensor)
    return plain


def _plain_names(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Weights without the prefix that `DataParallel` gives all names."""
    if all(name.startswith("module.") for name in stored):
        return {name.removeprefix("module."): one for name, one in stored.items()}
    return dict(stored)


def _check_plain(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse tensors that are not numbers in memory, or more of them than the file has."""
    kind = ""
    if tensor.is_meta:
        kind = "has no numbers (it is on the device meta)"
    elif tensor.layout != torch.strided:
        kind = f"is sparse ({str(tensor.layout).removeprefix('torch.')})"
    elif tensor.is_quantized:
        kind = "is quantised"
    elif tensor.dtype not in _DTYPES.values():
        kind = f"has the type {str(tensor.dtype).removeprefix('torch.')}, which is not read"
    elif tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        kind = "repeats its numbers (it is expanded)"
    if kind:
        raise CheckpointError(f"{path}: `{name}` {kind}; save it as a plain float32 tensor")


def _check_names(
    path: Path, shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, Tensor]
) -> None:
    found = []
    for what, names in (
        ("it lacks", sorted(wanted.keys() - shapes.keys())),
        ("it has unexpected", sorted(shapes.keys() - wanted.keys())),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            found.append(f"{what} `{names[0]}`{more}")
    for name, shape in shapes.items():
        if name in wanted and shape != tuple(wanted[name].shape) and not found:
            found.append(f"`{name}` is {list(shape)}, not {list(wanted[name].shape)}")
    if found:
        raise CheckpointError(f"{path} is of another network: {', and '.join(found)}")


def _checked(path: Path, name: str, tensor: Tensor, wanted: Tensor) -> Tensor:
    if wanted.is_floating_point() != tensor.is_floating_point():
        raise CheckpointError(
            f"{path}: `{name}` has the wrong type, {tensor.dtype}; the network needs {wanted.dtype}"
        )
    made = tensor.to(wanted.dtype)
    if made.is_floating_point() and not bool(made.isfinite().all()):
        raise CheckpointError(f"{path}: `{name}` holds values that are not finite")
    return made


def _unreadable(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} has no weights that can be read without running code; save the network's "
        "state_dict() alone, with safetensors or torch.save"
    )
