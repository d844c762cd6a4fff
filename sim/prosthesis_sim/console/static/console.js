// The console's page: draws what the stream brings, and keeps STOP on ways of its own. No state is kept here that matters.
"use strict";
(() => {
const $ = (id) => document.getElementById(id);
const live = { geometry: {}, figures: {}, status: {}, parts: {}, images: {}, events: [], side: "a", counts: { drawn: 0 } };
window.prosthesisConsole = live;   // for tests: what has been heard and drawn
const stopAt = window.PROSTHESIS_STOP;   // {port, token} of the STOP process, or null
const RINGS = [0.25, 0.5, 1, 2, 4, 8, 16, 32];

// ---- STOP: three ways at once, each harmless when another was first

function stop() {
  if (live.status.mode === "scrub") return;
  live.stopPressed = performance.now();
  if (stopAt) fetch(`${location.protocol}//${location.hostname}:${stopAt.port}/stop`,
    { method: "POST", mode: "no-cors", body: stopAt.token, keepalive: true, priority: "high" }).catch(() => {});
  say({ stop: true });
}

// ---- the stream

let socket = null, waiting = 250;
function say(what) { if (socket && socket.readyState === 1) socket.send(JSON.stringify(what)); }

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { waiting = 250; $("lost").classList.remove("on"); };
  socket.onmessage = async (event) => { try { await take(event.data); } finally { say({ drawn: 1 }); } };
  socket.onclose = () => {
    $("lost").textContent = "the console's server does not answer; STOP still goes its own way";
    $("lost").classList.add("on");
    setTimeout(connect, waiting); waiting = Math.min(waiting * 2, 4000);
  };
}

async function take(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  const pictures = [];
  for (const part of head.parts) {
    part.at = at; part.buffer = buffer; at += Math.ceil(part.length / 4) * 4;
    const key = `${part.side}/${part.name}`;
    live.parts[key] = part;
    if (part.type) pictures.push(createImageBitmap(new Blob([new Uint8Array(buffer, part.at, part.length)], { type: part.type }))
      .then((image) => { if (live.images[key]) live.images[key].close(); live.images[key] = image; }));
  }
  if (head.geometry) { live.geometry = head.geometry; scene.clear(); document.querySelector(".console").classList.toggle("two", "b" in head.geometry); if (!("b" in head.geometry)) live.side = "a"; }
  if (head.status) { live.status = head.status; showStatus(); }
  if (head.figures) { live.figures = head.figures; showFigures(); }
  if (head.forget) $("events").textContent = "";
  if (head.events) showEvents(head.events);
  await Promise.all(pictures);
  await new Promise((done) => requestAnimationFrame(() => { draw(head.parts, head); done(); }));
}

// ---- drawing

const scene = new Map();   // what is drawn once per size and geometry
function canvas(id) {
  const element = $(id), box = element.getBoundingClientRect(), ratio = Math.min(window.devicePixelRatio || 1, 2);
  const w = Math.max(1, Math.round(box.width * ratio)), h = Math.max(1, Math.round(box.height * ratio));
  if (element.width !== w || element.height !== h) { element.width = w; element.height = h; scene.delete(id); }
  return { g: element.getContext("2d"), w, h, ratio };
}
const has = (parts, name) => parts.some((part) => part.name === name && (part.side === live.side || name === "percept"));

function draw(parts, head) {
  const all = !!head.geometry || live.redraw; live.redraw = false;
  if (all || has(parts, "frame") || has(parts, "machine_code")) { drawMap(); drawCamera(); }
  for (const side of ["a", "b"]) if (all || parts.some((p) => p.side === side && p.name === "percept")) drawPercept(side);
  if (all || has(parts, "electrodes")) { readElectrodes(); drawCortex(); drawField(); }
  if (head.figures || all) drawLatency();
  if (live.status.mode === "scrub" && (head.status || head.geometry)) drawTape();
  live.counts.drawn += 1;
  for (const part of parts) live.counts[part.name] = (live.counts[part.name] || 0) + 1;
}

const INFERNO = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];
const GLOW = Array.from({ length: 256 }, (_, i) => {
  const x = i / 255 * (INFERNO.length - 1), k = Math.min(Math.floor(x), INFERNO.length - 2), f = x - k;
  return INFERNO[k].map((low, c) => Math.round(low + (INFERNO[k + 1][c] - low) * f));
});
const glow = (share) => { const c = GLOW[Math.max(0, Math.min(255, Math.round(70 + 185 * share)))]; return `rgb(${c[0]},${c[1]},${c[2]})`; };

