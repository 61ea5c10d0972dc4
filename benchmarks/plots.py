"""Draws the figures of a group as bars in an SVG file."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from .columns import Column, columns_of, label, varying
from .measures import Results

#: Text stays text, and ids do not change from run to run:
#: https://matplotlib.org/stable/users/explain/customizing.html
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}

COLOURS = ("#9ecae1", "#4292c6", "#08519c", "#d9a441")

WIDTH = 11  # inches


def draw(results: Results, path: Path) -> None:
    """Draw a panel for each column, with a bar for each contender and work.

    A thin line on each bar reaches from the lowest to the highest value of the rounds.
    """
    works, contenders = results.works(), results.contenders()
    columns = [column for column in columns_of(results) if column.in_plot]
    height = 0.9 + 0.15 * len(contenders) * (len(works) + 1)
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(
            1, len(columns), figsize=(WIDTH, height), sharey=True, layout="constrained"
        )
        for axis, column in zip(axes, columns, strict=True):
            _panel(axis, results, column)
        axes[0].set_yticks(range(len(contenders)), contenders)
        axes[0].invert_yaxis()
        if len(works) > 1:
            figure.legend(
                *axes[0].get_legend_handles_labels(),
                title=varying(works),
                loc="outside right upper",
                frameon=False,
            )
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def _panel(axis: Axes, results: Results, column: Column) -> None:
    works = results.works()
    thickness = 0.8 / len(works)
    for number, work in enumerate(works):
        spreads = {
            place - 0.4 + (number + 0.5) * thickness: spread
            for place, contender in enumerate(results.contenders())
            if (spread := results.spread(contender, work, column.value))
        }
        axis.barh(
            list(spreads),
            [spread.median for spread in spreads.values()],
            height=thickness,
            color=COLOURS[number % len(COLOURS)],
            xerr=[
                [spread.median - spread.low for spread in spreads.values()],
                [spread.high - spread.median for spread in spreads.values()],
            ],
            error_kw={"elinewidth": 0.8, "ecolor": "#555555"},
            label=label(work, works),
        )
    axis.set_title(column.heading, loc="left", fontsize=9)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", linewidth=0.4, alpha=0.5)
    axis.set_axisbelow(True)
    axis.locator_params(axis="x", nbins=5)
