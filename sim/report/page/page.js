// The page: what is looked at, and what keys, mouse and address do to it.

const wrong = [];
window.addEventListener("error", (event) => wrong.push(event.message));
const $ = (id) => document.getElementById(id);

const runs = JSON.parse($("data").textContent).runs.map(readRun);
const whole = Math.max(1, ...runs.map((run) => run.end)) * 1.01;
const places = runs[0].places;
const LOOKERS_ON = "looker-on";
const state = {
  from: 0, to: whole, cursor: null, lane: null, runOfLane: 0, place: -1, messages: false, text: "",
  hidden: new Set(), wide: new Set(), named: new Set(),
};
const timelines = runs.map((run, index) => makeTimeline(run, index, $("runs")));
const list = makeList($("list"), $("list-space"), $("list-rows"), showEvent);
let colours = {}, due = false;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ink", "dim", "faint", "tick", "paper", "stripe", "chosen", "beyond", "here", "bad", "leader", "onLeader",
    "lock", "member", "store", "down", "onDown", "paused", "death", "pause", "cut", "slow", "clock", "disk", "done", "refused", "unknown",
    "onWork", "pod", "ready", "lack", "bounds", "lag", "datagram", "tcp"];
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue("--" + name).trim()]));
  colours.font = "11px system-ui, sans-serif";
  colours.bold = "600 11px system-ui, sans-serif";
}

/** Asks for one drawing, however much changes before it. */
function redraw() {
  if (due) return;
  due = true;
  requestAnimationFrame(draw);
}

function draw() {
  due = false;
  let seen = 0, drawn = 0;
  for (const timeline of timelines) {
    const messages = drawTimeline(timeline, state, colours);
    seen += messages.seen;
    drawn += messages.drawn;
  }
  const thinned = drawn < seen ? `; ${drawn} of ${seen} messages drawn, zoom in for all` : "";
  $("window").textContent = `${seconds(state.from)} – ${seconds(Math.min(state.to, whole))}${thinned}`;
}

function layOutAll() {
  for (const timeline of timelines) {
    layOut(timeline, state, solo);
    timeline.width = timeline.canvas.parentElement.clientWidth - timeline.names.offsetWidth;
  }
  for (const box of $("lane-list").querySelectorAll("input")) box.checked = !state.hidden.has(box.name);
  $("all-lanes").hidden = laneNames().every((name) => !state.hidden.has(name) || isLookerOn(name));
  redraw();
}

/** Looks at a span of time, within the run. */
function look(from, to) {
  const span = Math.min(Math.max(to - from, 1e4), whole);
  state.from = Math.min(Math.max(0, from), whole - span);
  state.to = state.from + span;
  redraw();
}

function zoom(factor, at = (state.from + state.to) / 2) {
  look(at - (at - state.from) * factor, at + (state.to - at) * factor);
}

function pan(part) {
  const shift = (state.to - state.from) * part;
  look(state.from + shift, state.to + shift);
}

/** Stands at a time: a line on the timelines, and the list beside it. */
function stand(time) {
  state.cursor = time;
  scrollTo(list, time);
  redraw();
}

/** Looks at a place of a broken promise, with the other places of the same promise. */
function jump(number) {
  if (!places.length) return;
  state.place = (number + places.length) % places.length;
  const place = places[state.place];
  const own = places.filter((one) => one.promise === place.promise);
  const times = own.map((one) => one.at);
  const isEvidence = (work) => work.evidence && own.some((one) => one.evidence.includes(work.whole));
  for (const work of runs[0].lanes.flatMap((lane) => lane.works).filter(isEvidence)) times.push(work.from, work.to);
  const first = Math.min(...times), last = Math.max(...times);
  // one moment alone says little: what led to it belongs to it
  const alone = last - first < 1e8;
  const span = Math.max(last - first, Math.min(alone ? whole / 2 : whole / 4, 1e10));
  look(first - span * (alone ? 0.45 : 0.35), last + span * (alone ? 0.15 : 0.25));
  $("violation-which").textContent = `${state.place + 1} of ${places.length}`;
  $("item").replaceChildren(element("strong", "bad", place.promise), element("p", "", place.evidence), element("p", "dim", seconds(place.at)));
  stand(place.at);
}

function laneNames() {
  return [...new Set(runs.flatMap((run) => run.lanes.map((lane) => lane.name)))];
}

