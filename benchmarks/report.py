"""The report, as Markdown."""

from benchmarks.machine import footer

QUICK = (
    "**A quick run: sizes are cut, and no figure here counts.** It shows that the suite runs; "
    "goals are not judged."
)


def verdict(value, limit, judged):
    """Say "pass" or "fail", or "-" if nothing was measured or the figure does not count."""
    if value is None or not judged:
        return "-"
    return "pass" if value <= limit else "fail"


def as_markdown(machine, settings, results):
    lines = ["# skae's benchmarks", ""]
    if not settings.judged:
        lines += [QUICK, ""]
    lines += _goals(results, settings.judged)
    for case, result in results:
        lines += ["", f"## {case.name}: {case.title}", "", *_rows(result)]
        lines += [f"- {remark}" for remark in result.remarks]
    lines += ["", "---", "", *footer(machine)]
    return "\n".join(lines) + "\n"


def _goals(results, judged):
    rows = []
    for case, result in results:
        for goal, value in zip(case.goals, result.values, strict=True):
            cells = [case.name, goal.measure, figure(value, goal.form)]
            for limit in (goal.must, goal.aim):
                cells += [figure(limit, goal.form), verdict(value, limit, judged)]
            rows.append(cells)
    return table(["case", "measure", "result", "must reach", "", "aim", ""], rows)


def _rows(result):
    """One line for each contestant, its samples' median and extremes, and the errors it reached."""
    rows = [row for row in result.rows if row.samples]
    if not rows:
        return []
    first = rows[0].median
    cells = [
        [
            row.contestant,
            quantity(row.median, row.unit),
            f"{quantity(min(row.samples), row.unit)} - {quantity(max(row.samples), row.unit)}",
            f"{row.median / first:.2f}" if first else "-",
            figure(row.bce, "loss"),
            figure(row.mse, "loss"),
            row.remark,
        ]
        for row in rows
    ]
    over = f"/ {rows[0].contestant}"
    head = ["contestant", "median", "range", over, "test BCE", "test MSE", "remark"]
    return [*table(head, cells), ""]


def figure(value, form):
    """Write a figure as its goal is written."""
    if value is None:
        return "-"
    if form == "1/x":
        return f"1/{1 / value:.3g}"
    return {
        "x": f"{value:.2f}",
        "loss": f"{value:.4f}",
        "us": f"{value * 1e6:.0f} us",
        "GB": f"{value / 1e9:.2f} GB",
    }[form]


def quantity(value, unit):
    """Write seconds or bytes in the unit that suits their size."""
    if unit == "B":
        return f"{value / 1e6:.1f} MB"
    if value < 1e-3:
        return f"{value * 1e6:.1f} us"
    return f"{value * 1e3:.1f} ms" if value < 1 else f"{value:.2f} s"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
