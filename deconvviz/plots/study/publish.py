"""All tables and figures of a study, made anew from its records."""

import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from deconvviz.errors import StudyError
from deconvviz.io.files import write_atomically
from deconvviz.plots.files import figure_png
from deconvviz.plots.study import gradients as heatmaps
from deconvviz.plots.study.registry import figures
from deconvviz.plots.study.text import markdown_report, summary
from deconvviz.study import Report, analyse, find_plan, read_records
from deconvviz.study.gradients import Gradients, read_gradients


def publish(name: str, results: Path, folder: Path | None = None) -> Path:
    """Write `results/NAME.md`, and the figures into a folder, if one is given.

    Args:
        name: A plan as for `find_plan`, or "gradients".
        results: Folder with the records, NAME.jsonl.
        folder: Folder for the figures, NAME-FIGURE.png.

    Raises:
        StudyError: There is no such study, it has no record, or its records are damaged or cannot
            be compared.
    """
    drawn: dict[str, Figure] = {}
    if name == "gradients":
        found = read_gradients(results / "gradients.jsonl")
        _refuse_nothing(found, name, results)
        text = heatmaps.markdown_report(found)
        for number, one in enumerate(found, 1) if folder else ():
            drawn[f"norms-{number}"] = heatmaps.norm_maps(one)
            drawn[f"cosines-{number}"] = heatmaps.cosine_maps(one)
    else:
        plan = find_plan(name)
        records = read_records(results / f"{plan.name}.jsonl")
        _refuse_nothing(records, plan.name, results)
        report = analyse(plan, records)
        text, name = markdown_report(report, name), plan.name
        drawn |= figures(report) if folder else {}
    path = results / f"{name}.md"
    write_atomically(path, text)
    for what, figure in drawn.items():
        assert folder is not None
        write_atomically(folder / f"{name}-{what}.png", figure_png(figure))
    return path


def _refuse_nothing(records: Sequence[object], name: str, results: Path) -> None:
    if not records:
        raise StudyError(
            f"{results} has no record of the study {name}; give the folder of its {name}.jsonl "
            "(--results), or run the study"
        )


def save(result: Report | Gradients, folder: Path) -> tuple[Path, ...]:
    """Write a result's numbers, `folder/NAME.json`, and its figures.

    The first figure is `folder/NAME.png`, others are `folder/NAME-FIGURE.png`.
    """
    if isinstance(result, Report):
        name, finding, drawn = result.plan.name, summary(result), figures(result)
    else:
        name, finding = "gradients", heatmaps.summary(result)
        drawn = {"norms": heatmaps.norm_maps(result), "cosines": heatmaps.cosine_maps(result)}
    paths = [folder / f"{name}.json"]
    numbers = {"analysis": name, "summary": finding, **result.to_dict()}
    write_atomically(paths[0], json.dumps(numbers, indent=1) + "\n")
    for what, figure in drawn.items():
        paths.append(folder / f"{name}{f'-{what}' * (len(paths) > 1)}.png")
        write_atomically(paths[-1], figure_png(figure))
    return tuple(paths)