function isLookerOn(name) {
  return runs.some((run) => run.lanes.some((lane) => lane.name === name && lane.kind === LOOKERS_ON));
}

/** Hides all lanes but these. */
function showOnly(wanted) {
  state.hidden = new Set(laneNames().filter((name) => !wanted(name)));
  layOutAll();
}

/** One lane alone; all again when it is alone already. */
function solo(name) {
  const shown = laneNames().filter((one) => !state.hidden.has(one));
  const alone = shown.length === 1 && shown[0] === name;
  state.wide = new Set(alone ? state.named : [...state.named, name]);
  choose(0, alone ? null : name);
  showOnly((one) => (alone ? !isLookerOn(one) : one === name));
}

/** The lane whose events are listed; null: those of all. */
function choose(index, name) {
  const run = runs[index].lanes.some((lane) => lane.name === name) || !name ? index : runs.length - 1;
  [state.lane, state.runOfLane] = [name, run];
  const lane = runs[run].lanes.find((one) => one.name === name);
  const matches = timelines[run].matches;
  let positions = matches ? matches.all : null;
  if (lane) positions = matches ? matches.ofLane[lane.index] : runs[run].events.ofLane[lane.index];
  fillList(list, runs[run], positions, Boolean(lane));
  const head = element("span", "", `${countOf(list)} events of ${name || "all"}${run ? " (" + runs[run].title + ")" : ""}`);
  $("list-head").replaceChildren(head);
  if (name) {
    const all = element("button", "", "all events");
    all.type = "button";
    all.addEventListener("click", () => { choose(run, null); layOutAll(); });
    $("list-head").append(all);
  }
  if (state.cursor !== null) scrollTo(list, state.cursor);
}

function showEvent(event) {
  const { events, lanes } = list.run;
  const line = `${events.kinds[events.kind[event]]} ${events.texts[events.text[event]]}`;
  const where = `${lanes[events.lane[event]].name}, event ${event}, ${seconds(events.at[event])}`;
  $("item").replaceChildren(element("p", "dim", where), element("p", "", line));
  state.cursor = list.cursor = events.at[event];
  if (state.cursor < state.from || state.cursor > state.to) {
    const half = (state.to - state.from) / 2;
    look(state.cursor - half, state.cursor + half);
  }
  drawList(list);
  redraw();
}

function filter(text) {
  state.text = text;
  for (const timeline of timelines) timeline.matches = matching(timeline.run, text);
  const found = timelines[state.runOfLane].matches;
  $("matches").textContent = found ? `${found.all.length} events` : "";
  choose(state.runOfLane, state.lane);
  redraw();
}

/** What the mouse points at: a lane, a time, and what is there. */
function pointed(timeline, event) {
  const on = timeline.canvas.getBoundingClientRect();
  const view = viewOf(state, timeline.width);
  const time = view.time(event.clientX - on.left), lane = laneAt(timeline, event.clientY - on.top);
  const near = ((state.to - state.from) / timeline.width) * 3;
  return { time, lane, lines: lane ? saidOf(timeline.run, lane, time, near) : [] };
}

function tip(event, { time, lane, lines }) {
  const box = $("tip");
  box.hidden = !lane;
  if (!lane) return;
  box.replaceChildren(element("strong", "", `${lane.name}  ${seconds(time)}`), ...lines.slice(0, 12).map((line) => element("p", "", line.slice(0, 240))));
  const { offsetWidth, offsetHeight } = box;
  box.style.left = Math.min(event.clientX + 14, window.innerWidth - offsetWidth - 8) + "px";
  box.style.top = (event.clientY + 18 + offsetHeight > window.innerHeight ? event.clientY - offsetHeight - 12 : event.clientY + 18) + "px";
}

function onClick(timeline, event) {
  const { time, lane, lines } = pointed(timeline, event);
  if (!lane) return;
  choose(timeline.index, lane.name);
  if (lane.kind === "deployment") state.wide.add(lane.name);
  $("item").replaceChildren(element("p", "dim", `${lane.name} at ${seconds(time)}`), ...lines.map((line) => element("p", "", line)));
  layOutAll();
  stand(Math.max(0, time));
  history.replaceState(null, "", `#t=${(time / 1e9).toFixed(4)}&span=${((state.to - state.from) / 1e9).toFixed(4)}`);
}