let mapPicture = null;
function drawMap() {
  const part = live.parts[`${live.side}/machine_code`]; if (!part) return;
  const { g, w, h, ratio } = canvas("map"), values = new Uint8Array(part.buffer, part.at, part.length);
  g.clearRect(0, 0, w, h);
  $("n-map").textContent = part.kind === "map" ? `${part.shape[1]} x ${part.shape[0]}` : `latent, ${part.shape[0]} numbers`;
  if (part.kind !== "map" || part.shape.length !== 2) { mapPicture = null; bars(g, w, h, values, ratio); return; }
  const [rows, columns] = part.shape;
  if (!mapPicture || mapPicture.width !== columns || mapPicture.height !== rows) mapPicture = new OffscreenCanvas(columns, rows);
  const image = new ImageData(columns, rows), tint = new ImageData(columns, rows);
  for (let i = 0; i < values.length; i++) {
    const c = GLOW[values[i]], k = 4 * i;
    image.data[k] = c[0]; image.data[k + 1] = c[1]; image.data[k + 2] = c[2]; image.data[k + 3] = 255;
    tint.data[k] = 79; tint.data[k + 1] = 208; tint.data[k + 2] = 196; tint.data[k + 3] = Math.round(values[i] * 0.72);
  }
  const side = Math.min(w / columns, h / rows), x = (w - side * columns) / 2, y = (h - side * rows) / 2;
  mapPicture.getContext("2d").putImageData(image, 0, 0);
  g.imageSmoothingEnabled = false;
  g.drawImage(mapPicture, x, y, side * columns, side * rows);
  mapPicture.getContext("2d").putImageData(tint, 0, 0);
}
function bars(g, w, h, values, ratio) {
  const step = w / values.length, middle = h / 2;
  g.fillStyle = "#4fd0c4";
  values.forEach((value, i) => { const y = (value / 255 - 0.5) * (h - 8 * ratio); g.fillRect(i * step, middle, Math.max(1, step - 1), -y); });
  g.fillStyle = "#2b3743"; g.fillRect(0, middle, w, 1);
}

function drawCamera() {
  const image = live.images[`${live.side}/frame`], part = live.parts[`${live.side}/frame`]; if (!image) return;
  const { g, w, h, ratio } = canvas("camera"), known = live.geometry[live.side] || {};
  const scale = Math.min(w / image.width, h / image.height), x = (w - image.width * scale) / 2, y = (h - image.height * scale) / 2;
  g.clearRect(0, 0, w, h);
  g.imageSmoothingEnabled = true;
  g.drawImage(image, x, y, image.width * scale, image.height * scale);
  if (known.crop) {
    const [left, top, right, bottom] = known.crop;
    const box = [x + left * image.width * scale, y + top * image.height * scale, (right - left) * image.width * scale, (bottom - top) * image.height * scale];
    if (mapPicture && $("overlay").getAttribute("aria-pressed") === "true") g.drawImage(mapPicture, ...box);
    g.strokeStyle = "#ffb84d"; g.lineWidth = ratio; g.strokeRect(box[0] + 0.5 * ratio, box[1] + 0.5 * ratio, box[2] - ratio, box[3] - ratio);
  }
  if ($("overlay").getAttribute("aria-pressed") === "true") drawFound(g, part.found, [x, y, image.width * scale, image.height * scale], ratio);
  tellFound();
  $("n-camera").textContent = `frame ${part.seq}` + (known.camera_deg && known.camera_deg[0] ? ` · ${known.camera_deg[0]} x ${known.camera_deg[1]}°` : "");
}

// what encoders found: boxes that fade as they age, each with what it is; what is soon reached is red
const SOON_S = 2;
const soon = (item) => item.time_s !== null && item.time_s < SOON_S;
const named = (item) => item.label || item.kind;
function drawFound(g, found, [left, top, width, height], ratio) {
  const size = 10 * ratio, pad = 3 * ratio, tall = size + 1.5 * pad, written = [];
  const at = (item) => [left + item.box[0] * width, top + item.box[1] * height, item.box[2] * width, item.box[3] * height];
  const colour = (item) => soon(item) ? "#ff6b62" : { word: "#8fe9e0", face: "#b9a5ff" }[item.kind] || "#e8eef4";
  const weight = (item) => (item.time_s === null ? 1e3 : item.time_s) - item.box[2] * item.box[3];   // the most urgent first, then the largest
  const ordered = [...found].sort((p, q) => weight(p) - weight(q));
  g.save();
  g.beginPath(); g.rect(left, top, width, height); g.clip();
  g.font = `500 ${size}px Inter, system-ui, sans-serif`; g.textBaseline = "middle"; g.textAlign = "left"; g.lineWidth = 1.25 * ratio;
  for (const item of [...ordered].reverse()) { g.globalAlpha = 1 - 0.6 * Math.min(1, item.age_s); g.strokeStyle = colour(item); g.strokeRect(...at(item)); }
  for (const item of ordered) {   // above its box or below it; where neither is free there is the box alone
    const text = named(item) + (item.time_s === null || item.time_s > 9.95 ? "" : ` ${item.time_s.toFixed(1)} s`);
    const [x, y, , high] = at(item), long = g.measureText(text).width + 2 * pad, tx = Math.max(left, Math.min(x, left + width - long));
    const ty = [y - tall, y + high].find((ty) => ty >= top && ty + tall <= top + height
      && !written.some(([ox, oy, olong]) => tx < ox + olong && ox < tx + long && Math.abs(ty - oy) < tall)) ?? (written.length ? null : top);
    if (ty === null) continue;
    written.push([tx, ty, long]);
    g.globalAlpha = 1 - 0.6 * Math.min(1, item.age_s);
    g.fillStyle = "rgba(9,12,16,.78)"; g.fillRect(tx, ty, long, tall);
    g.fillStyle = colour(item); g.fillText(text, tx + pad, ty + tall / 2);
  }
  g.restore();
}

