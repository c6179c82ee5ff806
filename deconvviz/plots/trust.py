"""An examination of a projection in words, and as one panel."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from deconvviz.analysis.trust.checks import Control, Similarity
from deconvviz.analysis.trust.examination import MUCH, SOME, SPREADS, Trust, kept_share
from deconvviz.io.preprocess import Pixels
from deconvviz.plots.arrays import stretched
from deconvviz.plots.display import display, display_caption, percent
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, legend, quiet
from deconvviz.units import Unit

_DEPENDS = {
    "image": "not at all",
    "layers_below": "little",
    "partly_unit": "partly",
    "unit": "strongly",
}
LETTERS = 8  # points
_STORY = 11  # points in the story, which a telephone shows at two thirds
_LINE = 165  # letters of that size in a line
_ROW = 0.16  # inches of a line


def summary(trust: Trust) -> str:
    """The verdict, and the results of the other controls."""
    sentences = [verdict(trust)]
    if trust.outcome != "inconclusive":
        sentences += _other_controls(trust)
    sentences.append(_deletion(trust))
    if trust.above:
        ends = " to ".join(dict.fromkeys((trust.above[0], trust.above[-1])))
        sentences.append(f"The layers above ({ends}) have no part in it, by construction.")
    return " ".join(sentences)


def verdict(trust: Trust) -> str:
    """The outcome in one sentence, with the numbers that it follows from."""
    if not trust.cascade:
        return "This picture is the image's alone: there are no kernels below."
    own, last = trust.ends
    more = f" and {len(own.modules) - 1} more" if len(own.modules) > 1 else ""
    kernels = f"shuffling the unit's own kernels ({own.modules[0]}{more})"
    level = trust.chance.similarity
    chance = f"{level.rank:.2f}" + (f", {level.ssim:.2f}" if math.isfinite(level.ssim) else "")
    of_own, of_all = (
        f"({_numbers(step.control.similarity)}; by chance {chance})" for step in (own, last)
    )
    match trust.outcome:
        case "inconclusive":
            return f"Similarity shows nothing here: {trust.unmeasured}."
        case "between":
            one, other = (_DEPENDS[name] for name in (trust.possible[0], trust.possible[-1]))
            shuffled = "all kernels below" if "image" in trust.possible else kernels
            kept = _kept(trust, "image" in trust.possible)
            return (
                f"Whether this picture depends {one} or {other} on this unit's own kernels is not "
                f"settled: {shuffled.removeprefix('shuffling ')}, shuffled, leave {kept} of it."
            )
        case "image":
            what = "mostly the image's own"
            if trust.is_on_edges:
                what += f" edges (rank correlation with them {trust.edges.similarity.rank:.2f})"
            return (
                f"This picture is {what}: shuffling all kernels below changes it little {of_all}."
            )
        case "layers_below":
            return (
                "This picture is mostly determined by the layers below, not specific to this unit: "
                f"{kernels} changes it little {of_own}."
            )
        case "partly_unit":
            return (
                f"This picture depends partly on this unit's own kernels: {kernels} changes it "
                f"{of_own}."
            )
        case "unit":
            return (
                "This picture depends strongly on this unit's own kernels: "
                f"{kernels} leaves little of it {of_own}."
            )


def _kept(trust: Trust, everything: bool) -> str:
    """What an end of the cascade keeps, and the half-width of its interval."""
    place = 1 if everything else 0
    kept = trust.kept(trust.ends[place].control.similarity)
    return f"{max(0.0, kept):.0%} (± {SPREADS * trust.kept_error[place]:.0%})"


def unit_title(units: Sequence[Unit], map_size: tuple[int, int]) -> str:
    """The unit of a projection, for example "Unit 3 of conv1, row 2, column 5"."""
    first = units[0]
    if len(units) > 1:
        return f"{len(units)} units of {first.layer} together"
    place = "" if map_size == (1, 1) else f", row {first.y}, column {first.x}"
    return f"Unit {first.channel} of {first.layer}{place}"


def _others(trust: Trust) -> dict[str, Control | None]:
    """The controls besides the cascade, by name."""
    return {
        "other units": trust.other_units,
        "random starts": trust.random_starts,
        "random switches": trust.random_switches,
    }


def similar_controls(trust: Trust) -> list[str]:
    """The controls besides the cascade that keep much of the picture."""
    return [name for name, one in _others(trust).items() if one and trust.keeps_much(one)]


def _other_controls(trust: Trust) -> Iterator[str]:
    """Which controls besides the cascade keep much of the picture, and which do not."""
    kept = {name: trust.kept(one.similarity) for name, one in _others(trust).items() if one}
    kept = {name: share for name, share in kept.items() if math.isfinite(share)}
    similar = [name for name in kept if name in similar_controls(trust)]
    rest = [name for name in kept if name not in similar]
    refusal = "do not" if similar else "do not give much the same picture"
    for names, end in ((similar, "give much the same picture"), (rest, refusal)):
        listed = [f"{name} ({percent(max(0.0, kept[name]))} left)" for name in names]
        if listed:
            *most, last = listed
            yield f"{' and '.join(filter(None, [', '.join(most), last]))} {end}.".capitalize()


def _numbers(similarity: Similarity) -> str:
    """Rank correlation and SSIM, where there are any."""
    if not math.isfinite(similarity.rank):
        return "none"
    ssim = f", SSIM {similarity.ssim:.2f}" if math.isfinite(similarity.ssim) else ""
    return f"rank correlation {similarity.rank:.2f}{ssim}"


def _deletion(trust: Trust) -> str:
    one, other = trust.curves.insertion, trust.curves.deletion
    match trust.beats_random_orders:
        case True, True:
            what = "The pixels that it marks carry the unit's activation"
        case True, False:
            what = "The pixels that it marks suffice for the activation, but so do others"
        case False, True:
            what = "The activation needs the pixels that it marks, and others"
        case _:
            what = "The pixels that it marks carry no more of the activation than any others"
    return (
        f"{what} (area of insertion {one.area:.2f}, of deletion {other.area:.2f}; of random orders "
        f"{one.chance:.2f} ± {one.spread:.2f})."
    )


LEGEND = (
    "Each bar changes one thing and asks how much of the picture is left: 0% is no more than two "
    "unrelated pictures share by chance, 100% is the same picture. It is the mean of two measures, "
    "both on this scale: rank correlation (are the same pixels strong?) and SSIM (have small "
    "neighbourhoods the same structure?), without regard to signs. A *kernel* is a unit's set of "
    "weights; *shuffled*, it has the same weights in random order. The first two bars decide the "
    "verdict: the shorter they are, the more the picture depends on this unit's own weights. "
    "Random weights, which have learned nothing, give short bars too: these do not show that "
    "anything was learned. Long bars of *another unit* or of *random start values*: any "
    "unit would give it. *Switches* are the places that max pooling remembers of the photograph: "
    "what is lost with random ones came from there."
)


def headline(trust: Trust) -> str:
    """The verdict in one plain sentence."""
    steps = (trust.cascade[0], trust.cascade[-1]) if trust.cascade else ()
    kept = [max(0.0, trust.kept(step.control.similarity)) for step in steps]
    own, last = (f"{share:.0%}" for share in kept or (0.0, 0.0))
    shuffled = "when the unit's own kernels, its weights, are shuffled"
    match trust.outcome:
        case "image" if trust.cascade:
            return (
                f"This picture says little about the network: {last} of it is left even when all "
                "weights are shuffled."
            )
        case "layers_below":
            return (
                f"This picture says little about this unit: {own} of it is left {shuffled}. It "
                "comes from the layers below."
            )
        case "partly_unit":
            return f"This picture depends partly on this unit: {own} of it is left {shuffled}."
        case "unit":
            return (
                f"This picture depends strongly on this unit: only {own} of it is left {shuffled}."
            )
        case "between":
            one, other = (_DEPENDS[name] for name in (trust.possible[0], trust.possible[-1]))
            everything = "image" in trust.possible
            by = "when all weights are shuffled" if everything else shuffled
            return (
                f"This picture depends {one} or {other} on this unit; the shuffled networks do not "
                f"settle which: {_kept(trust, everything)} of it is left {by}."
            )
    return verdict(trust)


def story(trust: Trust, ink: str = NEUTRAL_INK) -> Figure:
    """The picture beside what the controls make of it; a bar for how much each of them keeps."""
    bars = list(_bars(trust))
    high = 1.75 + 0.36 * len(bars)
    drawn = Figure(figsize=(5.2, high + 0.35), facecolor="none", layout="constrained")
    rows = drawn.add_gridspec(2, 1, height_ratios=(1.45, high - 1.1))
    above, below = (drawn.add_subfigure(rows[row], facecolor="none") for row in (0, 1))
    for axes, (title, pixels) in zip(above.subplots(1, 4), _first_cells(trust), strict=True):
        axes.set_axis_off()
        if pixels is not None:
            axes.imshow(pixels, interpolation="nearest")
        axes.set_title(title, fontsize=_STORY, color=ink)
    axes = below.add_subplot()
    quiet(axes, ink)
    axes.spines["left"].set_visible(False)
    for row, (_, kept) in enumerate(bars):
        known = math.isfinite(kept)
        axes.barh(row, kept if known else 0, height=0.6, color=ACCENTS[row > 1])
        text = f"{kept:.0%}" if known else "there is none"
        place = max(kept if known else 0, 0) + 0.02
        axes.text(place, row, text, va="center", color=ink, fontsize=_STORY)
    axes.set_yticks(range(len(bars)), [name for name, _ in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlim(min(-0.02, *(kept for _, kept in bars if math.isfinite(kept))), 1.15)
    axes.axvline(0, color=ink, linewidth=1)
    for level, name in ((SOME, "some"), (MUCH, "much")):
        axes.axvline(level, color=ink, linewidth=0.8, linestyle=":", zorder=0)
        at = axes.get_xaxis_transform()
        axes.text(level, 1.01, name, transform=at, ha="center", color=ink, fontsize=_STORY - 1)
    axes.set_xticks([0, 1], ["as by chance", "the same"])
    axes.tick_params(labelsize=_STORY)
    axes.tick_params(axis="y", length=0)
    return drawn


def _first_cells(trust: Trust) -> Iterator[tuple[str, Pixels | None]]:
    """What the unit sees, its projection, and the two controls that are easiest to grasp."""
    yield "what it sees", stretched(trust.patch[None].float().numpy())[0]
    yield "its picture", display(trust.pixels)
    shuffled = trust.cascade[0].control if trust.cascade else None
    for title, control in (("shuffled", shuffled), ("another unit", trust.other_units)):
        example = control.example if control else None
        yield title, None if example is None else display(example)


def _bars(trust: Trust) -> Iterator[tuple[str, float]]:
    """Control -> the share of the picture that it keeps; NaN where it has no pictures."""
    cascade = [step.control for step in trust.cascade]
    controls = {
        "own kernels shuffled": cascade[0] if cascade else None,
        "all kernels shuffled": cascade[-1] if cascade else None,
        "another unit": trust.other_units,
        "random start values": trust.random_starts,
        "random switches": trust.random_switches,
    }
    for name, control in controls.items():
        yield name, trust.kept(control.similarity) if control else math.nan
    yield "the photograph's edges", kept_share(trust.edges.similarity, trust.edges_chance)


def figure(trust: Trust, ink: str = NEUTRAL_INK) -> Figure:
    """The controls' pictures beside the examined one; the cascade; insertion and deletion."""
    title = unit_title(trust.units, trust.map_size)
    heading = textwrap.fill(f"{title}, {trust.rule}. {verdict(trust)}", _LINE - 15)
    text = textwrap.fill(f"{_CAPTION} {display_caption()}", _LINE)
    pictures = 0.55 + _ROW * len(heading.splitlines())  # inches from the top
    plots = pictures + 2.5
    under_plots = max(0.5, 0.25 + 0.03 * max(map(len, _steps(trust))))  # names are rotated
    high = plots + 1.4 + under_plots + 0.1 + _ROW * len(text.splitlines())
    panel = Figure(figsize=(11.0, high), facecolor="none")
    cells = list(_cells(trust))
    place = {"top": 1 - pictures / high, "bottom": 1 - (pictures + 1.14) / high, "wspace": 0.08}
    row = panel.add_gridspec(1, len(cells), left=0.01, right=0.99, **place)
    for axes in picture_row(row, cells, ink):
        axes.set_box_aspect(1)
        axes.set_anchor("S")
    place = {"top": 1 - plots / high, "bottom": 1 - (plots + 1.4) / high, "wspace": 0.13}
    row = panel.add_gridspec(1, 2, left=0.05, right=0.99, **place)
    _cascade(panel.add_subplot(row[0]), trust, ink)
    _curves(panel.add_subplot(row[1]), trust, ink)
    panel.text(0.01, 1 - 0.05 / high, heading, va="top", color=ink, fontsize=9, parse_math=False)
    panel.text(0.01, 0.01, text, va="bottom", color=ink, fontsize=LETTERS, parse_math=False)
    return panel


