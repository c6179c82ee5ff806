"""A study's results in sentences, and its report in Markdown."""

import math
from collections.abc import Sequence
from statistics import fmean

from scipy import stats

from deconvviz.plots.study.tables import (
    baseline_table,
    cell,
    cost_table,
    effect_table,
    interval,
    markdown,
    measure_table,
    metric_table,
    points,
    sweep_table,
)
from deconvviz.study.metrics import ACCURACY, GAP
from deconvviz.study.paired import MARGIN
from deconvviz.study.pooling import FEW, Pool
from deconvviz.study.report import (
    HARMS,
    HELPS,
    INCONCLUSIVE,
    LEVEL,
    NO_EFFECT,
    NOT_RUN,
    Effect,
    Report,
)

_METHOD = (
    "Pairs are runs of both arms with the same seed, which is also the same labelled pictures and "
    "initial weights. p counts all choices of signs of the pairs (with n pairs it is never below "
    "2/2^n, so that five or fewer can show neither help nor harm); adjusted: Holm, over the "
    "budgets that the plan declares for a contrast, where one that was not run counts as p = 1. "
    f"helps and harms: the 95% t interval lies on one side of zero and the adjusted p is below "
    f"{LEVEL}. {NO_EFFECT}: two one-sided t tests against that margin have p below {LEVEL}. The "
    "last epoch of each run counts."
)
_MEASURES = (
    "Mean over pairs, and in brackets the 95% t interval. Only test accuracy decides; the others "
    "explain, and no interval is corrected for being one of many."
)


def summary(report: Report) -> str:
    """The result in words: the answer, or for a sweep every difference from the first arm."""
    if report.plan.contrasts:
        short, rest = answer(report)
        return f"{short}, {rest[:1].lower()}{rest[1:]}"
    first = next(iter(report.plan.budgets))
    base = report.runs(report.base, first)
    if not base:
        return f"“{report.base}” was not run."
    changes = [
        f"{effect.contrast.arm} {points(effect.difference.mean)}"
        + (f" ({interval(effect.difference)})" if len(effect.difference.pairs) > 1 else "")
        for effect in report.effects
        if effect.difference is not None and effect.labels == first
    ]
    error, pictures = 1 - ACCURACY.of(base)[0], base[0].data.get("test_pictures", 1)
    noise = 100 * math.sqrt(error * (1 - error) / pictures)
    return (
        f"“{report.base}” has a test accuracy of {cell(ACCURACY, base)} % and a train-test gap of "
        f"{cell(GAP, base)} points with {first} labels of {base[0].data.get('title', '')}. "
        f"Difference of test accuracy, in points: {', '.join(changes) or 'no other arm'}. "
        f"{pictures} test pictures alone give each a standard error of {noise:.1f}."
        f"{f' {said}' if (said := pooling(report)) else ''}"
    )


def answer(report: Report) -> tuple[str, str]:
    """The answer in a few words, and its evidence."""
    deciding = [one for one in report.plan.contrasts if one.aim is not None]
    primary = [report.effect(one.arm, one.base) for one in deciding]
    titles = ", ".join(report.titles)
    where = f"At {report.plan.primary} labels{' of ' * bool(titles)}{titles}"
    others = "".join(
        f" At {effect.labels} labels, {_sentence(effect)}."
        for effect in report.effects
        if effect.contrast in deciding
        and effect.labels != report.plan.primary
        and effect.difference is not None
    )
    found = "; ".join(_sentence(effect) for effect in primary)
    return _short_answer([effect.verdict for effect in primary]), f"{where}: {found}.{others}"


_PLAIN = {
    HELPS: "a gain",
    HARMS: "a loss",
    NO_EFFECT: "too small to matter",
    INCONCLUSIVE: "too uncertain to be called a gain or a loss",
}


def headline(report: Report) -> str:
    """The answer for a reader who knows no word of the study: it names no arm and no test."""
    short, _ = answer(report)
    first = next(iter(report.deciding), None)
    if first is None or first.labels != report.plan.primary:
        return short
    arms = first.contrast.arm, first.contrast.base
    with_it, without = (fmean(ACCURACY.of(report.runs(arm, first.labels))) for arm in arms)
    return f"{short}: {with_it:.1%} of the pictures right with it, {without:.1%} without"


def plain(report: Report) -> str:
    """What was compared and what came out, in plain words; empty where no pair decides."""
    parts = []
    for effect in report.deciding:
        if effect.contrast != report.deciding[0].contrast:
            continue  # the chart shows these, too
        found = effect.difference
        assert found is not None
        spread = f" (95% interval {interval(found)})" if len(found.pairs) > 1 else ""
        parts.append(
            f"with {effect.labels} labelled pictures the difference is {points(found.mean)} "
            f"percentage points{spread}, {_PLAIN[effect.verdict]}"
        )
    if not parts:
        return ""
    counts = sorted({len(e.difference.pairs) for e in report.deciding if e.difference})
    count = " to ".join(dict.fromkeys(map(str, (counts[0], counts[-1]))))
    said = "; ".join(parts)
    return (
        f"Each comparison is of {count} pairs of networks that were trained alike, from the same "
        f"start, on the same pictures, one of each pair with it. {said[:1].upper()}{said[1:]}."
    )


