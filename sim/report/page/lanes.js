// Drawing one lane, and saying what is at a place of it. `view` turns times into pixels: { from, to, width, x }.

const HARM_ROW = 13, TICKS = 8, PAD = 3;

/** The height of a lane's own picture, by its kind; harms above and ticks below come on top. */
function bodyOf(lane, wide) {
  switch (lane.kind) {
    case "deployment": return wide ? 70 : 20;
    case "node": return 22;
    case "client": return lane.works.length ? 18 : 4;
    case "store": return 20;
    case "member": return 18;
    default: return lane.reigns.length || lane.lags.length || lane.fates.length ? 16 : 8;
  }
}

function heightOf(lane, wide) {
  return PAD * 2 + lane.harmRows * HARM_ROW + bodyOf(lane, wide) + TICKS;
}

/** Text in a box, cut to what fits; nothing if next to nothing fits. */
function label(ctx, text, x, y, room) {
  if (room < 14) return;
  let shown = text;
  // about six pixels a letter: measured only when it may not fit
  if (text.length * 7 > room && ctx.measureText(text).width > room) {
    let letters = text.length;
    const whole = ctx.measureText(text).width;
    letters = Math.floor((letters * room) / whole) - 1;
    if (letters < 2) return;
    shown = text.slice(0, letters) + "…";
  }
  ctx.fillText(shown, x, y);
}

/** A filled span, on whole pixels so that neighbours leave no seam; gives where it can be seen. */
function box(ctx, view, from, to, y, height, least = 1) {
  const left = Math.round(Math.max(-2, view.x(from))), right = Math.round(Math.min(view.width + 2, view.x(to)));
  const width = Math.max(least, right - left);
  ctx.fillRect(left, y, width, height);
  return { left: Math.max(0, left), width: Math.max(0, Math.min(view.width, left + width) - Math.max(0, left)), end: left + width };
}

function visible(view, span) {
  return span.to >= view.from && span.from <= view.to;
}

/** What was done to a lane: a tint over all its height, and a strip that says what. */
function drawHarms(ctx, view, lane, y, height, colours) {
  const ends = [];
  for (const harm of lane.harms) {
    const top = y + PAD + harm.row * HARM_ROW;
    if (!visible(view, harm)) continue;
    ctx.fillStyle = colours[harm.kind];
    // who is dead or stands still is drawn so: a tint would say it twice
    if (harm.kind !== "death" && harm.kind !== "pause") {
      ctx.globalAlpha = 0.08;
      box(ctx, view, harm.from, harm.to, y, height, 2);
    }
    ctx.globalAlpha = 0.85;
    const drawn = box(ctx, view, harm.from, harm.to, top, 3, 3);
    ctx.globalAlpha = 1;
    (ends[harm.row] ||= []).push({ harm, drawn, top: top + 11 });
  }
  ctx.fillStyle = colours.ink;
  ends.forEach((row) => row.forEach(({ harm, drawn, top }, i) => {
    // a short harm may say what it is as far as the next one
    const next = row[i + 1] ? row[i + 1].drawn.left : view.width;
    if (next - drawn.left > 60) label(ctx, harm.what, drawn.left + 2, top, next - drawn.left - 6);
  }));
}

/** Down and paused, over the lane's own picture. */
function drawFates(ctx, view, lane, y, height, colours) {
  for (const fate of lane.fates) {
    if (!visible(view, fate)) continue;
    ctx.fillStyle = fate.state === "down" ? colours.down : colours.paused;
    const drawn = box(ctx, view, fate.from, fate.to, y, height, 3);
    if (drawn.width > 60) {
      ctx.fillStyle = colours.onDown;
      label(ctx, fate.why, drawn.left + 5, y + height / 2 + 4, drawn.width - 8);
    }
  }
}

function drawReigns(ctx, view, lane, y, height, colours) {
  for (const reign of lane.reigns) {
    if (!visible(view, reign)) continue;
    ctx.fillStyle = reign.term ? colours.leader : colours.lock;
    const drawn = box(ctx, view, reign.from, reign.to, y, height, 3);
    ctx.fillStyle = colours.onLeader;
    if (drawn.width > 24) label(ctx, reign.what, drawn.left + 5, y + height / 2 + 4, drawn.width - 8);
  }
}

/** The bar of a leader says its term. */
function leads(lane, term) {
  return lane.reigns.some((reign) => reign.term === term);
}