/** Drag pans, a click chooses, the wheel zooms. */
function listen(timeline) {
  const { canvas } = timeline;
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, from: state.from, to: state.to, moved: false };
    // the page's own test has no pointer that could be captured
    if (event.isTrusted) canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return tip(event, pointed(timeline, event));
    const shift = ((held.x - event.clientX) / timeline.width) * (held.to - held.from);
    held.moved ||= Math.abs(held.x - event.clientX) > 3;
    $("tip").hidden = true;
    if (held.moved) look(held.from + shift, held.to + shift);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (held && !held.moved) onClick(timeline, event);
    held = null;
  });
  canvas.addEventListener("pointercancel", () => { held = null; });
  canvas.addEventListener("pointerleave", () => { $("tip").hidden = true; });
  for (const target of [canvas, timeline.axis]) {
    target.addEventListener("wheel", (event) => {
      event.preventDefault();
      const across = event.shiftKey ? event.deltaY : event.deltaX;
      if (Math.abs(across) > Math.abs(event.shiftKey ? 0 : event.deltaY)) return pan(across / 1000);
      const on = target.getBoundingClientRect();
      zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 200), viewOf(state, timeline.width).time(event.clientX - on.left));
    }, { passive: false });
  }
}

const KEYS = {
  ArrowLeft: () => pan(-0.15), ArrowRight: () => pan(0.15), "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6),
  0: () => look(0, whole), v: () => jump(places.length - 1), n: () => jump(state.place + 1), p: () => jump(state.place - 1),
  m: () => $("messages").click(), "/": () => $("filter").focus(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/** `#t=12.5` stands at a time, with `&span=2` looks at two seconds around it; `#violation=2` stands at a place; both
    may have `&messages`. True if the address says where to look. */
function follow() {
  const said = new URLSearchParams(location.hash.slice(1));
  if (said.has("messages")) state.messages = $("messages").checked = true;
  const time = Number(said.get("t")) * 1e9, violation = Number(said.get("violation"));
  if (said.has("violation") && violation > 0) jump(violation - 1);
  else if (said.has("t") && time >= 0) {
    const half = Number(said.get("span")) * 5e8 || Math.min(state.to - state.from, whole / 5) / 2;
    look(time - half, time + half);
    stand(time);
  } else return false;
  return true;
}

function fillLaneList() {
  const boxes = laneNames().map((name) => {
    const box = element("input");
    Object.assign(box, { type: "checkbox", name });
    box.addEventListener("change", () => {
      if (box.checked) state.hidden.delete(name); else state.hidden.add(name);
      layOutAll();
    });
    const line = element("label");
    line.append(box, " " + name);
    return line;
  });
  $("lane-list").replaceChildren(...boxes);
}

function fillLegend() {
  const meaning = {
    leader: "leader of a term", lock: "holds a lock", down: "down", paused: "paused", death: "crash, power cut, restart", cut: "partition",
    slow: "slow links", disk: "disk", clock: "clock", done: "operation done", refused: "refused", unknown: "no answer",
    ready: "pods that are ready", pod: "bound, not ready", bounds: "between least available and most", lack: "below the least",
    lag: "a cache that lags", datagram: "datagram arrives", tcp: "segment arrives", bad: "a broken promise points here",
  };
  const rows = Object.entries(meaning).map(([name, text]) => {
    const row = element("p"), patch = element("i");
    patch.style.background = `var(--${name})`;
    row.append(patch, text);
    return row;
  });
  const keys = "Drag pans, the wheel zooms (with shift: pans); over names it scrolls. ← → + − move and zoom, 0 whole run, v violation, n p next and previous place, m messages, / filter. A click on a name shows its lane alone; the dark line in a deployment is what its sets ask for, the blue one what their status says is available where that is not so.";
  $("legend").replaceChildren(element("p", "", keys), ...rows);
}

function listenAll() {
  timelines.forEach(listen);
  document.addEventListener("keydown", onKey);
  window.addEventListener("resize", layOutAll);
  window.addEventListener("scroll", redraw, { passive: true });
  window.addEventListener("hashchange", follow);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); redraw(); });
  const click = (id, act) => $(id).addEventListener("click", act);
  click("violation", KEYS.v);
  click("violation-before", KEYS.p);
  click("violation-next", KEYS.n);
  click("closer", KEYS["+"]);
  click("farther", KEYS["-"]);
  click("whole", KEYS[0]);
  click("evidence", () => showOnly((name) => state.named.has(name)));
  click("all-lanes", () => showOnly((name) => !isLookerOn(name)));
  $("messages").addEventListener("change", (event) => { state.messages = event.target.checked; redraw(); });
  let soon = 0;
  $("filter").addEventListener("input", (event) => {
    clearTimeout(soon);
    soon = setTimeout(() => filter(event.target.value.trim()), 120);
  });
  // the axis stays right below the bar, however many lines the bar needs
  new ResizeObserver(() => document.documentElement.style.setProperty("--bar", $("bar").offsetHeight + "px")).observe($("bar"));
}