def picture_row(
    grid: GridSpec, cells: Sequence[tuple[str, Pixels | None, str]], ink: str
) -> Iterator[Axes]:
    """Pictures side by side, each with a title above and a note below."""
    assert grid.figure is not None
    for place, (title, pixels, note) in enumerate(cells):
        axes = grid.figure.add_subplot(grid[place])
        axes.set_axis_off()
        if pixels is not None:
            axes.imshow(pixels, interpolation="nearest")
        axes.set_title(title, loc="left", fontsize=LETTERS + 1, color=ink, pad=3)
        corner = axes.transAxes
        axes.text(0, -0.04, note, color=ink, fontsize=LETTERS, va="top", transform=corner)
        yield axes


def _cells(trust: Trust) -> Iterator[tuple[str, Pixels | None, str]]:
    """Title, picture and numbers of each picture, from left to right."""
    yield "what it sees", stretched(trust.patch[None].float().numpy())[0], ""
    yield "its projection", display(trust.pixels), "examined"
    controls = {
        "another unit": trust.other_units,
        "random start": trust.random_starts,
        "random switches": trust.random_switches,
        "own kernels\nshuffled": trust.cascade[0].control if trust.cascade else None,
        "all kernels\nshuffled": trust.cascade[-1].control if trust.cascade else None,
        "unrelated\n(chance)": trust.chance,
    }
    for title, control in controls.items():
        if control is None or control.example is None:
            yield title, None, "there is none"
            continue
        kept = f"keeps {trust.kept(control.similarity):.0%}"
        yield title, display(control.example), _lines(control.similarity, kept)
    edges = trust.edges.example
    assert edges is not None
    by_chance = f"by chance {trust.edges_chance.rank:.2f}"
    shown = stretched(edges[None].float().numpy())[0]
    yield "the image's\nedges (Sobel)", shown, _lines(trust.edges.similarity, by_chance)