/** A member's term, where it changes: a thin line through its lane while it does not lead. */
function drawTerms(ctx, view, lane, y, height, colours) {
  ctx.fillStyle = colours.member;
  ctx.globalAlpha = 0.35;
  ctx.fillRect(0, y + height / 2, view.width, 1);
  ctx.globalAlpha = 1;
  let free = -Infinity;
  const first = Math.max(0, stepAt(lane.terms, view.from));
  for (let i = first; i < lane.terms.length && lane.terms[i].at <= view.to; i++) {
    const x = view.x(lane.terms[i].at), text = "t" + lane.terms[i].term;
    ctx.fillStyle = colours.member;
    if (x >= 0) ctx.fillRect(x, y, 1, height);
    const left = Math.max(0, x) + 3, room = ctx.measureText(text).width + 3;
    if (left < free || leads(lane, lane.terms[i].term)) continue;
    ctx.fillText(text, left, y + height / 2 - 2);
    free = left + room;
  }
}

function drawWorks(ctx, view, lane, y, height, colours) {
  const works = lane.works;
  let drawnTo = -1, drawnAs = "";
  const named = [];
  for (let i = 0; i < works.length && works[i].from <= view.to; i++) {
    const work = works[i];
    if (!visible(view, work)) continue;
    if (work.evidence) { named.push({ work, next: works[i + 1] }); continue; }
    const right = view.x(work.to);
    // what falls on a pixel that has this colour already need not be drawn
    if (right < drawnTo && drawnAs === work.outcome) continue;
    ctx.fillStyle = colours[work.outcome];
    ctx.globalAlpha = work.outcome === "unknown" ? 0.45 : 0.9;
    const drawn = box(ctx, view, work.from, work.to, y + 1, height - 2, 2);
    ctx.globalAlpha = 1;
    [drawnTo, drawnAs] = [Math.floor(drawn.end), work.outcome];
    ctx.fillStyle = colours.onWork;
    if (drawn.width > 30) label(ctx, work.short, drawn.left + 4, y + height / 2 + 4, drawn.width - 6);
  }
  for (const { work } of named) drawEvidence(ctx, view, work, y, height, colours);
}

/** An operation that evidence names is framed, and says what it is wherever there is room. */
function drawEvidence(ctx, view, work, y, height, colours) {
  ctx.fillStyle = colours[work.outcome];
  const drawn = box(ctx, view, work.from, work.to, y + 1, height - 2, 3);
  ctx.strokeStyle = colours.bad;
  ctx.lineWidth = 2;
  ctx.strokeRect(drawn.left, y + 1, Math.max(3, drawn.width), height - 2);
  ctx.lineWidth = 1;
  ctx.font = colours.bold;
  const size = ctx.measureText(work.short).width;
  let left = drawn.left + 5;
  if (size + 10 > drawn.width) {
    // beside it, on paper, to the side where there is room
    left = drawn.end + 5 + size < view.width ? drawn.end + 5 : drawn.left - size - 6;
    ctx.fillStyle = colours.paper;
    ctx.fillRect(left - 2, y + 1, size + 4, height - 2);
    ctx.fillStyle = colours.bad;
  } else {
    ctx.fillStyle = colours.onWork;
  }
  ctx.fillText(work.short, left, y + height / 2 + 4);
  ctx.font = colours.font;
}

/** Calls with each step that is seen and the time to which it lasts. */
function eachStep(view, steps, end, call) {
  for (let i = Math.max(0, stepAt(steps, view.from)); i < steps.length; i++) {
    if (steps[i].at > view.to) break;
    call(steps[i], i + 1 < steps.length ? steps[i + 1].at : end);
  }
}

/** A node's pods: how many are bound to it, and how many of them are ready. */
function drawPods(ctx, view, lane, y, height, end, colours) {
  const most = Math.max(4, ...lane.populations.map((one) => one.bound));
  const tall = (count) => (count / most) * height;
  let free = -Infinity;
  eachStep(view, lane.populations, end, (one, to) => {
    ctx.fillStyle = colours.pod;
    box(ctx, view, one.at, to, y + height - tall(one.bound), tall(one.bound), 0);
    ctx.fillStyle = colours.ready;
    const drawn = box(ctx, view, one.at, to, y + height - tall(one.ready), tall(one.ready), 0);
    if (drawn.width > 26 && drawn.left > free && one.bound > 0) {
      ctx.fillStyle = colours.ink;
      ctx.fillText(one.ready === one.bound ? `${one.bound}` : `${one.ready}/${one.bound}`, drawn.left + 4, y + height - 4);
      free = drawn.left + 26;
    }
  });
}