let telling = null, toldAt = 0;
function tellFound() {   // the same in words; a screen reader hears only of lines that are new, and not more often than one can listen
  if (telling) return;
  telling = setTimeout(() => {
    telling = null; toldAt = performance.now();
    const part = live.parts[`${live.side}/frame`], list = $("found");
    const lines = new Set(((part && part.found) || []).map((item) => `${item.kind === "word" ? "word " : item.kind === "face" && item.label ? "face of " : ""}${named(item)}${item.side ? ` ${item.side}` : ""}${soon(item) ? ", soon reached" : ""}`));
    for (const line of [...list.children]) if (!lines.delete(line.textContent)) line.remove();
    for (const text of lines) { const line = document.createElement("li"); line.textContent = text; list.append(line); }
  }, Math.max(0, toldAt + 2000 - performance.now()));
}

function drawPercept(side) {
  const image = live.images[`${side}/percept`], part = live.parts[`${side}/percept`];
  if (!image || (side === "b" && !live.geometry.b)) return;
  const { g, w, h, ratio } = canvas(`percept-${side}`), [cx, cy] = part.centre, [ex, ey] = part.extent;
  const scale = Math.min(w / ex, h / ey), width = ex * scale, height = ey * scale, x = (w - width) / 2, y = (h - height) / 2;
  const at = (dx, dy) => [w / 2 + (dx - cx) * scale, h / 2 - (dy - cy) * scale];
  g.fillStyle = "#000"; g.fillRect(0, 0, w, h);
  g.imageSmoothingEnabled = true;
  g.drawImage(image, x, y, width, height);
  g.lineWidth = ratio; g.strokeStyle = "rgba(148,163,177,.16)"; g.fillStyle = "rgba(148,163,177,.75)"; g.font = `${10.5 * ratio}px Inter, system-ui, sans-serif`;
  const [ox, oy] = at(0, 0);
  for (const ring of RINGS) {
    const r = ring * scale; if (r < 26 * ratio) continue;
    g.beginPath(); g.arc(ox, oy, r, 0, 7); g.stroke();
    const [tx, ty] = [ox + r * Math.SQRT1_2, oy - r * Math.SQRT1_2];
    if (tx > 4 && tx < w - 24 * ratio && ty > 14 * ratio && ty < h - 4) g.fillText(`${ring}°`, tx + 3 * ratio, ty - 3 * ratio);
  }
  gaze(g, at(...part.gaze), w, h, ratio);
  $(`n-percept-${side}`).textContent = (live.geometry.b ? labelOf(side) + " · " : "") + `${part.visible} phosphenes · ${ex.toFixed(1)} x ${ey.toFixed(1)}° · gaze ${part.gaze.map((v) => v.toFixed(1)).join(", ")}`;
}
function gaze(g, [x, y], w, h, ratio) {
  const inside = x >= 0 && x <= w && y >= 0 && y <= h;
  const px = Math.max(10 * ratio, Math.min(w - 10 * ratio, x)), py = Math.max(10 * ratio, Math.min(h - 10 * ratio, y)), r = 5 * ratio;
  g.strokeStyle = "#4fd0c4"; g.lineWidth = 1.5 * ratio; g.beginPath();
  if (inside) { g.moveTo(px - 2 * r, py); g.lineTo(px - r / 2, py); g.moveTo(px + r / 2, py); g.lineTo(px + 2 * r, py);
    g.moveTo(px, py - 2 * r); g.lineTo(px, py - r / 2); g.moveTo(px, py + r / 2); g.lineTo(px, py + 2 * r); }
  else { const a = Math.atan2(y - py, x - px); for (const turn of [2.5, -2.5]) { g.moveTo(px, py); g.lineTo(px + 2 * r * Math.cos(a + turn), py + 2 * r * Math.sin(a + turn)); } }
  g.stroke();
}
function labelOf(side) {
  const a = (live.status.setups || {}).a, mine = (live.status.setups || {})[side];
  if (!a || !mine) return "";
  const b = live.status.setups.b || a;
  if (a.task !== b.task) return mine.task;
  return a.world !== b.world ? mine.world : `patient ${mine.patient}`;
}