function start() {
  readColours();
  for (const run of runs) {
    for (const lane of run.lanes) {
      lane.marks = lane.named ? run.places.map((place) => place.at) : [];
      if (lane.named) state.named.add(lane.name);
      if (lane.kind === LOOKERS_ON && !lane.named) state.hidden.add(lane.name);
    }
  }
  state.wide = new Set(state.named);
  $("violations").hidden = !places.length;
  $("evidence").hidden = !state.named.size;
  fillLaneList();
  fillLegend();
  listenAll();
  choose(0, null);
  layOutAll();
  if (!follow()) jump(places.length - 1);
  if (location.hash === "#selftest") selfTest();
}

/** Keys, wheel, drag and click, as a person would use them: whether each did what it should. */
function selfTestOfHands() {
  const { canvas } = timelines[0], on = canvas.getBoundingClientRect();
  const span = () => state.to - state.from;
  const did = (act) => {
    const before = { span: span(), from: state.from };
    act();
    return { zoomed: span() < before.span, moved: state.from !== before.from && Math.abs(span() - before.span) < 1 };
  };
  const point = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, { clientX: on.left + x, clientY: on.top + y, bubbles: true }));
  look(0, whole);
  const done = {
    key: did(() => $("runs").dispatchEvent(new KeyboardEvent("keydown", { key: "+", bubbles: true }))).zoomed,
    wheel: did(() => canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -60, clientX: on.left + 300, cancelable: true }))).zoomed,
    drag: did(() => { point("pointerdown", 300, 5); point("pointermove", 250, 5); point("pointerup", 250, 5); }).moved,
  };
  point("pointermove", 200, 5);
  done.tip = !$("tip").hidden;
  point("pointerdown", 200, 5);
  point("pointerup", 200, 5);
  done.click = state.lane === timelines[0].shown[0].name && $("item").textContent !== "" && location.hash.startsWith("#t=");
  choose(0, null);
  return done;
}

/** Does what a person would, and writes down what came of it; for the test in a browser. */
function selfTest() {
  const done = {};
  const probe = element("canvas").getContext("2d", { willReadFrequently: true });
  const frames = (name) => {
    // what is read has been drawn
    const frame = () => {
      const began = performance.now();
      draw();
      for (const { canvas } of timelines) probe.drawImage(canvas, 0, 0, 1, 1);
      probe.getImageData(0, 0, 1, 1);
      return performance.now() - began;
    };
    done[name + " ms"] = Math.round(Math.max(...Array.from({ length: 5 }, frame)) * 10) / 10;
  };
  $("violation").click();
  const place = places[places.length - 1];
  done.violation = !place || (state.from <= place.at && place.at <= state.to && state.cursor === place.at);
  frames("violation");
  $("whole").click();
  frames("whole");
  $("messages").click();
  frames("messages");
  const name = timelines[0].shown[timelines[0].shown.length - 1].name;
  solo(name);
  done.alone = timelines[0].shown.length === 1 && timelines[0].shown[0].name === name;
  frames("alone");
  solo(name);
  done.again = timelines[0].shown.length > 1;
  filter("note");
  done.matches = timelines[0].matches.all.length;
  frames("filter");
  filter("");
  scrollTo(list, runs[0].end);
  done.rows = $("list-rows").childElementCount;
  done.events = runs[0].events.count;
  done.lanes = timelines[0].shown.length;
  location.hash = "#t=1.5";
  follow();
  done.fragment = state.cursor === 1.5e9;
  Object.assign(done, selfTestOfHands());
  done.wrong = wrong;
  const out = element("pre", "", JSON.stringify(done));
  out.id = "selftest";
  document.body.append(out);
}

start();