/** A deployment: pods that are available, between the bounds of its newest spec; and what its sets ask for. */
function drawRollout(ctx, view, lane, y, height, end, wide, colours) {
  const above = wide ? 16 : 0, floor = y + height, room = height - above;
  const most = Math.max(2, ...lane.rollouts.map((one) => Math.max(one.most, one.there, one.asked)));
  const level = (count) => floor - (count / most) * room;
  eachStep(view, lane.rollouts, end, (one, to) => {
    ctx.fillStyle = colours.bounds;
    box(ctx, view, one.at, to, level(one.most), level(one.least) - level(one.most), 0);
    ctx.fillStyle = colours.ready;
    box(ctx, view, one.at, to, level(one.available), floor - level(one.available), 0);
    if (one.available < one.least) {
      ctx.fillStyle = colours.lack;
      box(ctx, view, one.at, to, level(one.least), level(one.available) - level(one.least), 0);
    }
    ctx.fillStyle = colours.ink;
    box(ctx, view, one.at, to, level(one.asked) - 0.5, 1.5, 0);
    if (one.said === one.available) return;
    // what a controller goes by is not what is there
    ctx.fillStyle = colours.here;
    box(ctx, view, one.at, to, level(one.said) - 1, 2, 2);
  });
  if (wide) drawNumbers(ctx, view, lane, level, end, colours);
  if (wide) drawScalings(ctx, view, lane, y, height, colours);
}

function drawNumbers(ctx, view, lane, level, end, colours) {
  eachStep(view, lane.rollouts, end, (one, to) => {
    const left = Math.max(0, view.x(one.at)), room = Math.min(view.width, view.x(to)) - left;
    if (room < 80) return;
    const of = one.available < one.least ? `${one.available} of at least ${one.least}` : `${one.available} available`;
    const [x, y] = [left + 4, Math.min(level(0) - 4, level(one.available) + 12)];
    // lines may cross it: it stands on a halo of paper
    ctx.strokeStyle = colours.paper;
    ctx.lineWidth = 3;
    ctx.strokeText(of, x, y, room - 6);
    ctx.lineWidth = 1;
    ctx.fillStyle = colours.ink;
    ctx.fillText(of, x, y, room - 6);
  });
}

/** Which set was asked for how many pods, where there is room to say so; a tick where there is none. */
function drawScalings(ctx, view, lane, y, height, colours) {
  const seen = lane.scalings.filter((one) => one.at >= view.from && one.at <= view.to);
  const isMarked = (one) => lane.marks.some((mark) => Math.abs(mark - one.at) < 2e6);
  const textOf = (one) => `${one.set.slice(0, 5)}… ${one.from}→${one.to}`;
  // what a broken promise points at has its place whatever else there is
  const taken = seen.filter(isMarked).map((one) => [view.x(one.at), view.x(one.at) + ctx.measureText(textOf(one)).width + 16]);
  let free = -Infinity;
  for (const one of seen) {
    const x = view.x(one.at), marked = isMarked(one), text = textOf(one);
    const end = x + ctx.measureText(text).width + 10;
    const covered = taken.some(([from, to]) => from < end && to > x);
    const isSaid = marked || (x >= free && !covered);
    ctx.fillStyle = marked ? colours.bad : colours.dim;
    ctx.fillRect(x, y + (isSaid ? 2 : 12), marked ? 2 : 1, marked ? height - 2 : isSaid ? 13 : 3);
    if (!isSaid) continue;
    if (marked) ctx.font = colours.bold;
    ctx.fillText(text, x + 4, y + 10);
    ctx.font = colours.font;
    free = end;
  }
}

/** The store's revisions: a tick each, and numbers where there is room. */
function drawWrites(ctx, view, writes, y, height, colours) {
  ctx.fillStyle = colours.store;
  drawTicks(ctx, view, writes.at, y + height - 6, 6);
  let free = -Infinity;
  const first = lower(writes.at, view.from);
  for (let x = 0, i = first; i < writes.at.length && writes.at[i] <= view.to; i = lower(writes.at, view.time(x), i + 1)) {
    x = view.x(writes.at[i]);
    if (x < free) { x = free; continue; }
    const text = "@" + writes.list[i][1];
    ctx.fillText(text, x, y + height - 8);
    x = free = x + ctx.measureText(text).width + 12;
  }
}

/** A tick for each pixel on which something happened, the taller the more. */
function drawTicks(ctx, view, times, y, height) {
  let i = lower(times, view.from);
  while (i < times.length && times[i] <= view.to) {
    const x = Math.floor(view.x(times[i]));
    const next = Math.max(i + 1, lower(times, view.time(x + 1), i));
    const tall = Math.min(height, 2 + Math.log2(next - i));
    ctx.fillRect(x, y + height - tall, 1, tall);
    i = next;
  }
}