let rows = null;
function readElectrodes() {
  const part = live.parts[`${live.side}/electrodes`]; if (!part) return;
  const n = part.n;
  rows = { n, ua: new Float32Array(part.buffer, part.at, n), nc: new Float32Array(part.buffer, part.at + 4 * n, n), refusal: new Uint8Array(part.buffer, part.at + 8 * n, n) };
}

function framed(xs, ys, ids, w, h, margin) {
  let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
  for (const i of ids) { x0 = Math.min(x0, xs[i]); x1 = Math.max(x1, xs[i]); y0 = Math.min(y0, ys[i]); y1 = Math.max(y1, ys[i]); }
  const span = Math.max(x1 - x0, y1 - y0, 1e-3), scale = Math.min((w - 2 * margin) / Math.max(x1 - x0, span * 0.2), (h - 2 * margin) / Math.max(y1 - y0, span * 0.2));
  return { scale, at: (x, y) => [w / 2 + (x - (x0 + x1) / 2) * scale, h / 2 - (y - (y0 + y1) / 2) * scale] };
}
function spacing(points) {
  const near = points.map((p, i) => { let best = Infinity; for (let j = 0; j < points.length; j++) if (j !== i) best = Math.min(best, Math.hypot(p[0] - points[j][0], p[1] - points[j][1])); return best; });
  near.sort((a, b) => a - b);
  return near.length > 1 ? near[Math.floor(near.length / 2)] : 20;
}

function cortexScene(id, w, h, ratio) {
  if (scene.has(id)) return scene.get(id);
  const known = live.geometry[live.side], ids = known.u.map((_, i) => i), back = new OffscreenCanvas(w, h), g = back.getContext("2d");
  const frame = framed(known.u, known.v, ids, w, h, 16 * ratio), points = known.u.map((u, i) => frame.at(u, known.v[i]));
  g.strokeStyle = "#25303b"; g.fillStyle = "#94a3b1"; g.lineWidth = ratio; g.font = `${9.5 * ratio}px Inter, system-ui, sans-serif`;
  for (const line of known.lines) {
    g.beginPath(); let pen = false, mark = null;
    line.u.forEach((u, k) => {
      if (u === null || line.v[k] === null) { pen = false; return; }
      const [x, y] = frame.at(u, line.v[k]);
      if (pen) g.lineTo(x, y); else g.moveTo(x, y);
      pen = true;
      if (x > 2 && x < w - 22 * ratio && y > 10 * ratio && y < h - 3) mark = [x, y];
    });
    g.stroke();
    if (line.label && mark) g.fillText(line.label, mark[0] + 2 * ratio, mark[1] - 2 * ratio);
  }
  const made = { back, points, radius: Math.max(1.4 * ratio, Math.min(7 * ratio, 0.4 * spacing(points))) };
  scene.set(id, made);
  return made;
}

function drawCortex() {
  const known = live.geometry[live.side]; if (!known || !rows || !known.u.length) return;
  const { g, w, h, ratio } = canvas("cortex"), { back, points, radius } = cortexScene("cortex", w, h, ratio);
  const byCharge = $("charge").getAttribute("aria-pressed") === "true";
  let most = 1e-6; if (byCharge) for (const nc of rows.nc) most = Math.max(most, nc);
  g.clearRect(0, 0, w, h); g.drawImage(back, 0, 0);
  let on = 0, refused = 0;
  for (let i = 0; i < points.length && i < rows.n; i++) {
    const [x, y] = points[i], share = byCharge ? rows.nc[i] / most : Math.min(1, rows.ua[i] / Math.max(known.max_ua[i], 1e-6));
    const lit = rows.ua[i] > 0 || (byCharge && rows.nc[i] > 0);
    on += rows.ua[i] > 0; refused += rows.refusal[i] > 0;
    g.beginPath(); g.arc(x, y, radius, 0, 7);
    if (lit) { g.fillStyle = glow(share); g.fill(); }
    else { g.strokeStyle = known.enabled[i] ? "#4a5866" : "#2b3743"; g.lineWidth = ratio; g.stroke(); }
    if (rows.refusal[i] || !known.enabled[i]) {
      g.strokeStyle = rows.refusal[i] ? "#ff6b62" : "#5b6875"; g.lineWidth = 1.4 * ratio; const r = radius * 0.75;
      g.beginPath(); g.moveTo(x - r, y - r); g.lineTo(x + r, y + r); g.moveTo(x + r, y - r); g.lineTo(x - r, y + r); g.stroke();
    }
  }
  legend(g, w, h, ratio, byCharge ? `${most.toFixed(most < 10 ? 1 : 0)} nC/s` : "max");
  live.electrodes = { on, refused, n: rows.n };
  $("n-cortex").textContent = `${on} of ${rows.n} on` + (refused ? ` · ${refused} refused` : "");
}
function legend(g, w, h, ratio, most) {
  const width = 54 * ratio, x = w - width - 8 * ratio, y = h - 10 * ratio;
  for (let k = 0; k < width; k++) { g.fillStyle = glow(k / width); g.fillRect(x + k, y, 1, 4 * ratio); }
  g.fillStyle = "#94a3b1"; g.font = `${9.5 * ratio}px Inter, system-ui, sans-serif`; g.textAlign = "right"; g.fillText(most, x + width, y - 3 * ratio); g.textAlign = "left";
}

