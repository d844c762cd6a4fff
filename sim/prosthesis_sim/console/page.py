"""The console's page: a control bar of NiceGUI over panels that the stream fills. Verbs are the steering's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nicegui import app as site
from nicegui import run, ui

from prosthesis.errors import ProsthesisError
from prosthesis_sim.console.scrub import SPEEDS, Player
from prosthesis_sim.console.setup import OWN, PATIENTS
from prosthesis_sim.console.steering import Steering
from prosthesis_sim.faults.catalogue import CATALOGUE, Kind, Layer

SYNC_S = 0.5
WAIT_S = 0.2  # between two words to the device while a slider moves
HEAD = '<link rel="stylesheet" href="/console/console.css"><script defer src="/console/console.js"></script>'
LIVE_KEYS = {
    "S, Esc": "STOP",
    "A": "ARM, or RESET where a fault was latched",
    "1 to 9, T": "a task by its number, the next task",
    "F": "faults",
    "R": "record, or finish",
    "O": "what the encoder found, over the camera",
    "C": "electrodes by charge or current",
    "?": "this",
}
SCRUB_KEYS = {
    "Space": "play or pause",
    "← →": "one frame back or on",
    "Home, End": "the start, the end",
    "O": "overlay",
}


def build(feed: Steering | Player, stop: dict[str, Any] | None, static: Path) -> None:
    """Define the page at ``/``; ``stop`` is the port and the token of the STOP process."""
    site.add_static_files("/console", str(static), max_cache_age=0)
    panels = (static / "panels.html").read_text(encoding="utf-8")

    @ui.page("/", title="prosthesis", dark=True, language="en-US")
    def page() -> None:
        ui.add_head_html(f"<script>window.PROSTHESIS_STOP = {_json(stop)};</script>{HEAD}")
        with ui.element("main").classes("console"):
            if isinstance(feed, Player):
                _head(None)
                _tape_bar()
            else:
                bar = Bar(feed)
                _head(bar)
                bar.show()
            ui.html(panels, sanitize=False).classes("panels")


def _json(stop: dict[str, Any] | None) -> str:
    return "null" if stop is None else f'{{"port": {int(stop["port"])}, "token": "{stop["token"]}"}}'


def _head(bar: Bar | None) -> None:
    with ui.element("header").classes("head"):
        ui.html("<h1>prosthesis</h1>", sanitize=False)
        ui.html('<div class="what" id="what">starting …</div>', sanitize=False).style("min-width:0")
        if bar is not None:
            bar.answer()
        ui.element("div").classes("spring")
        ui.html(
            '<div class="state" id="state" role="status" data-state="LOST"><i></i><span id="state-name">…</span>'
            '<small id="state-why"></small></div>',
            sanitize=False,
        )
        if bar is not None:
            _tool("ARM", "arm", bar.arm, "arm the implant (A)")
            ui.html('<button class="stop" id="stop" aria-label="STOP all stimulation">STOP</button>', sanitize=False)
        _tool("?", "help", _help(SCRUB_KEYS if bar is None else LIVE_KEYS).open, "keyboard shortcuts (?)")


def _tool(text: str, name: str, act: Callable[[], Any], label: str) -> ui.button:
    button = ui.button(text, on_click=act, color=None).classes("tool")
    return button.props(f'flat no-caps id={name} title="{label}"')


def _help(keys: dict[str, str]) -> ui.dialog:
    lines = "".join(f"<dt><kbd>{key}</kbd></dt><dd>{what}</dd>" for key, what in keys.items())
    with ui.dialog().props('aria-label="keyboard shortcuts"') as dialog, ui.element("div").classes("sheet"):
        ui.html(f"<h2>Keys</h2><dl>{lines}</dl><p>A research simulator, not a medical device.</p>", sanitize=False)
        store = "localStorage.setItem('prosthesis-keys', '{}')"
        switch = ui.switch("single keys (Esc always stops)", value=True)
        switch.on_value_change(lambda event: ui.run_javascript(store.format("on" if event.value else "off")))
    return dialog


def _tape_bar() -> None:
    speeds = "".join(f'<option value="{s:g}"{" selected" if s == 1 else ""}>{s:g}x</option>' for s in SPEEDS)
    with ui.element("div").classes("bar"):
        ui.html(
            '<button class="plain" id="back" aria-label="one frame back">◂</button> '
            '<button class="plain" id="play" aria-label="play">▶</button> '
            '<button class="plain" id="on" aria-label="one frame on">▸</button>',
            sanitize=False,
        )
        ui.html(f'<select class="plain" id="speed" aria-label="speed">{speeds}</select>', sanitize=False)
        ui.html(
            '<input type="range" id="seek" min="0" max="1" step="0.01" value="0" aria-label="time in the recording">'
            '<canvas id="tape" aria-hidden="true"></canvas>',
            sanitize=False,
        ).classes("tape")
        ui.html('<div class="clock" id="clock">0:00.0</div>', sanitize=False)


class Bar:
    """The control bar of running devices, one for each open page."""

    def __init__(self, steering: Steering) -> None:
        self._steering = steering
        self._selects: dict[str, tuple[ui.select, Callable[[], Any]]] = {}
        self._menu = steering.menu

    def show(self) -> None:
        """Put the controls into the page."""
        s = self._steering
        with ui.element("div").classes("bar").props('role="toolbar" aria-label="controls"'):
            self._select("task", "Task", list(s.menu.tasks), self._task, s.choose_task, 96)
            self._select("encoder", "Encoder", list(s.menu.encoders), self._encoder, s.choose_task, 150)
            self._select("array", "Array", list(s.menu.rigs), lambda: s.setup.rig, s.choose_rig, 124)
            self._select("world", "Patient", list(s.menu.worlds), self._world, s.choose_patient, 138)
            self._select(
                "patient",
                "No.",
                list(range(PATIENTS)),
                lambda: s.setup.patient,
                lambda n: s.choose_patient(None, n),
                60,
            )
            self._select("link", "Link", list(s.menu.links), self._link, s.choose_link, 132)
            self._select("beside", "Beside", self._others(), lambda: self._beside, self._compare, 118)
            self._tone_slider("brightness", -0.5, 0.5)
            self._tone_slider("contrast", 0.0, 3.0)
            _tool("Faults", "faults", self._fault_sheet().open, "put faults in (F)")
            self._record = _tool("Record", "record", self._toggle_record, "record to a file (R)")
        ui.timer(SYNC_S, self._sync)
        ui.on("console_task", lambda event: self._key(int(event.args)))

    _beside = "nothing"

    def answer(self) -> None:
        """Put the line into the page that says what came of the last verb."""
        self._said = ui.label().classes("said").props('role="status" id="said"')

    async def arm(self) -> None:
        """Arm, and say what came of it."""
        await self._do(self._steering.arm)

    async def _do(self, verb: Callable[..., str], *arguments: Any) -> None:
        try:
            self._said.text = await run.io_bound(verb, *arguments)
        except ProsthesisError as error:
            self._said.text = str(error)
            ui.notify(str(error), type="negative", position="bottom")

    def _select(
        self,
        name: str,
        label: str,
        options: list[Any],
        now: Callable[[], Any],
        choose: Callable[[Any], str],
        width: int,
    ) -> None:
        async def changed(event: Any) -> None:
            if event.value is not None and event.value != now():
                await self._do(choose, event.value)

        value = now()
        options = options if value in options else [value, *options]
        select = ui.select(options, value=value, label=label, on_change=changed)
        select.props(f'outlined dense options-dense dark id="choose-{name}"').style(
            f"flex:1 1 {width}px;min-width:{min(width, 84)}px;max-width:{round(1.6 * width)}px"
        )
        if self._steering.watching:
            select.disable()
        self._selects[name] = (select, now)

    def _task(self) -> str:
        task = self._steering.setup.task
        return task if task in self._steering.menu.tasks else OWN

    def _encoder(self) -> str:
        task = self._steering.setup.task
        return task if task in self._steering.menu.encoders else self._steering.menu.encoders[0]

    def _world(self) -> str:
        side = self._steering.sides["a"]
        return side.setup.world or side.rig.config.world

    def _link(self) -> str:
        return self._steering.sides["a"].rig.link.name

    def _others(self) -> list[str]:
        menu = self._steering.menu
        tasks = [f"task {task}" for task in (*menu.encoders, *menu.tasks[1:])]
        return ["nothing", *tasks, *(f"world {world}" for world in menu.worlds), *(f"patient {n}" for n in range(1, 6))]

    def _compare(self, other: str) -> str:
        said = self._steering.compare(None if other == "nothing" else other)
        self._beside = other
        return said

    def _tone_slider(self, name: str, low: float, high: float) -> None:
        with ui.element("div").classes("tone"):
            shown = ui.html(sanitize=False)

            async def moved(event: Any) -> None:
                tone = self._steering.tone
                value = float(event.args)
                now = {"brightness": tone.brightness, "contrast": tone.contrast, name: value}
                shown.content = f"{name}<b>{value:+.2f}</b>" if low < 0 else f"{name}<b>{value:.2f}</b>"
                await self._do(self._steering.set_tone, now["brightness"], now["contrast"])

            value = getattr(self._steering.tone, name)
            shown.content = f"{name}<b>{value:+.2f}</b>" if low < 0 else f"{name}<b>{value:.2f}</b>"
            slider = ui.slider(min=low, max=high, step=0.05, value=value)
            slider.props(f'dense dark aria-label="{name}" id="tone-{name}"')
            slider.on("update:model-value", moved, throttle=WAIT_S, leading_events=False)
            if self._steering.watching:
                slider.disable()

    def _fault_sheet(self) -> ui.dialog:
        in_simulator = {
            kind.value: f"{kind.value.replace('_', ' ')}: {CATALOGUE[kind].summary}"
            for kind in Kind
            if CATALOGUE[kind].layer is not Layer.HOST
        }
        with ui.dialog().props('aria-label="faults"') as dialog, ui.element("div").classes("sheet"):
            ui.html(
                "<h2>Faults</h2><p>Put into the simulated implant, its electrodes and its link.</p>", sanitize=False
            )
            kind = ui.select(in_simulator, value=Kind.OPEN.value, label="Kind").props(
                'outlined dense dark id="fault-kind"'
            )
            kind.classes("w-full")
            with ui.row().classes("w-full no-wrap"):
                electrodes = ui.input("Electrodes, e.g. 3,4 (all)").props('outlined dense dark for="fault-electrodes"')
                value = ui.input("Value (usual)").props('outlined dense dark for="fault-value"')
                lasting = ui.input("Seconds (for ever)").props('outlined dense dark for="fault-seconds"')

            async def put() -> None:
                settings = {"electrodes": electrodes.value, "value": value.value, "duration_s": lasting.value}
                words = [str(kind.value), *(f"{key}={text.replace(' ', '')}" for key, text in settings.items() if text)]
                await self._do(self._steering.inject, " ".join(words))

            async def clear() -> None:
                await self._do(self._steering.clear_faults)

            with ui.row():
                ui.button("Put in", on_click=put, color=None).classes("tool").props("flat no-caps id=fault-put")
                ui.button("End all", on_click=clear, color=None).classes("tool").props("flat no-caps id=fault-clear")
        return dialog

    async def _toggle_record(self) -> None:
        await self._do(self._steering.record, self._steering.recording is None)

    async def _key(self, number: int) -> None:
        """Take the task of a key, counted from 1; 0 is the next one."""
        tasks = (*self._steering.menu.tasks[1:], *self._steering.menu.encoders)
        at = tasks.index(self._steering.setup.task) if self._steering.setup.task in tasks else -1
        chosen = (at + 1) % len(tasks) if number == 0 else number - 1
        if chosen < len(tasks):
            await self._do(self._steering.choose_task, tasks[chosen])

    def _sync(self) -> None:
        """Show what is so, whoever changed it."""
        s = self._steering
        if s.menu != self._menu:
            self._menu = s.menu
            for name, options in (("task", s.menu.tasks), ("encoder", s.menu.encoders), ("world", s.menu.worlds)):
                self._selects[name][0].set_options(list(options), value=self._selects[name][1]())
            self._selects["beside"][0].set_options(self._others(), value="nothing")
        if "b" not in s.sides:
            self._beside = "nothing"
        for select, now in self._selects.values():
            if select.value != now():
                select.value = now()
        recording = s.recording is not None
        self._record.text = "Recording" if recording else "Record"
        self._record.classes(add="on" if recording else "", remove="" if recording else "on")