/** Caches that lag: a mark for each look at one, the taller the more changes it lacks. */
function drawLags(ctx, view, lane, y, height, colours) {
  ctx.fillStyle = colours.lag;
  const first = Math.max(0, stepAt(lane.lags, view.from));
  for (let i = first; i < lane.lags.length && lane.lags[i].at <= view.to; i++) {
    const tall = Math.min(height, 3 + 2 * Math.log2(lane.lags[i].behind));
    ctx.fillRect(view.x(lane.lags[i].at) - 1, y + height - tall, 2, tall);
  }
}

function drawLane(ctx, view, run, lane, y, height, wide, matches, colours) {
  drawHarms(ctx, view, lane, y, height, colours);
  const top = y + PAD + lane.harmRows * HARM_ROW, body = bodyOf(lane, wide);
  if (lane.kind === "member") drawTerms(ctx, view, lane, top, body, colours);
  if (lane.kind === "store") drawWrites(ctx, view, run.writes, top, body + TICKS, colours);
  if (lane.rollouts.length) drawRollout(ctx, view, lane, top, body + TICKS - 2, run.end, wide, colours);
  if (lane.populations.length) drawPods(ctx, view, lane, top, body, run.end, colours);
  drawReigns(ctx, view, lane, top, body, colours);
  drawWorks(ctx, view, lane, top, body, colours);
  drawLags(ctx, view, lane, top, body, colours);
  drawFates(ctx, view, lane, top, body, colours);
  ctx.fillStyle = matches ? colours.faint : colours.tick;
  drawTicks(ctx, view, run.events.laneAt[lane.index], top + body + 1, TICKS - 2);
  if (!matches) return;
  ctx.fillStyle = colours.here;
  drawTicks(ctx, view, matches.laneAt[lane.index], top + body - 1, TICKS);
}

/** What is at a time of a lane, in lines. `near`: how far beside it still counts, as time. */
function saidOf(run, lane, time, near) {
  const at = (span) => span.from - near <= time && span.to + near >= time;
  const lines = [];
  for (const work of lane.works.filter(at).slice(0, 6)) lines.push(work.whole);
  for (const fate of lane.fates.filter(at)) lines.push(`${fate.state}: ${fate.why}, ${seconds(fate.from)} to ${seconds(fate.to)}`);
  for (const reign of lane.reigns.filter(at)) lines.push(`${reign.what}, ${seconds(reign.from)} to ${seconds(reign.to)}`);
  const term = lane.terms[stepAt(lane.terms, time)];
  if (term) lines.push(`in term ${term.term}`);
  for (const harm of lane.harms.filter(at)) lines.push(`harm: ${harm.what}, ${seconds(harm.from)} to ${seconds(harm.to)}; ${harm.did}`);
  return lines.concat(saidOfObjects(run, lane, time, near));
}

function saidOfObjects(run, lane, time, near) {
  const lines = [];
  const rollout = lane.rollouts[stepAt(lane.rollouts, time)];
  if (rollout) {
    const said = rollout.said === rollout.available ? "" : `, ${rollout.said} by the status of its sets`;
    lines.push(`${rollout.available} pods available${said}; at least ${rollout.least}, by the newest spec`);
    lines.push(`${rollout.wanted} wanted, ${rollout.asked} asked for by its sets, ${rollout.there} there; at most ${rollout.most}`);
  }
  for (const one of lane.scalings.filter((one) => Math.abs(one.at - time) <= near).slice(0, 5)) {
    lines.push(`set ${one.set}: ${one.from} → ${one.to} at ${seconds(one.at)}`);
  }
  const pods = lane.pods.filter((pod) => pod.from <= time && pod.to > time);
  if (lane.populations.length) lines.push(`${pods.length} pods`);
  for (const pod of pods.slice(0, 12)) {
    lines.push(`${pod.ready.some(([from, to]) => from <= time && to > time) ? "ready" : "not ready"}: ${pod.name}`);
  }
  for (const lag of lane.lags.filter((lag) => Math.abs(lag.at - time) <= near).slice(0, 6)) {
    lines.push(`cache of ${lag.resource} lacks ${lag.behind} changes at ${seconds(lag.at)}`);
  }
  if (lane.kind === "store") {
    const { at, list } = run.writes;
    const last = lower(at, time + near + 1) - 1;
    for (let i = last; i >= 0 && i > last - 6; i--) lines.push(`revision ${list[i][1]} at ${seconds(at[i])}: ${list[i][2]}`);
  }
  return lines;
}