const spark = new OffscreenCanvas(64, 64);
{ const g = spark.getContext("2d"), light = g.createRadialGradient(32, 32, 0, 32, 32, 32); light.addColorStop(0, "rgba(255,250,235,1)"); light.addColorStop(.35, "rgba(255,240,210,.55)"); light.addColorStop(1, "rgba(255,230,190,0)"); g.fillStyle = light; g.fillRect(0, 0, 64, 64); }

function fieldScene(w, h, ratio) {
  if (scene.has("field")) return scene.get("field");
  const known = live.geometry[live.side], ids = known.x.map((_, i) => i).filter((i) => known.enabled[i]), back = new OffscreenCanvas(w, h), g = back.getContext("2d");
  const f = known.field, frame = f ? framed([f[0], f[1]], [f[2], f[3]], [0, 1], w, h, 4 * ratio) : framed(known.x, known.y, ids, w, h, 16 * ratio);
  const [ox, oy] = frame.at(0, 0);
  g.strokeStyle = "#25303b"; g.fillStyle = "#94a3b1"; g.lineWidth = ratio; g.font = `${9.5 * ratio}px Inter, system-ui, sans-serif`;
  for (const ring of RINGS) {
    const r = ring * frame.scale; if (r < 14 * ratio || r > 4000 * ratio) continue;
    g.beginPath(); g.arc(ox, oy, r, 0, 7); g.stroke();
    for (const turn of [0.6, 0.2, -0.2, -0.6, 1.2, -1.2, 3.6, 2.6]) { const tx = ox + r * Math.cos(turn), ty = oy - r * Math.sin(turn); if (tx > 2 && tx < w - 22 * ratio && ty > 12 * ratio && ty < h - 4) { g.fillText(`${ring}°`, tx + 2 * ratio, ty); break; } }
  }
  g.beginPath(); g.moveTo(0, oy); g.lineTo(w, oy); g.moveTo(ox, 0); g.lineTo(ox, h); g.stroke();
  const made = { back, points: known.x.map((x, i) => frame.at(x, known.y[i])), scale: frame.scale, ids };
  scene.set("field", made);
  return made;
}
function drawField() {
  const known = live.geometry[live.side]; if (!known || !rows || !known.x.length) return;
  const { g, w, h, ratio } = canvas("field"), { back, points, scale, ids } = fieldScene(w, h, ratio);
  g.clearRect(0, 0, w, h); g.drawImage(back, 0, 0);
  g.globalCompositeOperation = "lighter";
  for (const i of ids) {
    if (i >= rows.n) break;
    const [x, y] = points[i], share = Math.min(1, rows.ua[i] / Math.max(known.max_ua[i], 1e-6));
    if (share > 0) { const r = Math.max(3 * ratio, 2 * known.sigma[i] * scale); g.globalAlpha = 0.25 + 0.75 * share; g.drawImage(spark, x - r, y - r, 2 * r, 2 * r); }
  }
  g.globalAlpha = 1; g.globalCompositeOperation = "source-over"; g.fillStyle = "#5b6875";
  for (const i of ids) if (i < rows.n && !(rows.ua[i] > 0)) g.fillRect(points[i][0] - ratio / 2, points[i][1] - ratio / 2, ratio, ratio);
  $("n-field").textContent = `${ids.length} of ${known.electrodes} calibrated`;
}

