"""The page of a report: one HTML file with its style, charts and pictures inside, which asks nothing of the network."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, TypeAlias

import cv2

from prosthesis.messages import U8

Places: TypeAlias = "Sequence[tuple[float, float] | None]"
EMBED_BYTES = 3_000_000
NOTICE = "Made by a research simulator, not a medical device."
STATE_COLOURS = {
    "silent": "var(--muted)",
    "armed": "var(--amber)",
    "stimulating": "var(--green)",
    "hold": "var(--amber)",
    "safe": "var(--blue)",
    "locked": "var(--red)",
}

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><style>
:root{color-scheme:light dark;--paper:#fbfbf9;--card:#fff;--ink:#1c2128;--muted:#6a737d;--line:#dfe2e6;--amber:#c77700;
--green:#1a7f37;--blue:#0969da;--red:#cf222e}
@media(prefers-color-scheme:dark){:root{--paper:#0f1216;--card:#171b21;--ink:#e6edf3;--muted:#8b949e;--line:#2b323b;
--amber:#ffb84d;--green:#3fb950;--blue:#58a6ff;--red:#f85149}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 20px 64px}h1{font-size:30px;margin:0;letter-spacing:-.02em}
h2{font-size:18px;margin:44px 0 12px}p{margin:4px 0;color:var(--muted)}.tiles{display:grid;gap:12px;margin-top:24px;
grid-template-columns:repeat(auto-fit,minmax(150px,1fr))}.tile{background:var(--card);border:1px solid var(--line);
border-radius:10px;padding:14px 16px}.tile b{display:block;font-size:25px;font-weight:600;letter-spacing:-.02em;
font-variant-numeric:tabular-nums}.tile span{color:var(--muted);font-size:13px}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px}th{text-align:left;
color:var(--muted);font-weight:500}th,td{padding:6px 12px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
.n{text-align:right;white-space:nowrap}.wide{width:46%}.scroll{overflow-x:auto}svg{display:block;width:100%;height:auto}
img,video{display:block;width:100%;border-radius:10px;margin-top:12px;background:#0f1216}a{color:var(--blue)}
footer{margin-top:56px;padding-top:16px;border-top:1px solid var(--line);color:var(--muted);font-size:14px}
</style></head><body><main>
<h1>$title</h1><p>$subtitle</p>$body<footer>$notice</footer></main></body></html>
""")


def page(data: Mapping[str, Any], stills: Sequence[U8], places: Places | None, film: Path | None) -> str:
    """Return the page of a summary as ``dataclasses.asdict`` gives it.

    ``stills`` are pictures u8[h, w, 3] RGB, ``places`` each electrode's (x_deg, y_deg), ``None`` for those
    not in use; a small ``film`` is put into the page, a large one linked beside it.
    """
    about, charge = data["about"], data["charge"]
    sections = [
        ("", _tiles(data)),
        ("What was seen", _film(film) + "".join(_picture(still) for still in stills)),
        ("The closed loop", _loop(data.get("loop"))),
        ("Frames on their way", _funnel(data["frames"])),
        ("Latency by hop", _hops(data["hops"], data["capture_to_percept"])),
        ("The implant's states", _states(data["states"], data["seconds"])),
        ("The link", _link(data["link"])),
        ("The guard", _guard(data["guard"])),
        ("Charge per electrode", _charge(charge["per_electrode_nc"], places)),
        ("Events", _events(data["events"])),
        ("What was running", table((), [(escape(key), escape(value)) for key, value in about.items()])),
    ]
    body = "".join((f"<h2>{title}</h2>" if title else "") + content for title, content in sections if content)
    title = f"{about.get('rig', 'A recording')}: from camera to percept"
    subtitle = f"{data['seconds']:.1f} s recorded {about.get('recorded', '')}"
    return PAGE.substitute(title=escape(title), subtitle=escape(subtitle), body=body, notice=NOTICE)


def _loop(loop: Mapping[str, float] | None) -> str:
    if not loop:
        return ""
    meanings = {
        "sites_r": "wanted against evoked activity: correlation over sites, mean of the frames",
        "pooled_r": "the same, all frames and sites together",
        "code_r": "the camera's code against the one read back from the sites: mean correlation",
        "code_r_other": "the same with the code of another frame: what is alike in all of them",
    }
    rows = [(escape(text), _number(loop[key])) for key, text in meanings.items()]
    return table((f"{loop['frames']:.0f} frames", "r"), rows, numbers=(1,))


