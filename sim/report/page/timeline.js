// One run as a timeline: names at the left, an axis that stays in sight, and the lanes. It draws only the time and
// the lanes that can be seen.

const AXIS = 46;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A canvas as sharp as the screen; gives its context, cleared. */
function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    [canvas.width, canvas.height] = [w, h];
    canvas.style.width = width + "px";
    canvas.style.height = height + "px";
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return ctx;
}

/** Builds the elements of a run's timeline. */
function makeTimeline(run, index, parent) {
  const root = element("section", "run");
  const title = element("h3", "", run.title);
  const axisRow = element("div", "axis-row");
  const axis = element("canvas", "axis");
  axisRow.append(element("div", "corner"), axis);
  const body = element("div", "body");
  const names = element("div", "names");
  const canvas = element("canvas", "lanes");
  body.append(names, canvas);
  root.append(title, axisRow, body);
  parent.append(root);
  return { run, index, root, axis, names, canvas, shown: [], tops: [], height: 0, width: 0, matches: null };
}

/** Which lanes are shown, where each begins, and their names. */
function layOut(timeline, state, pick) {
  const { run, names } = timeline;
  timeline.shown = run.lanes.filter((lane) => !state.hidden.has(lane.name));
  let top = 0;
  timeline.tops = timeline.shown.map((lane) => {
    const here = top;
    top += heightOf(lane, state.wide.has(lane.name));
    return here;
  });
  timeline.height = Math.max(1, top);
  names.replaceChildren(...timeline.shown.map((lane) => {
    const name = element("button", "name " + lane.kind, lane.name.replace("deployment default/", "deployment "));
    name.type = "button";
    name.title = "show this lane alone, or all again";
    name.style.height = heightOf(lane, state.wide.has(lane.name)) + "px";
    name.classList.toggle("named", state.named.has(lane.name));
    name.classList.toggle("chosen", state.lane === lane.name);
    name.addEventListener("click", () => pick(lane.name));
    return name;
  }));
}

function viewOf(state, width) {
  const { from, to } = state;
  const scale = width / (to - from);
  return { from, to, width, x: (time) => (time - from) * scale, time: (x) => from + x / scale };
}

/** Ticks of the axis at round times. */
function roundStep(span, most) {
  const rough = span / most, power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= rough);
}

function drawAxis(timeline, state, view, colours) {
  const ctx = sized(timeline.axis, view.width, AXIS);
  ctx.font = colours.font;
  const step = roundStep(view.to - view.from, Math.max(2, view.width / 110));
  const digits = Math.max(0, Math.min(9, -Math.floor(Math.log10(step / 1e9) + 1e-9)));
  ctx.fillStyle = colours.dim;
  for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) {
    const x = view.x(time);
    ctx.fillRect(x, AXIS - 6, 1, 6);
    ctx.fillText((time / 1e9).toFixed(digits) + " s", x + 3, AXIS - 8);
  }
  if (timeline.run.healed !== null) {
    ctx.fillStyle = colours.ready;
    const x = view.x(timeline.run.healed);
    ctx.fillRect(x, AXIS - 14, 2, 14);
    ctx.fillText("heal", x + 4, 26);
  }
  drawFlags(ctx, timeline.run, state, view, colours);
}

/** A flag with its number for each place of a broken promise; the promise's name beside the last one. */
function drawFlags(ctx, run, state, view, colours) {
  ctx.font = colours.bold;
  let free = -Infinity;
  run.places.forEach((place, i) => {
    const x = view.x(place.at);
    if (x < -1 || x > view.width + 1) return;
    ctx.fillStyle = colours.bad;
    ctx.fillRect(x - 1, 0, 2, AXIS);
    const last = i === run.places.length - 1 || run.places[i + 1].promise !== place.promise;
    const text = last ? `${i + 1}  ${place.promise}` : `${i + 1}`;
    const width = ctx.measureText(text).width + 8;
    const left = x + width > view.width ? x - width : x;
    if (left < free && i !== state.place) return;
    ctx.fillRect(left, 0, width, 15);
    ctx.fillStyle = colours.paper;
    ctx.fillText(text, left + 4, 11);
    free = left + width;
  });
  ctx.font = colours.font;
}