function drawLatency() {
  const figures = live.figures[live.side]; if (!figures) return;
  const { g, w, h, ratio } = canvas("latency"), hops = figures.latency;
  g.clearRect(0, 0, w, h);
  if (!hops.length) return;
  const low = 0.02, high = 200, left = 58 * ratio, right = w - 92 * ratio, foot = 13 * ratio, strip = 26 * ratio;
  const x = (ms) => left + (right - left) * Math.log(Math.max(low, Math.min(high, ms)) / low) / Math.log(high / low);
  const shown = hops.filter((hop) => hop[0] !== "capture to percept"), row = (h - foot - strip) / shown.length;
  g.font = `${Math.min(10.5 * ratio, row * 0.95)}px Inter, system-ui, sans-serif`; g.textBaseline = "middle";
  g.strokeStyle = "#1d2630"; g.fillStyle = "#94a3b1"; g.lineWidth = ratio; g.textAlign = "center";
  for (const ms of [0.1, 1, 10, 100]) { g.beginPath(); g.moveTo(x(ms), 0); g.lineTo(x(ms), h - foot); g.stroke(); g.fillText(`${ms} ms`, x(ms), h - foot / 2); }
  const total = hops.find((hop) => hop[0] === "capture to percept");
  if (total) trace(g, figures.trace, total, left, right, strip, ratio, w);
  shown.forEach(([hop, p5, p50, p95, p99], k) => {
    const y = strip + row * (k + 0.5), thick = Math.max(2 * ratio, row * 0.42);
    g.textAlign = "right"; g.fillStyle = "#b6c2cd"; g.fillText(hop, left - 7 * ratio, y);
    g.fillStyle = "#2f6f8f"; g.fillRect(x(p5), y - thick / 2, Math.max(2, x(p95) - x(p5)), thick);
    g.fillStyle = "#e8eef4"; g.fillRect(x(p50) - ratio, y - thick / 2 - ratio, 2 * ratio, thick + 2 * ratio);
    g.fillStyle = "#ffb84d"; g.beginPath(); g.arc(x(p99), y, 1.8 * ratio, 0, 7); g.fill();
    g.textAlign = "right"; g.fillStyle = "#b6c2cd"; g.fillText(number(p50), right + 44 * ratio, y); g.fillStyle = "#ffb84d"; g.fillText(number(p99), right + 88 * ratio, y);
  });
}
function trace(g, values, total, left, right, strip, ratio, w) {
  const most = Math.max(...values, 1) * 1.15;
  g.strokeStyle = "#4fd0c4"; g.lineWidth = 1.2 * ratio; g.beginPath();
  values.forEach((ms, k) => { const px = left + (right - left) * k / Math.max(1, values.length - 1), py = strip - 3 * ratio - (strip - 6 * ratio) * ms / most; if (k) g.lineTo(px, py); else g.moveTo(px, py); });
  g.stroke();
  g.textAlign = "right"; g.fillStyle = "#4fd0c4"; g.fillText("whole", left - 7 * ratio, strip / 2);
  g.fillStyle = "#e8eef4"; g.fillText(number(total[2]), right + 44 * ratio, strip / 2); g.fillStyle = "#ffb84d"; g.fillText(number(total[4]), right + 88 * ratio, strip / 2);
}
const number = (ms) => ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2);

// ---- figures and words

function pairs(id, entries) {
  const list = $(id); list.textContent = "";
  for (const [term, value, level] of entries) {
    if (term === null) { const dd = document.createElement("dd"); dd.className = "wide"; dd.textContent = value; const dt = document.createElement("dt"); dt.className = "hidden"; dt.textContent = "note"; list.append(dt, dd); continue; }
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = term; dd.textContent = value; if (level) dd.className = level; list.append(dt, dd);
  }
}
function grade(share) { return share === null ? "" : share > 0.98 ? "good" : share > 0.9 ? "fair" : "bad"; }
function percent(share) { return share === null ? "–" : `${(100 * share).toFixed(1)} %`; }

function showFigures() {
  const f = live.figures[live.side]; if (!f) return;
  const a = live.figures.a || f, pill = $("state");
  pill.dataset.state = a.state; $("state-name").textContent = a.state.replace("_", " "); $("state-why").textContent = a.reason;
  const refused = Object.entries(f.link.refused).sort((p, q) => q[1] - p[1]);
  pairs("link", [
    ["accepted", percent(f.link.share), grade(f.link.share)],
    ["tiles", `${f.link.accepted.toFixed(0)} /s`],
    ["frames", `${f.fps.camera.toFixed(1)} /s`],
    ["obeyed", `${f.fps.percept.toFixed(1)} /s`],
    ["dropped", `${f.dropped}`, f.dropped ? "fair" : ""],
    ["skipped", `${f.link.skipped}`],
    ...refused.slice(0, 3).map(([why, rate]) => [why.toLowerCase(), `${rate.toFixed(1)} /s`, "bad"]),
  ]);
  $("n-link").textContent = ((live.status.setups || {})[live.side] || {}).link || "";
  const health = f.health;
  pairs("implant", "session" in health ? [
    ["power", `${health.power_mw.toFixed(1)} mW`],
    ["warming", `${health.warming_c.toFixed(2)} °C`, health.warming_c > 1 ? "fair" : ""],
    ["left charge", `${health.net_charge_pc} pC`],
    ["watchdog", `${health.watchdog_ms} ms`, health.watchdog_ms < 100 ? "fair" : ""],
    ["given", `${f.charge_uc.toFixed(f.charge_uc < 100 ? 2 : 0)} µC`],
    ["session", health.session.toString(16)],
    [null, f.reason],
  ] : [[null, f.reason]]);
  $("n-implant").textContent = f.state.replace("_", " ").toLowerCase();
  showGuard(f.guard);
  const total = f.latency.find((hop) => hop[0] === "capture to percept");
  $("n-latency").textContent = total ? `capture to percept ${number(total[2])} ms, p99 ${number(total[4])}` : "";
  describe(f, total);
  const arm = $("arm"); if (arm) arm.querySelector(".block").textContent = a.state === "LOCKED" ? "RESET" : "ARM";
}
function showGuard(found) {
  const body = $("guard"); body.textContent = "";
  $("n-guard").textContent = found.length ? "last 10 s" : "nothing asked beyond a limit";
  for (const [rule, tier, frames, electrodes, worst, limit, unit] of found) {
    const line = document.createElement("tr");
    for (const [text, kind] of [[rule.replaceAll("_", " "), `tier-${tier}`], [`${(100 * frames).toFixed(0)} %`, "n"], [`${short(worst)}`, "n"], [`${short(limit)} ${unit}`, "n"]]) {
      const cell = document.createElement("td"); cell.textContent = text; cell.className = kind; line.append(cell);
    }
    line.title = `${tier}: ${electrodes} electrodes at most`;
    body.append(line);
  }
}
const short = (value) => value === null ? "–" : Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toPrecision(2);