def _tiles(data: Mapping[str, Any]) -> str:
    frames, whole, charge = data["frames"], data["capture_to_percept"], data["charge"]
    tiles = [
        (_number(whole["p50_ms"], " ms"), "capture to percept, half of all frames"),
        (_number(whole["p99_ms"], " ms"), "capture to percept, 99 %"),
        (str(frames["perceived"]), f"of {frames['captured']} frames perceived"),
        (str(frames["dropped"]), "frames dropped before the device read them"),
        (_number(charge["most_per_phase_nc"], " nC"), "largest charge of one phase"),
        (_number(charge["total_nc"] / 1000, " uC"), "charge delivered, all electrodes"),
    ]
    cards = "".join(f'<div class="tile"><b>{value}</b><span>{what}</span></div>' for value, what in tiles)
    return f'<div class="tiles">{cards}</div>'


def _film(film: Path | None) -> str:
    if film is None:
        return ""
    name = escape(film.name, quote=True)
    kind = f"video/{film.suffix[1:]}"
    small = film.stat().st_size < EMBED_BYTES
    source = f"data:{kind};base64,{base64.b64encode(film.read_bytes()).decode()}" if small else name
    return (
        f'<video controls muted loop playsinline><source src="{source}" type="{kind}"></video>'
        f'<p>If this film does not play here, open <a href="{name}">{name}</a>.</p>'
    )


def _picture(rgb: U8) -> str:
    ok, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    data = base64.b64encode(jpeg.tobytes()).decode() if ok else ""
    return f'<img alt="camera, task map, electrodes and percept" src="data:image/jpeg;base64,{data}">'


def _funnel(frames: Mapping[str, int]) -> str:
    most = max(frames["captured"] + frames["dropped"], 1)
    meanings = {
        "captured": "read from the camera",
        "dropped": "gaps in their numbers: overwritten, or refused as faulty",
        "sent": "passed the guard, handed to the link",
        "delivered": "drove the electrodes",
        "perceived": "became a percept",
    }
    rows = [
        (stage, meaning, _bar(frames[stage] / most, "red" if stage == "dropped" else "blue"), str(frames[stage]))
        for stage, meaning in meanings.items()
    ]
    return table(("", "", "", "frames"), rows, numbers=(3,), wide=2)


def _hops(hops: Mapping[str, Mapping[str, float]], whole: Mapping[str, float]) -> str:
    every = {**hops, "capture to percept": whole}
    longest = max((hop["p99_ms"] for hop in every.values() if math.isfinite(hop["p99_ms"])), default=1.0)
    rows = []
    for name, hop in every.items():
        bar = _latency_bar(hop, max(longest, 1e-9))
        label = "air, then receive" if name == "receive" else name
        rows.append((escape(label), bar, *(_number(hop[key]) for key in ("p50_ms", "p95_ms", "p99_ms"))))
    return table(("hop", "", "p50 ms", "p95 ms", "p99 ms"), rows, numbers=(2, 3, 4), wide=1)


def _latency_bar(hop: Mapping[str, float], longest: float) -> str:
    if not math.isfinite(hop["p99_ms"]):
        return ""
    p50, p95, p99 = (max(0.0, hop[key]) / longest * 400 for key in ("p50_ms", "p95_ms", "p99_ms"))
    return (
        '<svg viewBox="0 0 404 14" role="img" aria-label="p50 to p99">'
        f'<rect y="2" width="{p95:.1f}" height="10" rx="2" fill="var(--blue)" opacity=".35"/>'
        f'<rect y="2" width="{max(p50, 1):.1f}" height="10" rx="2" fill="var(--blue)"/>'
        f'<line x1="{p99 + 1:.1f}" x2="{p99 + 1:.1f}" y1="0" y2="14" stroke="var(--amber)" stroke-width="2"/></svg>'
    )


def _bar(share: float, colour: str) -> str:
    return (
        '<svg viewBox="0 0 404 14" role="img" aria-label="share">'
        f'<rect y="2" width="{400 * share:.1f}" height="10" rx="2" fill="var(--{colour})"/></svg>'
    )


def _states(states: Sequence[Mapping[str, Any]], seconds: float) -> str:
    if not states:
        return "<p>The implant was not heard.</p>"
    ends = [state["t_s"] for state in states[1:]] + [max(seconds, states[-1]["t_s"])]
    spans = []
    for state, end in zip(states, ends, strict=True):
        x, width = (1000 * part / max(seconds, 1e-9) for part in (state["t_s"], end - state["t_s"]))
        colour = STATE_COLOURS.get(state["state"], "var(--muted)")
        spans.append(f'<rect x="{x:.1f}" width="{max(width, 1.5):.1f}" height="22" fill="{colour}"/>')
    chart = f'<svg viewBox="0 0 1000 22" role="img" aria-label="states over time">{"".join(spans)}</svg>'
    rows = [(f"{s['t_s']:.2f}", _dot(s["state"]) + escape(s["state"]), escape(s["reason"])) for s in states]
    return chart + table(("from s", "state", "because"), rows, numbers=(0,))


