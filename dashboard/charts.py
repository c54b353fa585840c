"""Charts, drawn on the server: Vega-Lite specifications that vl-convert turns into SVG. No script runs in the browser,
colours are the style sheet's variables (so dark mode needs no second picture), and each mark says its values on
hover and to a screen reader.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
from markupsafe import Markup

from dashboard.text import plain

Rows = Sequence[dict[str, Any]]

WIDTH = 660
HEIGHT = 220
KEPT = 500  # drawings; a chart is drawn in 30 to 70 ms, and asked for again as long as nothing new is published
SERIES = 8  # colours that can still be told apart
PALETTE = [f"var(--series-{i})" for i in range(1, SERIES + 1)]
INK, FAINT, ACCENT = "var(--ink-soft)", "var(--line)", "var(--accent)"
CLOCK = {"format": "%b %d %H:%M"}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CONFIG = {
    "background": None,
    "view": {"stroke": None},
    "font": "sans-serif",
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "tickColor": FAINT,
        "domainColor": FAINT,
        "gridColor": FAINT,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelLimit": 180,
        "gridDash": [2, 3],
    },
    "legend": {
        "columnPadding": 36,
        "rowPadding": 4,
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "labelLimit": 240,
    },
    "header": {"labelColor": INK, "titleColor": INK},
}


def bars(rows: Rows, x: str, y: str, label: str = "", time: bool = False) -> Markup | None:
    """A bar a row, from left to right as they come; along a time axis with `time`."""
    if not rows:
        return None
    values = [
        {"x": _short(row[x]), "y": row[y] or 0, "say": f"{_short(row[x])}: {_number(row[y])} {label}"} for row in rows
    ]
    scale: dict[str, Any] = {"type": "utc"} if time else {}
    kind = "temporal" if time else "ordinal"
    every = max(1, len(values) // 24)
    axis: dict[str, Any] = (CLOCK if time else {}) | {
        "labelAngle": 0 if time or len(values) < 9 else -40,
        "grid": False,
        "labelOverlap": True,
    }
    if not time and every > 1:
        axis["values"] = [value["x"] for value in values[::every]]
    return _lite(
        {
            "mark": {"type": "bar", "color": ACCENT, "cornerRadiusEnd": 2} | ({"width": {"band": 0.8}} if time else {}),
            "encoding": {
                "x": {"field": "x", "type": kind, "sort": None, "title": None, "axis": axis, "scale": scale},
                "y": {"field": "y", "type": "quantitative", "title": label or None},
                "description": {"field": "say"},
            },
        },
        values,
    )


def ranks(rows: Rows, name: str, value: str, label: str = "") -> Markup | None:
    """Lying bars with the names beside them, the first row on top."""
    if not rows:
        return None
    values = [
        {
            "name": f"{_short(row[name], 28)}",
            "n": row[value] or 0,
            "at": i,
            "say": f"{_short(row[name])}: {_number(row[value])} {label}",
        }
        for i, row in enumerate(rows[:30])
    ]
    for i, one in enumerate(values):  # two of one name are two bars
        one["name"] += "\N{ZERO WIDTH SPACE}" * sum(other["name"] == one["name"] for other in values[:i])
    return _lite(
        {
            "height": {"step": 20},
            "mark": {"type": "bar", "color": ACCENT, "cornerRadiusEnd": 2},
            "encoding": {
                "y": {
                    "field": "name",
                    "type": "nominal",
                    "sort": {"field": "at"},
                    "title": None,
                    "axis": {"ticks": False},
                },
                "x": {"field": "n", "type": "quantitative", "title": label or None},
                "description": {"field": "say"},
            },
        },
        values,
    )


def lines(rows: Rows, x: str, y: str, series: str | None = None, label: str = "", time: bool = True) -> Markup | None:
    """A line a series; the largest have a colour, others are left out."""
    if not rows:
        return None
    totals: dict[str, float] = {}
    for row in rows:
        name = _short(row[series]) if series else ""
        totals[name] = totals.get(name, 0) + (row[y] or 0)
    shown = sorted(totals, key=lambda name: -totals[name])[:SERIES]
    values = [
        {
            "x": _short(row[x]),
            "y": row[y] or 0,
            "s": name,
            "say": f"{name} {_short(row[x])}: {_number(row[y])} {label}".strip(),
        }
        for row in rows
        if (name := _short(row[series]) if series else "") in shown
    ]
    color: dict[str, Any] = {
        "field": "s",
        "type": "nominal",
        "title": None,
        "scale": {"domain": shown, "range": PALETTE[: len(shown)]},
        "legend": {"orient": "bottom", "columns": 2, "symbolType": "circle"} if series else None,
    }
    x_axis = {
        "field": "x",
        "type": "temporal" if time else "ordinal",
        "title": None,
        "scale": {"type": "utc"} if time else {},
        "axis": {"grid": False, "labelOverlap": True, "labelAngle": 0} | (CLOCK if time else {}),
    }
    y_axis = {"field": "y", "type": "quantitative", "title": label or None}
    return _lite(
        {
            "layer": [
                {
                    "mark": {"type": "line", "strokeWidth": 2, "interpolate": "monotone"},
                    "encoding": {"x": x_axis, "y": y_axis, "color": color},
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 22},
                    "encoding": {"x": x_axis, "y": y_axis, "color": color, "description": {"field": "say"}},
                },
            ],
        },
        values,
    )


def stacked(rows: Rows, x: str, y: str, series: str, label: str = "") -> Markup | None:
    """Bars side by side where there are few series, each of its own colour."""
    if not rows:
        return None
    shown = list(dict.fromkeys(_short(row[series]) for row in rows))[:SERIES]
    xs = list(dict.fromkeys(_short(row[x]) for row in rows))
    values = [
        {"x": _short(row[x]), "y": row[y] or 0, "s": name, "say": f"{name} {_short(row[x])}: {_number(row[y])} {label}"}
        for row in rows
        if (name := _short(row[series])) in shown
    ]
    return _lite(
        {
            "mark": {"type": "bar", "cornerRadiusEnd": 2},
            "encoding": {
                "x": {
                    "field": "x",
                    "type": "ordinal",
                    "sort": xs,
                    "title": None,
                    "axis": {"labelAngle": 0 if len(xs) < 9 and max(map(len, xs)) < 12 else -30, "grid": False},
                },
                "xOffset": {"field": "s", "sort": shown},
                "y": {"field": "y", "type": "quantitative", "title": label or None},
                "color": {
                    "field": "s",
                    "type": "nominal",
                    "title": None,
                    "scale": {"domain": shown, "range": PALETTE[: len(shown)]},
                    "legend": {"orient": "bottom", "columns": 2, "symbolType": "circle"},
                },
                "description": {"field": "say"},
            },
        },
        values,
    )


STATES = {
    "complete": "var(--accent)",
    "incomplete": "var(--series-5)",
    "failed": "var(--series-2)",
    "missing": "var(--line)",
}


def states(rows: Rows, x: str, y: str, state: str) -> Markup | None:
    """What became of each hour, a line a community; the colour says which state."""
    if not rows:
        return None
    values = [
        {
            "x": _short(row[x]),
            "y": _short(row[y]),
            "s": row[state],
            "say": f"{_short(row[y])} {_short(row[x])}: {row[state]}",
        }
        for row in rows
    ]
    return _lite(
        {
            "height": {"step": 24},
            "mark": {"type": "rect"},
            "encoding": {
                "x": {
                    "field": "x",
                    "type": "temporal",
                    "title": None,
                    "timeUnit": "utcyearmonthdatehours",
                    "scale": {"type": "utc"},
                    "axis": {"grid": False, "labelOverlap": True},
                },
                "y": {
                    "field": "y",
                    "type": "nominal",
                    "title": None,
                    "axis": {"domain": False, "ticks": False},
                    "scale": {"paddingInner": 0.25},
                },
                "color": {
                    "field": "s",
                    "type": "nominal",
                    "title": None,
                    "scale": {"domain": list(STATES), "range": list(STATES.values())},
                    "legend": {"orient": "bottom"},
                },
                "description": {"field": "say"},
            },
        },
        values,
    )


def heat(
    rows: Rows, x: str, y: str, value: str, label: str = "", xs: Sequence[Any] = (), ys: Sequence[Any] = ()
) -> Markup | None:
    """A field a row, darker where there is more; `xs` and `ys` are the axes' values in their order."""
    if not rows:
        return None
    xs, ys = [_short(one) for one in xs], [_short(one) for one in ys]
    values = [
        {
            "x": _short(row[x]),
            "y": _short(row[y]),
            "n": row[value] or 0,
            "say": f"{_short(row[y])} {_short(row[x])}: {_number(row[value])} {label}",
        }
        for row in rows
    ]
    every = max(1, len(xs) // 24)
    return _lite(
        {
            "height": {"step": 22},
            "mark": {"type": "rect", "color": ACCENT, "cornerRadius": 2, "stroke": "var(--paper)", "strokeWidth": 1.5},
            "encoding": {
                "x": {
                    "field": "x",
                    "type": "ordinal",
                    "title": None,
                    "sort": xs or None,
                    "scale": {"domain": xs} if xs else {},
                    "axis": {
                        "labelAngle": 0,
                        "domain": False,
                        "ticks": False,
                        "labelOverlap": True,
                        **({"values": xs[::every]} if xs else {}),
                    },
                },
                "y": {
                    "field": "y",
                    "type": "ordinal",
                    "title": None,
                    "sort": ys or None,
                    "scale": {"domain": ys} if ys else {},
                    "axis": {"domain": False, "ticks": False},
                },
                "fillOpacity": {
                    "field": "n",
                    "type": "quantitative",
                    "scale": {"range": [0.05, 1], "zero": True},
                    "legend": None,
                },
                "description": {"field": "say"},
            },
        },
        values,
    )


def week(rows: Rows, weekday: str, hour: str, value: str, label: str = "") -> Markup | None:
    """The heat map of weekday (1 is Monday) and hour."""
    named = [
        {"day": WEEKDAYS[int(row[weekday]) - 1], "hour": f"{int(row[hour]):02d}", "n": row[value]}
        for row in rows
        if row[weekday] is not None
    ]
    return heat(named, "hour", "day", "n", label, [f"{i:02d}" for i in range(24)], WEEKDAYS)


def calendar(rows: Rows, day: str, value: str, label: str = "") -> Markup | None:
    """A field a day: weeks from left to right, weekdays from top to bottom; a year below the other."""
    fields = []
    for row in rows:
        moment = row[day]
        year, number, weekday = moment.isocalendar()
        fields.append(
            {
                "year": str(year),
                "week": number,
                "day": WEEKDAYS[weekday - 1],
                "n": row[value] or 0,
                "say": f"{moment:%Y-%m-%d}: {_number(row[value])} {label}",
            }
        )
    if not fields:
        return None
    return _lite(
        {
            "mark": {"type": "rect", "color": ACCENT, "cornerRadius": 2, "stroke": "var(--paper)", "strokeWidth": 1.5},
            "height": {"step": 12},
            "width": {"step": 12},
            "encoding": {
                "x": {
                    "field": "week",
                    "type": "ordinal",
                    "title": None,
                    "scale": {"domain": list(range(1, 54))},
                    "axis": {"labelAngle": 0, "domain": False, "ticks": False, "values": list(range(1, 54, 4))},
                },
                "y": {
                    "field": "day",
                    "type": "ordinal",
                    "title": None,
                    "sort": list(WEEKDAYS),
                    "scale": {"domain": list(WEEKDAYS)},
                    "axis": {"domain": False, "ticks": False, "values": ["Mon", "Wed", "Fri", "Sun"]},
                },
                "row": {
                    "field": "year",
                    "type": "ordinal",
                    "title": None,
                    "header": {"labelAngle": 0, "labelAlign": "left"},
                },
                "fillOpacity": {
                    "field": "n",
                    "type": "quantitative",
                    "scale": {"range": [0.06, 1], "zero": True},
                    "legend": None,
                },
                "description": {"field": "say"},
            },
        },
        fields,
    )


def graph(rows: Rows, source: str, target: str, value: str, label: str = "") -> Markup | None:
    """Who refers to whom: circles and the lines between them, laid out by forces; thicker where there is more."""
    weight: dict[str, float] = {}
    for row in rows:
        for end in (row[source], row[target]):
            weight[_short(end)] = weight.get(_short(end), 0) + (row[value] or 0)
    if not weight:
        return None
    names = sorted(weight, key=lambda name: -weight[name])
    at = {name: i for i, name in enumerate(names)}
    most = max(row[value] or 0 for row in rows) or 1
    nodes = [
        {
            "name": name[:18],
            "size": 40 + 560 * weight[name] / weight[names[0]],
            "say": f"{name}: {_number(weight[name])} {label}",
        }
        for name in names
    ]
    links = [
        {
            "source": at[_short(row[source])],
            "target": at[_short(row[target])],
            "width": 0.6 + 4 * (row[value] or 0) / most,
        }
        for row in rows
    ]
    return _drawn("vega", orjson.dumps(_network(nodes, links)).decode())


def _network(nodes: list[dict[str, Any]], links: list[dict[str, Any]]) -> dict[str, Any]:
    width, height = WIDTH, 460
    center = {"force": "center", "x": width / 2, "y": height / 2}
    forces = [
        center,
        {"force": "collide", "radius": 22, "iterations": 2},
        {"force": "nbody", "strength": -160},
        {"force": "x", "x": "xfocus", "strength": 0.08},
        {"force": "y", "y": "yfocus", "strength": 0.14},
        {"force": "link", "links": "links", "distance": 70},
    ]
    inside = {"x": f"clamp(datum.x, 20, {width - 20})", "y": f"clamp(datum.y, 16, {height - 24})"}
    return {
        "width": width,
        "height": height,
        "padding": 4,
        "background": None,
        "data": [{"name": "nodes", "values": nodes}, {"name": "links", "values": links}],
        "marks": [
            {
                "name": "circles",
                "type": "symbol",
                "zindex": 1,
                "from": {"data": "nodes"},
                "encode": {
                    "enter": {
                        "fill": {"value": ACCENT},
                        "stroke": {"value": "var(--paper)"},
                        "strokeWidth": {"value": 1.5},
                        "size": {"field": "size"},
                        "xfocus": {"value": width / 2},
                        "yfocus": {"value": height / 2},
                        "description": {"field": "say"},
                    }
                },
                "transform": [
                    {"type": "force", "signal": "force", "static": True, "iterations": 300, "forces": forces}
                ],
            },
            {
                "type": "path",
                "from": {"data": "links"},
                "interactive": False,
                "encode": {"update": {"stroke": {"value": FAINT}, "strokeWidth": {"field": "width"}}},
                "transform": [
                    {
                        "type": "linkpath",
                        "require": {"signal": "force"},
                        "shape": "line",
                        "sourceX": "datum.source.x",
                        "sourceY": "datum.source.y",
                        "targetX": "datum.target.x",
                        "targetY": "datum.target.y",
                    }
                ],
            },
            {
                "type": "text",
                "from": {"data": "circles"},
                "zindex": 2,
                "encode": {
                    "enter": {
                        "text": {"field": "datum.name"},
                        "align": {"value": "center"},
                        "baseline": {"value": "top"},
                        "fill": {"value": INK},
                        "fontSize": {"value": 11},
                        "x": {"signal": inside["x"]},
                        "y": {"signal": f"{inside['y']} + sqrt(datum.size) / 2 + 3"},
                    }
                },
            },
        ],
    }


def _lite(spec: dict[str, Any], values: list[dict[str, Any]]) -> Markup:
    whole = {
        "width": WIDTH,
        "height": HEIGHT,
        "autosize": {"type": "pad"},
        "padding": {"left": 14, "right": 14, "top": 6, "bottom": 6},
        "config": CONFIG,
        "data": {"values": values},
    }
    return _drawn("vega-lite", orjson.dumps(whole | spec).decode())


@lru_cache(KEPT)
def _drawn(language: str, spec: str) -> Markup:
    import vl_convert

    svg: str = vl_convert.vega_to_svg(spec) if language == "vega" else vl_convert.vegalite_to_svg(spec)
    # what a mark says to a screen reader, it says on hover too; labels are escaped by the library already
    svg = re.sub(r'(<path [^>]*aria-label="([^"]+)"[^>]*)(/>|></path>)', r"\1><title>\2</title></path>", svg)
    return Markup(re.sub(r' width="[\d.]+" height="[\d.]+" viewBox', " viewBox", svg, count=1))


def _short(value: Any, longest: int = 60) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    text = " ".join(plain(str(value)).split()) or "\N{EN DASH}"
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _number(value: Any) -> str:
    return f"{value or 0:,.4g}" if isinstance(value, float) else f"{value or 0:,}"