let described = 0;
function describe(f, total) {   // for screen readers: not more often than one can listen
  const now = performance.now(); if (now - described < 2000) return;
  described = now;
  const e = live.electrodes || { on: 0, refused: 0, n: 0 }, p = live.parts[`${live.side}/percept`];
  $("cortex").setAttribute("aria-label", `electrodes on the tissue: ${e.on} of ${e.n} driven, ${e.refused} refused`);
  $("percept-a").setAttribute("aria-label", p ? `percept: ${p.visible} phosphenes visible` : "percept: dark");
  $("camera").setAttribute("aria-label", `camera picture, ${f.fps.camera.toFixed(0)} a second, with the part the encoder looks at outlined`);
  $("latency-words").textContent = f.latency.map((hop) => `${hop[0]}: median ${number(hop[2])} ms, 99th percentile ${number(hop[4])} ms`).join("; ");
}

function showEvents(events) {
  const list = $("events");
  for (const [side, ago, source, level, text] of events) {
    const line = document.createElement("li"), when = document.createElement("time");
    const at = new Date(Date.now() - ago * 1000);
    when.textContent = live.status.mode === "scrub" ? clock(Math.max(0, live.status.at - ago)) : at.toTimeString().slice(0, 8);
    line.className = level; line.append(when, document.createTextNode((live.geometry.b ? side.toUpperCase() + " " : "") + text)); line.title = source;
    list.prepend(line); live.events.push(text);
  }
  while (list.children.length > 80) list.lastChild.remove();
  while (live.events.length > 500) live.events.shift();
  $("n-events").textContent = `${list.children.length}`;
}

function showStatus() {
  const s = live.status, a = (s.setups || {}).a || {};
  const what = $("what"); what.textContent = "";
  const words = s.mode === "scrub" ? [s.log, a.rig, a.task, a.world] : [a.rig, a.task, `${a.world}${a.patient ? " no. " + a.patient : ""}`, a.link];
  words.filter(Boolean).forEach((word, k) => { if (k) what.append(" · "); const b = document.createElement("b"); b.textContent = word; what.append(b); });
  if (s.busy) { what.textContent = s.busy + " …"; }
  if (s.mode === "scrub") showTape();
}

// ---- a recording's timeline

const COLOURS = { STIMULATING: "#2c6b47", ARMED: "#2a6560", HOLD: "#8a6420", SAFE: "#8a6420", LOCKED: "#8c2f29", STOPPED: "#8c2f29", SILENT: "#2b3743", SELF_TEST: "#8a6420" };
function showTape() {
  const s = live.status, range = $("seek"); if (!range) return;
  range.max = s.seconds; if (document.activeElement !== range || s.playing) range.value = s.at;
  range.setAttribute("aria-valuetext", `${s.at.toFixed(1)} of ${s.seconds.toFixed(1)} seconds`);
  $("clock").textContent = `${clock(s.at)} / ${clock(s.seconds)}`;
  $("play").textContent = s.playing ? "❚❚" : "▶"; $("play").setAttribute("aria-label", s.playing ? "pause" : "play");
  if (s.damaged) { $("lost").textContent = `${s.damaged} damaged part(s) of this recording are left out`; $("lost").classList.add("on"); }
}
const clock = (t) => `${Math.floor(t / 60)}:${(t % 60).toFixed(1).padStart(4, "0")}`;
function drawTape() {
  const marks = live.geometry.timeline, s = live.status; if (!marks || !$("tape")) return;
  const { g, w, h, ratio } = canvas("tape"), x = (t) => w * t / Math.max(s.seconds, 1e-3);
  g.clearRect(0, 0, w, h);
  marks.states.forEach(([t, state], k) => { g.fillStyle = COLOURS[state] || "#2b3743"; const end = k + 1 < marks.states.length ? marks.states[k + 1][0] : s.seconds * marks.share; g.fillRect(x(t), h - 8 * ratio, x(end) - x(t), 8 * ratio); });
  const most = Math.max(...marks.worst_ms, 1);
  g.fillStyle = "#2f6f8f"; marks.worst_ms.forEach((ms, k) => { const tall = (h - 14 * ratio) * ms / most; g.fillRect(k * w / marks.worst_ms.length, h - 10 * ratio - tall, Math.max(1, w / marks.worst_ms.length - 0.5), tall); });
  for (const [t, level] of marks.events) { g.fillStyle = level === "error" ? "#ff6b62" : level === "warning" ? "#ffb84d" : "#94a3b1"; g.fillRect(x(t) - ratio / 2, 0, 1.5 * ratio, 7 * ratio); }
  g.fillStyle = "#ffffff"; g.fillRect(x(s.at) - ratio, 0, 2 * ratio, h);
}