def _dot(state: str) -> str:
    return f'<span style="color:{STATE_COLOURS.get(state, "var(--muted)")}">&#9679;</span> '


def _link(link: Mapping[str, Any]) -> str:
    rows = [("accepted", str(link["accepted"]))]
    rows += [(f"refused: {reason.lower().replace('_', ' ')}", str(n)) for reason, n in link["refused"].items()]
    rows += [("skipped for a newer one", str(link["skipped"]))]
    return table(("tiles since the implant was powered up", "count"), rows, numbers=(1,))


def _guard(found: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        (
            escape(item["rule"]),
            escape(item["tier"]),
            str(item["frames"]),
            str(item["electrodes"]),
            _number(item["worst"], f" {escape(item['unit'])}"),
            _number(item["limit"], f" {escape(item['unit'])}"),
        )
        for item in found
    ]
    if not rows:
        return "<p>Nothing was limited or noted.</p>"
    return table(("rule", "tier", "frames", "electrodes at most", "worst asked", "limit"), rows, numbers=(2, 3, 4, 5))


def _charge(charge_nc: Sequence[float], places: Places | None) -> str:
    if not any(charge_nc):
        return "<p>No charge was delivered.</p>"
    most = max(charge_nc)
    mapped = places is not None and any(places)
    chart = _charge_map(charge_nc, most, places) if places and mapped else _charge_bars(charge_nc, most)
    where = "where the calibration has their phosphenes" if mapped else "in order of number"
    return f"{chart}<p>Electrodes {where}; the most any received is {_number(most)} nC.</p>"


def _charge_map(charge_nc: Sequence[float], most: float, places: Places) -> str:
    used = [place for place in places if place]
    left, top = min(x for x, _ in used), max(y for _, y in used)
    span = max(max(x for x, _ in used) - left, top - min(y for _, y in used), 1e-6)
    radius = max(6.0, min(24.0, 300 / math.sqrt(len(used))))
    circles = []
    for i, (place, nc) in enumerate(zip(places, charge_nc, strict=True)):
        if place is None:
            continue
        where = f'cx="{40 + 920 * (place[0] - left) / span:.1f}" cy="{40 + 920 * (top - place[1]) / span:.1f}"'
        paint = f'fill="var(--amber)" fill-opacity="{0.15 + 0.85 * nc / most:.2f}"' if nc > 0 else 'fill="none"'
        title = f"<title>electrode {i}: {nc:.1f} nC</title>"
        circles.append(f'<circle {where} r="{radius:.1f}" {paint} stroke="var(--line)">{title}</circle>')
    height = 80 + 920 * (top - min(y for _, y in used)) / span
    return (
        f'<svg viewBox="0 0 1000 {height:.0f}" style="max-width:560px" role="img" aria-label="charge per electrode">'
        f"{''.join(circles)}</svg>"
    )


def _charge_bars(charge_nc: Sequence[float], most: float) -> str:
    width = 1000 / len(charge_nc)
    bars = (
        f'<rect x="{i * width:.2f}" y="{120 - 120 * nc / most:.1f}" width="{0.85 * width:.2f}" '
        f'height="{120 * nc / most:.1f}" fill="var(--amber)"><title>electrode {i}: {nc:.1f} nC</title></rect>'
        for i, nc in enumerate(charge_nc)
    )
    return f'<svg viewBox="0 0 1000 120" role="img" aria-label="charge per electrode">{"".join(bars)}</svg>'


def _events(events: Iterable[Mapping[str, Any]]) -> str:
    rows = [(f"{e['t_s']:.2f}", escape(e["source"]), escape(e["level"]), escape(e["text"])) for e in events]
    return table(("s", "from", "level", ""), rows, numbers=(0,)) if rows else "<p>None.</p>"


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = (), wide: int | None = None
) -> str:
    """Return a table of cells that are HTML already."""

    def cells(tag: str, values: Sequence[str]) -> str:
        kinds = ["n" if i in numbers else "wide" if i == wide else "" for i in range(len(values))]
        return "".join(f'<{tag} class="{kind}">{value}</{tag}>' for kind, value in zip(kinds, values, strict=True))

    head = f"<thead><tr>{cells('th', heads)}</tr></thead>" if heads else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def _number(value: float, unit: str = "") -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.3g}{unit}" if abs(value) < 1000 else f"{value:.0f}{unit}"