/** Messages that arrive in sight, from the sender's lane to the receiver's, at their time of arrival. */
function drawMessages(ctx, timeline, view, colours) {
  const MOST = 3000, HEADS = 600, WORDS = 40;
  const { run, shown, tops } = timeline, { events } = run;
  const first = lower(events.messageAt, view.from), last = lower(events.messageAt, view.to + 1);
  const stride = Math.ceil((last - first) / MOST) || 1;
  const middle = new Map(shown.map((lane, i) => [lane.index, tops[i] + laneHeight(timeline, i) / 2]));
  for (const kind of ["datagram", "tcp"]) {
    ctx.strokeStyle = ctx.fillStyle = colours[kind];
    ctx.globalAlpha = last - first > HEADS ? 0.35 : 0.8;
    ctx.beginPath();
    for (let i = first; i < last; i += stride) {
      const event = events.messages[i];
      if (events.kinds[events.kind[event]] !== kind) continue;
      const from = middle.get(events.from[event]), to = middle.get(events.lane[event]);
      if (from === undefined || to === undefined || from === to) continue;
      const x = Math.round(view.x(events.at[event])) + 0.5;
      ctx.moveTo(x, from);
      ctx.lineTo(x, to);
      if (last - first > HEADS) continue;
      const back = to > from ? -5 : 5;
      ctx.moveTo(x - 3, to + back);
      ctx.lineTo(x, to);
      ctx.lineTo(x + 3, to + back);
      if (last - first < WORDS) ctx.fillText(events.texts[events.text[event]].replace(/^from [^:,]*[:,] /, ""), x + 4, to + back);
    }
    ctx.stroke();
    ctx.globalAlpha = 1;
  }
  return { seen: last - first, drawn: Math.ceil((last - first) / stride) };
}

/** Who was asked and who answered, of the operations that evidence names: arrows whatever else is shown. */
function drawThreads(ctx, timeline, view, colours) {
  const { run, shown, tops } = timeline;
  const middle = new Map(shown.map((lane, i) => [lane.index, tops[i] + laneHeight(timeline, i) / 2]));
  ctx.strokeStyle = colours.bad;
  ctx.lineWidth = 1.5;
  for (const { at, from, to } of run.threads) {
    if (at < view.from || at > view.to || !middle.has(from) || !middle.has(to)) continue;
    const x = Math.round(view.x(at)) + 0.5, begin = middle.get(from), end = middle.get(to);
    const back = end > begin ? -7 : 7;
    ctx.beginPath();
    ctx.arc(x, begin, 3, 0, 7);
    ctx.moveTo(x, begin);
    ctx.lineTo(x, end);
    ctx.moveTo(x - 4, end + back);
    ctx.lineTo(x, end);
    ctx.lineTo(x + 4, end + back);
    ctx.stroke();
  }
  ctx.lineWidth = 1;
}

function laneHeight(timeline, i) {
  return (i + 1 < timeline.tops.length ? timeline.tops[i + 1] : timeline.height) - timeline.tops[i];
}

/** Draws a run. Gives how many messages there were to draw, and how many were drawn. */
function drawTimeline(timeline, state, colours) {
  const { run, canvas, shown, tops } = timeline;
  const width = Math.max(50, timeline.width);
  const view = viewOf(state, width);
  const ctx = sized(canvas, width, timeline.height);
  const onScreen = canvas.getBoundingClientRect();
  ctx.font = colours.font;
  shown.forEach((lane, i) => {
    const height = laneHeight(timeline, i);
    if (onScreen.top + tops[i] > window.innerHeight || onScreen.top + tops[i] + height < 0) return;
    ctx.fillStyle = state.lane === lane.name ? colours.chosen : i % 2 ? colours.paper : colours.stripe;
    ctx.fillRect(0, tops[i], width, height);
    drawLane(ctx, view, run, lane, tops[i], height, state.wide.has(lane.name), timeline.matches, colours);
  });
  const messages = state.messages ? drawMessages(ctx, timeline, view, colours) : { seen: 0, drawn: 0 };
  drawLines(ctx, timeline, state, view, colours);
  drawThreads(ctx, timeline, view, colours);
  drawAxis(timeline, state, view, colours);
  return messages;
}

/** Lines across all lanes: where a promise broke, the heal, the end, and where one stands. */
function drawLines(ctx, timeline, state, view, colours) {
  const { run, height } = timeline;
  const line = (time, colour, width, dash = []) => {
    if (time === null || time < view.from || time > view.to) return;
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.setLineDash(dash);
    ctx.beginPath();
    ctx.moveTo(view.x(time), 0);
    ctx.lineTo(view.x(time), height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.lineWidth = 1;
  };
  line(run.healed, colours.ready, 1, [2, 3]);
  run.places.forEach((place, i) => line(place.at, colours.bad, i === state.place ? 2 : 1));
  line(state.cursor, colours.here, 1, [4, 2]);
  if (run.end < view.to) {
    ctx.fillStyle = colours.beyond;
    ctx.fillRect(view.x(run.end), 0, view.width, height);
  }
}

/** The lane at a height of the canvas. */
function laneAt(timeline, y) {
  const i = timeline.tops.findLastIndex((top) => top <= y);
  return i >= 0 && y <= timeline.height ? timeline.shown[i] : null;
}