def _lines(similarity: Similarity, more: str) -> str:
    return "\n".join([*_numbers(similarity).replace("correlation ", "").split(", "), more])


def _cascade(axes: Axes, trust: Trust, ink: str) -> None:
    places = range(len(trust.cascade) + 1)
    chance = trust.chance.similarity
    found = [step.control.similarity for step in trust.cascade]
    lines = (
        ("rank correlation", [x.rank for x in found], [x.rank_spread for x in found], chance.rank),
        ("SSIM", [x.ssim for x in found], [x.ssim_spread for x in found], chance.ssim),
    )
    style: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linewidth": 1.4, "elinewidth": 0.8}
    for colour, (name, values, spreads, level) in zip(ACCENTS, lines, strict=True):
        axes.errorbar(places, [1, *values], [0, *spreads], color=colour, label=name, **style)
        axes.axhline(level, color=colour, linewidth=1, linestyle=":", label=f"{name} by chance")
    axes.set_xticks(places, _steps(trust), rotation=25, ha="right", rotation_mode="anchor")
    _finish(axes, "Cascading randomisation: kernels shuffled, from the unit's own down", ink)


def _steps(trust: Trust) -> list[str]:
    """What is shuffled at each step of the cascade, in addition to all before."""
    return ["nothing", *("+ " + ", ".join(step.modules[:1]) for step in trust.cascade)]