def sweep_headline(report: Report) -> str:
    """The largest gain and the largest loss of a sweep, in a sentence or two."""
    found = [
        (e.difference.mean, e.contrast.arm)
        for e in report.effects
        if e.difference and any(e.difference.pairs)  # else it is the first arm by another name
    ]
    base, first = report.runs(report.base, next(iter(report.plan.budgets))), report.plan.arms[0]
    if not found or not base:
        return f"“{report.base}” was not run, or nothing beside it."
    (worst, loser), (best, winner) = min(found), max(found)
    ends = [f"“{winner}” gains most, {points(best)} points"] if best > 0 else []
    ends += [f"“{loser}” loses most, {points(worst)}"] if worst < 0 else []
    right = f"{fmean(ACCURACY.of(base)):.1%}"
    return (
        f"“{report.base}” ({first.description}) names {right} of the test pictures rightly. Of "
        f"{len(found)} changes of one thing, {' and '.join(ends) or 'none counts'}. With so many "
        "changes and so few runs some intervals miss zero by chance."
    )


def missing(report: Report) -> str:
    """What the plan declares and nobody has run, in one line; empty if all was."""
    arms = [arm for arm in report.arms if arm not in report.run_arms]
    budgets = [str(n) for n in report.budgets if n not in report.run_budgets]
    named = [f"{', '.join(budgets)} labels"] * bool(budgets) + [", ".join(arms)] * bool(arms)
    return f"{NOT_RUN.capitalize()}, and left out: {'; '.join(named)}." if named else ""


def _short_answer(verdicts: Sequence[str]) -> str:
    """The beginning of the answer, true for any verdicts."""
    found = set(verdicts)
    if found == {NOT_RUN}:
        return "Not known, because no pair that decides it was run"
    if found == {HELPS}:
        return "Yes"
    if found == {HARMS}:
        return "No, it lowers it"
    if found <= {HARMS, NO_EFFECT}:
        return "No"
    if {HELPS, HARMS} <= found:
        return "It depends"
    if HARMS in found:
        return "No gain was shown, and in part a loss"
    return "In part" if HELPS in found else "No gain was shown"


def _sentence(effect: Effect) -> str:
    """The result of a contrast, as a part of a sentence."""
    found, subject = effect.difference, effect.contrast.description or effect.contrast.name
    if found is None:
        return f"of {subject} no pair was run"
    change = f"{subject} changes accuracy by {points(found.mean)} points"
    if len(found.pairs) == 1:
        return f"{change} in one pair of runs, and one pair proves nothing"
    aim = ""
    if effect.aim is not None:
        aim = f", and the aim of {100 * effect.aim:+g} is {'' if effect.met else 'not '}met"
    return (
        f"{change} (95% interval {interval(found)}, {len(found.pairs)} pairs, "
        f"adjusted p = {effect.p:.2g}): {effect.verdict}{aim}"
    )


def arms(report: Report) -> str:
    """A list of the arms, in Markdown."""
    return "".join(f"- **{arm.name}**: {arm.description}.\n" for arm in report.plan.arms)


def pooling(report: Report) -> str:
    """Where the intervals of few pairs come from; empty where none is pooled."""
    found = report.pool
    if found is None or not report.pooled:
        return ""
    apart = [f"“{arm}” at {labels} labels" for arm, labels in found.apart]
    alone = f" {', '.join(apart)} varies more than the others (F test), and keeps its own."
    return (
        f"Pooled: with fewer than {FEW} pairs an interval and the equivalence test take not the "
        "deviation of these pairs, which is often small by luck, but that of all arms together: "
        f"{100 * found.deviation:.2f} points for a difference of one pair, {found.degrees} degrees "
        "of freedom, from a fit of arms and seeds to all runs (randomised blocks)."
        f"{alone * bool(apart)}{_reach(report, found)} Other metrics likewise, each with its own."
    )


def _reach(report: Report, pool: Pool) -> str:
    """How far a pooled interval reaches, and how far if it is to hold for all differences."""
    found = [e.difference for e in report.effects if e.difference and e.difference.pooled]
    count = max(len(one.pairs) for one in found)
    # an arm by another name is no other difference
    many = len({one.pairs for one in found if any(one.pairs)})
    alone, together = (
        100 * pool.deviation / math.sqrt(count) * stats.t.ppf(1 - LEVEL / 2 / tests, pool.degrees)
        for tests in (1, many)
    )
    return (
        f" With {count} pairs an interval reaches {alone:.2f} points to each side, and "
        f"{together:.2f} if all {many} are to hold together (Bonferroni)."
    )


