// The data made ready for drawing: absolute times in typed arrays, and everything grouped by lane.

/** The first position in a sorted array whose value is at least `value`. */
function lower(sorted, value, from = 0) {
  let low = from, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}

/** The last of a lane's steps that is at or before a time, or -1. */
function stepAt(steps, time) {
  let low = 0, high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle].at <= time) low = middle + 1; else high = middle;
  }
  return low - 1;
}

function seconds(time) {
  return (time / 1e9).toFixed(3) + " s";
}

/** Events as typed arrays, with the positions of each lane's own. */
function readEvents(columns, laneCount) {
  const count = columns.since.length;
  const at = new Float64Array(count);
  const from = new Int32Array(count).fill(-1);
  const messages = new Uint32Array(columns.messages.length);
  let time = 0, number = 0;
  columns.since.forEach((since, i) => { at[i] = time += since; });
  columns.messages.forEach(([since, sender], i) => {
    messages[i] = number += since;
    from[number] = sender;
  });
  const lane = Uint32Array.from(columns.lane);
  const positions = Array.from({ length: laneCount }, () => []);
  lane.forEach((one, i) => positions[one].push(i));
  return {
    count, at, from, messages, lane,
    kind: Uint32Array.from(columns.kind), kinds: columns.kinds,
    text: Uint32Array.from(columns.text), texts: columns.texts,
    messageAt: Float64Array.from(messages, (i) => at[i]),
    ofLane: positions.map((list) => Uint32Array.from(list)),
    laneAt: positions.map((list) => Float64Array.from(list, (i) => at[i])),
  };
}

/** Puts harms that overlap on a lane into rows of their own, of which there are few. */
function rowsOf(harms) {
  const MOST = 3, ends = [];
  for (const harm of harms) {
    let row = ends.findIndex((end) => end <= harm.from);
    if (row < 0) row = ends.length < MOST ? ends.length : MOST - 1;
    ends[row] = Math.max(harm.to, ends[row] || 0);
    harm.row = row;
  }
  return ends.length;
}

function readRun(raw) {
  const group = (list) => {
    const lanes = raw.lanes.map(() => []);
    for (const one of list) lanes[one.lane].push(one);
    return lanes;
  };
  const groups = {
    fates: group(raw.fates), reigns: group(raw.reigns), terms: group(raw.terms),
    works: group(raw.operations), pods: group(raw.pods), populations: group(raw.populations),
    rollouts: group(raw.rollouts), scalings: group(raw.scalings), lags: group(raw.lags),
  };
  const harms = raw.lanes.map(() => []);
  for (const harm of raw.harms) for (const lane of harm.lanes) harms[lane].push({ ...harm });
  const lanes = raw.lanes.map((lane, index) => {
    const own = { ...lane, index, harms: harms[index], harmRows: rowsOf(harms[index]) };
    for (const name of Object.keys(groups)) own[name] = groups[name][index];
    return own;
  });
  const writes = { at: Float64Array.from(raw.writes, (write) => write[0]), list: raw.writes };
  const events = readEvents(raw.events, lanes.length);
  return {
    title: raw.title, end: raw.end, healed: raw.healed, places: raw.places,
    lanes, writes, events, threads: threadsOf(lanes, events),
  };
}

/** The message that asked and the one that answered, of each operation that evidence names. */
function threadsOf(lanes, events) {
  const threads = [];
  const carries = (event) => !events.texts[events.text[event]].endsWith(", 0 bytes");
  const add = (event) => threads.push({ at: events.at[event], from: events.from[event], to: events.lane[event] });
  for (const lane of lanes) for (const work of lane.works.filter((one) => one.evidence)) {
    let first = lower(events.messageAt, work.from), last = lower(events.messageAt, work.to + 1) - 1;
    const end = last, begin = first;
    const asks = (event) => events.from[event] === lane.index && carries(event);
    const answers = (event) => events.lane[event] === lane.index && carries(event);
    while (first <= end && !asks(events.messages[first])) first++;
    while (last >= begin && !answers(events.messages[last])) last--;
    if (first <= end) add(events.messages[first]);
    if (last >= begin && work.outcome === "done") add(events.messages[last]);
  }
  return threads;
}

/** Positions of events whose line contains the text, in all and by lane; null without a text. */
function matching(run, text) {
  if (!text) return null;
  const wanted = text.toLowerCase();
  const holds = (word) => word.toLowerCase().includes(wanted);
  const events = run.events;
  const texts = events.texts.map(holds), kinds = events.kinds.map(holds);
  const lanes = run.lanes.map((lane) => holds(lane.name));
  const all = [], ofLane = run.lanes.map(() => []);
  for (let i = 0; i < events.count; i++) {
    if (texts[events.text[i]] || kinds[events.kind[i]] || lanes[events.lane[i]]) {
      all.push(i);
      ofLane[events.lane[i]].push(i);
    }
  }
  return { all, ofLane, laneAt: ofLane.map((list) => Float64Array.from(list, (i) => events.at[i])) };
}