def _curves(axes: Axes, trust: Trust, ink: str) -> None:
    both = {"inserted": trust.curves.insertion, "deleted": trust.curves.deletion}
    for colour, (name, curve) in zip(ACCENTS, both.items(), strict=True):
        label = f"{name}: area {curve.area:.2f}"
        axes.plot(curve.share, curve.value, color=colour, linewidth=1.4, label=label)
        mean, spread = curve.random.mean(dim=0), curve.random.std(dim=0)
        low, high = mean - spread, mean + spread
        chance = f"in random orders: {curve.chance:.2f} ± {curve.spread:.2f}"
        axes.fill_between(curve.share, low, high, color=colour, alpha=0.22, lw=0, label=chance)
    axes.set_xlabel("share of the window's pixels, those of the largest projection × image first")
    _finish(axes, "The unit's activation, relative, as pixels are inserted or deleted", ink)


def _finish(axes: Axes, title: str, ink: str) -> None:
    quiet(axes, ink)
    axes.tick_params(labelsize=LETTERS)
    axes.xaxis.label.set(fontsize=LETTERS + 1)
    axes.set_title(title, loc="left", fontsize=LETTERS + 1, color=ink, pad=32)
    axes.set_ylim(bottom=min(axes.get_ylim()[0], -0.05))
    place = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1), "borderaxespad": 0.2}
    legend(axes, ink, fontsize=LETTERS, ncols=2, **place)


_CAPTION = (
    "Each control changes one thing and shows its first example; below it, the similarity of "
    "its pictures to the examined one, by magnitudes, the mean of all. Unrelated pictures, of "
    "shuffled networks on shuffled pixels, are the chance level: a control keeps 0% there and "
    "100% where nothing changes. Inserted into, or deleted to, the training pictures' mean "
    "colour. A deconvnet is a projection, not an attribution."
)