// ---- keys and buttons

const click = (id) => { const element = $(id); if (element) element.click(); };
function flip(id) { const b = $(id); b.setAttribute("aria-pressed", b.getAttribute("aria-pressed") === "true" ? "false" : "true"); live.redraw = true; draw([], { geometry: true, figures: true }); }
function onKey(event) {
  const typing = event.target.matches && event.target.matches("input:not([readonly]):not([type=range]):not([type=checkbox]), textarea, [contenteditable]");
  if (event.key === "Escape" && !document.querySelector(".q-dialog__inner, .q-menu")) { stop(); return; }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || localStorage.getItem("prosthesis-keys") === "off") return;
  const scrub = live.status.mode === "scrub", key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const verbs = scrub
    ? { " ": () => say({ play: !live.status.playing }), ArrowRight: () => say({ step: 1 }), ArrowLeft: () => say({ step: -1 }), Home: () => say({ seek: 0 }), End: () => say({ seek: live.status.seconds }) }
    : { s: stop, a: () => click("arm"), r: () => click("record"), f: () => click("faults"), t: () => emitEvent("console_task", 0) };
  if (!scrub && /^[1-9]$/.test(key)) { emitEvent("console_task", Number(key)); return; }
  const verb = { ...verbs, "?": () => click("help"), o: () => flip("overlay"), c: () => flip("charge") }[key];
  if (verb && !(scrub && event.target.id === "play" && key === " ")) { verb(); event.preventDefault(); }
}

function pointed(event) {   // the electrode under the pointer
  const known = live.geometry[live.side], made = scene.get("cortex"), tip = $("tip");
  if (!made || !rows) return;
  const box = event.target.getBoundingClientRect(), ratio = event.target.width / box.width, x = (event.clientX - box.left) * ratio, y = (event.clientY - box.top) * ratio;
  let best = -1, near = 14 * ratio;
  made.points.forEach((p, i) => { const d = Math.hypot(p[0] - x, p[1] - y); if (d < near) { near = d; best = i; } });
  tip.style.display = best < 0 ? "none" : "block";
  if (best < 0 || best >= rows.n) return;
  tip.textContent = `electrode ${best}${known.enabled[best] ? "" : ", not used"}\n${rows.ua[best].toFixed(1)} of ${known.max_ua[best].toFixed(1)} µA · ${rows.nc[best].toFixed(1)} nC/s` + (rows.refusal[best] ? `\nrefused by the implant` : "");
  tip.style.left = `${Math.min(event.clientX + 12, innerWidth - 190)}px`; tip.style.top = `${event.clientY + 12}px`;
}

function begin() {
  if (!$("percept-a") || !$("state")) { setTimeout(begin, 30); return; }
  if ($("stop")) $("stop").addEventListener("pointerdown", stop), $("stop").addEventListener("click", stop);
  document.addEventListener("keydown", onKey, true);   // before any control that keeps keys to itself
  for (const id of ["overlay", "charge"]) $(id).addEventListener("click", () => flip(id));
  $("which").addEventListener("click", () => { live.side = live.side === "a" ? "b" : "a"; $("which").setAttribute("aria-pressed", live.side === "b"); scene.clear(); live.redraw = true; draw([], { geometry: true, figures: true }); showFigures(); });
  $("cortex").addEventListener("pointermove", pointed);
  $("cortex").addEventListener("pointerleave", () => { $("tip").style.display = "none"; });
  if ($("seek")) {
    $("seek").addEventListener("input", () => say({ seek: Number($("seek").value) }));
    $("play").addEventListener("click", () => say({ play: !live.status.playing }));
    $("back").addEventListener("click", () => say({ step: -1 })); $("on").addEventListener("click", () => say({ step: 1 }));
    $("speed").addEventListener("change", () => say({ speed: Number($("speed").value) }));
  }
  new ResizeObserver(() => { scene.clear(); live.redraw = true; draw([], { geometry: true, figures: true, status: true }); }).observe(document.querySelector(".console"));
  connect();
}
begin();
})();
