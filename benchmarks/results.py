"""One row of the table, and how the table is printed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What was measured on one path, against what, and whether the budget is kept."""

    path: str
    ours: str
    bare: str
    ratio: str
    budget: str
    is_met: bool | None


HEAD = ("path", "Cuepost", "bare, same run", "ratio", "budget", "kept")


def table(results: list[Result]) -> str:
    """A Markdown table with aligned columns."""
    words = {True: "yes", False: "NO", None: "–"}
    rows = [HEAD, *((r.path, r.ours, r.bare, r.ratio, r.budget, words[r.is_met]) for r in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
