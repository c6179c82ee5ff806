"""A project: what a person chose in the app, and their own pictures, in one file.

The file is a zip of `project.json`, a `ProjectRecord`, and `pictures/0.png`, `pictures/1.png` and
so on. It may come from anyone: its table of contents is checked before anything is unpacked.
"""

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from PIL import Image
from pydantic import Field

from deconvviz.errors import PictureError, SavedFileError
from deconvviz.io.checkpoint import versions
from deconvviz.io.images import MAX_BYTES, Picture, limit_side, open_picture, safe_name, to_png
from deconvviz.schema import parse, read, to_dict, validated

ENDING = ".deconvviz"
MAX_PICTURES = 8
MAX_LABELS = 500
MAX_PROJECT_BYTES = 40 << 20
"""Bytes of a project: eight pictures of noise, 1024 pixels wide and high, have 25 MB."""

_RECORD = "project.json"
_MAX_RECORD = 256 << 10  # bytes
_MAX_UNPACKED = 64 << 20  # bytes of all entries
_END = struct.Struct("<4s4H2LH")  # of a zip: signature, disks, entries, directory, comment
_ENTRY = 46 + 100  # bytes of an entry in the table of contents, with its name and more
_SOME_TIME = (1980, 1, 1, 0, 0, 0)  # the same project gives the same bytes

Text = Annotated[str, Field(max_length=200)]
Value = Annotated[str, Field(max_length=20_000)]


@validated
class ProjectRecord:
    """What stands in a project beside its pictures."""

    network: Text
    """Name of the network in the app."""
    sha256: Text
    """Digest of its checkpoint, or of all its weights."""
    choices: Annotated[
        dict[Text, Annotated[tuple[Value, ...], Field(max_length=32)]], Field(max_length=64)
    ]
    """Parameter of the page's address -> its values."""
    pictures: Annotated[tuple[Text, ...], Field(max_length=MAX_PICTURES)] = ()
    """Names of the pictures, in the order of their files."""
    labels: Annotated[dict[Text, Text], Field(max_length=MAX_LABELS)] = field(default_factory=dict)
    """LAYER/UNIT -> the person's own label of the unit."""
    versions: dict[str, str] = field(default_factory=versions)
    """Versions of the libraries that wrote it."""
    schema: Literal[1] = 1
    """Version of this form."""


@dataclass(frozen=True, eq=False)
class Project:
    """A project that was read: its record, and its pictures by their names in it."""

    record: ProjectRecord
    pictures: Mapping[str, Picture]


def project_bytes(record: ProjectRecord, pictures: Mapping[str, Image.Image]) -> bytes:
    """The content of a project's file; the record names the pictures of the mapping."""
    text = json.dumps(to_dict(replace(record, pictures=tuple(pictures))), indent=1)
    entries = {_RECORD: text.encode()}
    for name, image in zip(_files(len(pictures)), pictures.values(), strict=True):
        entries[name] = to_png(image)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:  # PNG is compressed already
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _SOME_TIME), content)
    return stream.getvalue()


def read_project(content: bytes, name: str, longest: int) -> Project:
    """Read a project's file, having checked all of it.

    Args:
        content: The file.
        name: Its name, for messages.
        longest: Larger pictures are shrunk to this longer side, in pixels.

    Raises:
        SavedFileError: It is damaged, larger than any project, or another kind of file; or one of
            its pictures cannot be read.
    """
    shown = safe_name(name, "the project")
    entries = _unpacked(content, shown)
    text, source = entries.pop(_RECORD), f"{_RECORD} of {shown}"
    record = read(ProjectRecord, parse(text, source, SavedFileError), source, SavedFileError)
    files = _files(len(record.pictures))
    if set(files) != entries.keys() or len(set(record.pictures)) != len(files):
        count = f"{len(record.pictures)} pictures, but holds {len(entries)}"
        raise SavedFileError(f"{shown} names {count}; it is damaged")
    pictures = {}
    for named, file in zip(record.pictures, files, strict=True):
        try:
            picture = open_picture(entries.pop(file), named)
        except PictureError as error:
            raise SavedFileError(f"a picture of {shown} cannot be read: {error}") from None
        pictures[named] = replace(picture, image=limit_side(picture.image, longest))
    return Project(record, pictures)


def _files(count: int) -> list[str]:
    return [f"pictures/{number}.png" for number in range(count)]


def _unpacked(content: bytes, name: str) -> dict[str, bytes]:
    """The entries of a zip by name, none larger than it may be."""
    if len(content) > MAX_PROJECT_BYTES:
        raise SavedFileError(f"{name} is over {MAX_PROJECT_BYTES >> 20} MB; remove some pictures")
    _check_end(content, name)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_entries(entries, name)
            unpacked = {}
            for one in entries:
                with archive.open(one) as file:
                    unpacked[one.filename] = file.read(one.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise SavedFileError(f"{name} is damaged, or no project; save it again") from error
    if any(len(unpacked[one.filename]) != one.file_size for one in entries):
        raise SavedFileError(f"{name} is cut short; save it again")
    return unpacked


def _check_end(content: bytes, name: str) -> None:
    """Check the end of a zip, which says how long the table of contents is, before it is read."""
    if content[:4] != b"PK\3\4" or len(content) < _END.size:
        raise SavedFileError(f"{name} is no project; the app's Save project writes {ENDING} files")
    signature, *disks, entries, size, _, comment = _END.unpack(content[-_END.size :])
    is_long = content[-_END.size - 20 :].startswith(b"PK\6\7")  # of more than 65 535 entries
    most = 1 + MAX_PICTURES
    if signature != b"PK\5\6" or comment or is_long:
        raise SavedFileError(f"{name} is damaged, or no project; save it again")
    if entries > most or size > most * _ENTRY or any(disks[:2]):
        raise SavedFileError(f"{name} has more entries than a project; it is another kind of file")


def _check_entries(entries: list[zipfile.ZipInfo], name: str) -> None:
    names = [one.filename for one in entries]
    if len(set(names)) != len(names):
        raise SavedFileError(f"{name} has an entry twice; it is damaged")
    for one in entries:
        if one.filename != _RECORD and not re.fullmatch(r"pictures/[0-9]\.png", one.filename):
            odd = safe_name(one.filename, "an entry")
            raise SavedFileError(f"{name} holds {odd}, which no project has")
        if one.flag_bits & 1 or one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SavedFileError(f"{name} is encrypted or packed in an unusual way; save it again")
        if one.file_size > (_MAX_RECORD if one.filename == _RECORD else MAX_BYTES):
            raise SavedFileError(f"{name}: {one.filename} is larger than in any project")
    if _RECORD not in names:
        raise SavedFileError(f"{name} has no {_RECORD}, so it is no project")
    if sum(one.file_size for one in entries) > _MAX_UNPACKED:
        raise SavedFileError(f"{name} unpacks to over {_MAX_UNPACKED >> 20} MB; it is no project")
