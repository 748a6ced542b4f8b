// The events of a lane, or of all, as a list. Only rows in sight exist.

const ROW = 20;

/** `show(event)` is called with the event of a row that is clicked. */
function makeList(parent, space, rows, show) {
  const list = { parent, space, rows, run: null, positions: null, only: null, cursor: 0 };
  parent.addEventListener("scroll", () => drawList(list));
  rows.addEventListener("click", (clicked) => {
    const row = clicked.target.closest("[data-event]");
    if (row) show(Number(row.dataset.event));
  });
  return list;
}

/** Shows these events: positions of `run`, or all of them if null. */
function fillList(list, run, positions, only) {
  Object.assign(list, { run, positions, only });
  list.space.style.height = countOf(list) * ROW + "px";
  drawList(list);
}

function countOf(list) {
  return list.positions ? list.positions.length : list.run.events.count;
}

function eventOf(list, row) {
  return list.positions ? list.positions[row] : row;
}

/** The row of the first event at or after a time. */
function rowAt(list, time) {
  let low = 0, high = countOf(list);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list.run.events.at[eventOf(list, middle)] < time) low = middle + 1; else high = middle;
  }
  return low;
}

function scrollTo(list, time) {
  const row = rowAt(list, time);
  list.cursor = time;
  list.parent.scrollTop = Math.max(0, row * ROW - list.parent.clientHeight / 3);
  drawList(list);
}

function drawList(list) {
  if (!list.run) return;
  const { events, lanes } = list.run;
  const first = Math.floor(list.parent.scrollTop / ROW);
  const count = Math.min(countOf(list) - first, Math.ceil(list.parent.clientHeight / ROW) + 1);
  const here = rowAt(list, list.cursor);
  const made = [];
  for (let row = first; row < first + count; row++) {
    const event = eventOf(list, row);
    const line = element("div", row === here ? "row here" : "row");
    line.dataset.event = event;
    line.append(element("span", "time", (events.at[event] / 1e9).toFixed(4)));
    if (!list.only) line.append(element("span", "who", lanes[events.lane[event]].name));
    line.append(element("span", "kind", events.kinds[events.kind[event]]), element("span", "text", events.texts[events.text[event]]));
    made.push(line);
  }
  list.rows.style.transform = `translateY(${first * ROW}px)`;
  list.rows.replaceChildren(...made);
}