def published(report: Report) -> str:
    """The published figures beside our arms, a list in Markdown; empty without any."""
    return "".join(
        f"- {one.name}, beside {one.arm}: "
        + ", ".join(f"{share:.1%} with {n} labels" for n, share in one.accuracy.items())
        + f" ({one.source}).\n"
        for one in report.plan.published
    )


def markdown_report(report: Report, source: str = "") -> str:
    """All words and tables; `source` names the study on the command line, by default its name."""
    plan, name = report.plan, source or report.plan.name
    head = (
        f"# {plan.question}\n\nMade by `deconvviz study report {name}` from the records of all "
        f"runs, which `deconvviz study run {name}` makes.\n\n"
    )
    body = _comparison(report) if plan.contrasts else _sweep(report)
    body += [_baselines(report), _every_measure(report)]
    devices = dict.fromkeys(r.device for r in report.records if r.device)
    titles, machines = (", ".join(words) or "unknown" for words in (report.titles, devices))
    text = "\n\n".join(block.strip("\n") for block in body if block)
    return f"{head}{text}\n\n{len(report.records)} runs. Data: {titles}. Device: {machines}.\n"


_RUNS = "Mean ± standard deviation over seeds, and in brackets the number of runs."


def _comparison(report: Report) -> list[str]:
    """What a plan with contrasts found."""
    tables = [
        f"### {metric.title[:1].upper()}{metric.title[1:]}\n\n"
        f"{markdown(metric_table(report, metric))}"
        for metric in report.metrics
    ]
    return [
        summary(report),
        arms(report),
        _RUNS,
        *tables,
        f"### What a run costs\n\n{markdown(cost_table(report))}",
        f"### Differences of test accuracy, in points\n\n{markdown(effect_table(report))}",
        _METHOD,
        pooling(report),
    ]


def _sweep(report: Report) -> list[str]:
    """What a plan without contrasts found."""
    many = (
        f"Differences from “{report.base}” are paired by seed; their intervals are not corrected "
        "for being many."
    )
    return [
        arms(report),
        markdown(sweep_table(report)),
        f"{_RUNS} {many}",
        pooling(report),
    ]


def _baselines(report: Report) -> str:
    table = baseline_table(report)
    parts = [markdown(table) if not table.empty else "", published(report)]
    if not any(parts):
        return ""
    return "### Where the baselines stand\n\n" + "\n".join(filter(None, parts))


def _every_measure(report: Report) -> str:
    table = measure_table(report)
    if table.empty:
        return ""
    return f"### Differences of every metric\n\n{markdown(table)}\n{_MEASURES}"


def cautions(report: Report) -> list[str]:
    """Conclusions that these records do not allow, a sentence or two each."""
    records, primary = report.records, report.plan.primary
    found = []
    if pairs := [len(e.difference.pairs) for e in report.effects if e.difference is not None]:
        count = f"{min(pairs)}" if min(pairs) == max(pairs) else f"{min(pairs)} to {max(pairs)}"
        found.append(
            f"**Few seeds.** Each difference rests on {count} pairs of runs, which share labels, "
            "initial weights, order and augmentation. The interval is about further such seeds, "
            "and about nothing else."
        )
    found.append(
        f"**{INCONCLUSIVE.capitalize()} is not no.** *No effect* is said only where an equivalence "
        f"test puts the difference within ±{100 * MARGIN:.1f} points; where the interval is wider, "
        "there are too few runs to decide."
    )
    networks = dict.fromkeys(
        f"`{r.configuration.get('recipe', {}).get('model', 'network')}`, "
        f"{r.parameters / 1e6:.2f} M parameters"
        for r in records
    )
    if records:
        found.append(
            f"**One small network.** {'; '.join(networks)}; data: {', '.join(report.titles)}. "
            "Larger networks, other data or longer training may give another answer."
        )
    if any("JPEG copy" in title for title in report.titles):
        found.append(
            "**A JPEG copy.** Accuracy on it is lower than on the original pixels, and is not to "
            "be compared with published figures; differences between arms are."
        )
    names = " and ".join(one.subject for one in report.plan.contrasts if one.aim is not None)
    found.append(
        "**Multiple comparisons.** p is corrected (Holm) for the several numbers of labels that a "
        "comparison was declared for, run or not, and not for there being several comparisons. "
        f"Only {names} with {primary} labels were declared to decide; the others explain."
    )
    found.append(
        "**One design.** Arms, weights and schedules are those of the declared plan, and the last "
        "epoch counts. Another decoder might do better, or worse."
    )
    return found
