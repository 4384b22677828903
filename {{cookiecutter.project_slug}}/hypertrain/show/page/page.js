// Draws the pictures and the table of a report from the data in it, and links them.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { trials, params, metric } = data;
  const every = [...trials.name.keys()];
  const scored = every.filter((i) => trials.value[i] !== null);
  const best = new Set(data.best);
  const narrow = matchMedia("(max-width: 700px)").matches;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const byId = (id) => document.getElementById(id);

  // Words

  const say = (value) => {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    return Number.isInteger(value) ? String(value) : String(+value.toPrecision(4));
  };
  const short = (value, most = 22) => {
    const text = say(value);
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  };
  const took = (seconds) => {
    if (seconds === null) return "";
    if (seconds < 60) return `${seconds.toFixed(1)}s`;
    const whole = Math.round(seconds);
    const two = (number) => String(number).padStart(2, "0");
    if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
    return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
  };
  const valueOf = (p, i) => {
    const value = p.values[i];
    return value === null || p.scale !== "category" ? value : p.kinds[value];
  };
  const about = (i) => [
    `trial ${trials.name[i]}, ${trials.state[i]}`,
    ...(metric ? [`${metric.name} ${say(trials.value[i])}`] : []),
    ...params.slice(0, 10).map((p) => `${p.name} ${short(valueOf(p, i), 40)}`),
  ].join("\n");

  // Looks

  const theme = { night: false };
  const colours = () => (theme.night
    ? { text: "#e6edf3", soft: "#9198a1", line: "#3d444d", ground: "#151b23", rest: "#30363d", mark: "#ff9f5a" }
    : { text: "#1c2128", soft: "#59636e", line: "#d1d9e0", ground: "#ffffff", rest: "#d8dee4", mark: "#d4580f" });
  const STATE = { completed: "#3b7dd8", finished: "#3b7dd8", stopped: "#d29922", failed: "#d1434b", running: "#8b949e" };
  const BEST = "#2da44e";
  const SCALE = ["#482475", "#31688e", "#21918c", "#5ec962", "#fde725"];
  const axis = (type, name, more = {}) => ({
    type, name, nameLocation: "middle", nameGap: 28, scale: true,
    nameTextStyle: { color: colours().text }, axisLine: { show: true, lineStyle: { color: colours().line } },
    axisTick: { show: true, lineStyle: { color: colours().line } }, splitLine: { show: type !== "category", lineStyle: { color: colours().line } },
    axisLabel: { color: colours().soft, hideOverlap: true, formatter: (value) => short(value, 16) },
    ...more,
  });
  const base = (more, told) => ({
    animation: false, backgroundColor: "transparent", textStyle: { fontFamily: "system-ui, sans-serif", color: colours().text },
    aria: { enabled: true },
    tooltip: {
      renderMode: "richText", confine: true, backgroundColor: colours().ground, borderColor: colours().line,
      textStyle: { color: colours().text, fontSize: 12 }, formatter: told,
    },
    grid: { left: 12, right: 16, top: 16, bottom: 30, containLabel: true },
    ...more,
  });

  // Charts, and what links them: one selection and one marked trial, which all of them show

  const charts = new Map(); // name of the element -> chart
  const onSelect = new Map(), onMark = new Map();
  const resized = new ResizeObserver((entries) => entries.forEach((entry) => {
    const chart = charts.get(entry.target.id);
    if (chart && (chart.getWidth() !== entry.target.clientWidth || chart.getHeight() !== entry.target.clientHeight)) chart.resize();
  }));
  const draw = (id, option, height, told) => {
    const element = byId(id);
    if (height) element.style.height = `${height}px`;
    charts.get(id)?.dispose();
    const chart = echarts.init(element);
    charts.set(id, chart);
    chart.setOption(base(option, told));
    resized.observe(element);
    return chart;
  };

  const state = { query: "", brushed: null, boxed: null, sort: null, down: true, shown: 100 };
  let selection = every, waiting = 0, marked = null;
  const isWhole = () => !state.brushed && !state.boxed && !state.query;
  const select = () => {
    selection = every.filter((i) => (!state.brushed || state.brushed.has(i)) && (!state.boxed || state.boxed.has(i)) && matches(i));
    fill();
    const inside = new Set(selection);
    onSelect.forEach((show) => show(inside));
  };
  const selectSoon = () => { clearTimeout(waiting); waiting = setTimeout(select, 80); };
  const mark = (i) => {
    if (i === marked) return;
    marked = i;
    onMark.forEach((show) => show(i));
    document.querySelectorAll("tr.mark").forEach((row) => row.classList.remove("mark"));
    if (i !== null) document.querySelector(`tr[data-trial="${i}"]`)?.classList.add("mark");
  };

  // A scatter of trials, linked: `at` gives a trial's place
  const LAYERS = [
    ["rest", () => colours().rest, (i, inside) => !inside.has(i)],
    ["trials", () => STATE.completed, (i, inside) => inside.has(i) && !best.has(i) && trials.state[i] !== "stopped"],
    ["stopped", () => STATE.stopped, (i, inside) => inside.has(i) && !best.has(i) && trials.state[i] === "stopped"],
    ["best", () => BEST, (i, inside) => inside.has(i) && best.has(i)],
  ];
  const layers = (at, inside) => LAYERS.map(([id, colour, belongs], depth) => ({
    id, name: id, type: "scatter", symbolSize: id === "best" ? 9 : 6, large: scored.length > 1000, largeThreshold: 1000, progressive: 0, z: depth + 2,
    itemStyle: { color: colour(), opacity: id === "rest" ? 0.6 : 0.8 },
    data: scored.flatMap((i) => (belongs(i, inside) ? [[...at(i), i]] : [])),
  }));
  const linked = (id, option, at, others = [], height) => {
    const box = { toolbox: [], xAxisIndex: 0, brushMode: "single", outOfBrush: { colorAlpha: 1 }, brushStyle: { color: "rgba(59,125,216,.12)", borderColor: STATE.completed } };
    const chart = draw(id, { ...option, brush: box, toolbox: { show: false }, series: [...others, ...layers(at, new Set(selection))] }, height, (point) => (point.value?.length > 2 ? about(point.value[2]) : ""));
    // It draws the chart anew, so only where somebody is about to brush.
    const takeBrush = () => charts.get(id).dispatchAction({ type: "takeGlobalCursor", key: "brush", brushOption: { brushType: "rect", brushMode: "single" } });
    if (!narrow) chart.getDom().addEventListener("pointerenter", takeBrush, { once: true });
    const ring = new echarts.graphic.Circle({ shape: { r: 9 }, style: { fill: "none", stroke: colours().mark, lineWidth: 2.5 }, silent: true, invisible: true, z: 99 });
    chart.getZr().add(ring);
    chart.on("mouseover", (event) => { if (event.value?.length > 2) mark(event.value[2]); });
    chart.on("mouseout", () => mark(null));
    chart.on("brushEnd", (event) => {
      const [area] = event.areas;
      if (!area?.coordRange) { state.boxed = null; return selectSoon(); }
      const [[low, high], [bottom, top]] = area.coordRange;
      state.boxed = new Set(scored.filter((i) => { const [x, y] = at(i); return x >= low && x <= high && y >= bottom && y <= top; }));
      return selectSoon();
    });
    onSelect.set(id, (inside) => {
      chart.setOption({ series: layers(at, inside) });
      if (isWhole()) chart.dispatchAction({ type: "brush", areas: [] });
    });
    onMark.set(id, (i) => {
      const place = i === null || trials.value[i] === null ? null : chart.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, at(i));
      ring.attr(place && place.every(Number.isFinite) ? { invisible: false, x: place[0], y: place[1] } : { invisible: true });
    });
  };

  const better = (a, b) => (metric.goal === "maximize" ? a > b : a < b);
  const drawHistory = () => {
    const order = [...scored].sort((a, b) => (trials.ended[a] ?? 0) - (trials.ended[b] ?? 0) || Number(trials.name[a]) - Number(trials.name[b]));
    const ranks = new Map(order.map((i, place) => [i, place + 1]));
    let record = null;
    const steps = order.map((i, place) => {
      record = record === null || better(trials.value[i], record) ? trials.value[i] : record;
      return [place + 1, record];
    });
    const line = { id: "record", type: "line", step: "end", symbol: "none", silent: true, data: steps, lineStyle: { color: BEST, width: 2 }, z: 1 };
    linked("history", { xAxis: axis("value", "trials that ended", { minInterval: 1 }), yAxis: axis("value", metric.name, { nameLocation: "end", nameGap: 6, nameTextStyle: { color: colours().text, align: "left" } }), grid: { left: 12, right: 16, top: 30, bottom: 30, containLabel: true } },
      (i) => [ranks.get(i), trials.value[i]], [line], 330);
  };

  const shownSlices = () => params.slice(0, state.slices);
  state.slices = 12;
  const drawSlices = () => {
    const room = byId("slices");
    shownSlices().forEach((p, place) => {
      const id = `slice-${place}`;
      if (!byId(id)) {
        const element = document.createElement("div");
        element.id = id;
        element.className = "plot";
        element.setAttribute("role", "img");
        element.setAttribute("aria-label", `${metric.name} over ${p.name}`);
        room.append(element);
      }
      const told = short(p.name, 34);
      const x = p.scale === "category"
        ? axis("category", told, { data: p.kinds.map(say), jitter: 18, axisLabel: { color: colours().soft, hideOverlap: true, formatter: (value) => short(value, 12) } })
        : axis(p.scale === "log" ? "log" : "value", told);
      linked(id, { xAxis: x, yAxis: axis("value", "") }, (i) => [p.values[i] ?? NaN, trials.value[i]], [], 240);
    });
    byId("all-slices").hidden = params.length <= state.slices;
  };

  const AXES = narrow ? 4 : 9;
  const shownAxes = new Set(params.slice(0, AXES).map((p) => p.name));
  const drawCoordinates = () => {
    const dims = params.filter((p) => shownAxes.has(p.name));
    byId("coordinates").style.minWidth = `${Math.max(320, (dims.length + 1) * 80)}px`;
    const parallelAxis = dims.map((p, dim) => ({
      dim, name: short(p.name, 14), type: p.scale === "category" ? "category" : p.scale === "log" ? "log" : "value",
      ...(p.scale === "category" ? { data: p.kinds.map(say) } : {}),
    }));
    parallelAxis.push({ dim: dims.length, name: short(metric.name, 14), type: "value" });
    const values = scored.map((i) => trials.value[i]);
    const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    let order = [];
    const lines = (inside) => {
      order = scored.filter((i) => inside.has(i));
      return order.map((i) => [...dims.map((p) => (p.values[i] === null ? NaN : p.values[i])), trials.value[i]]);
    };
    const rest = new Set(every.filter((i) => (!state.boxed || state.boxed.has(i)) && matches(i)));
    const chart = draw("coordinates", {
      parallel: { left: 44, right: 54, top: 34, bottom: 26, parallelAxisDefault: {
        ...axis("value", ""), nameLocation: "end", nameGap: 14, splitLine: { show: false }, nameTextStyle: { color: colours().text, fontSize: 12 },
        axisLabel: { color: colours().text, hideOverlap: true, formatter: (value) => short(value, 12), textBorderColor: colours().ground, textBorderWidth: 2 },
        areaSelectStyle: { width: 22, color: STATE.completed, opacity: 0.25, borderColor: STATE.completed },
      } },
      parallelAxis,
      visualMap: { show: false, min: low, max: high > low ? high : low + 1, dimension: dims.length, inRange: { color: metric.goal === "maximize" ? SCALE : [...SCALE].reverse() } },
      tooltip: { show: false },
      series: [{ id: "trials", type: "parallel", progressive: 0, lineStyle: { width: scored.length > 300 ? 1 : 1.6, opacity: scored.length > 1000 ? 0.25 : 0.7 }, inactiveOpacity: 0.04, activeOpacity: 0.9, data: lines(rest) }],
    }, 380);
    chart.on("axisareaselected", () => {
      const series = chart.getModel().getSeriesByIndex(0);
      const active = series.getRawIndicesByActiveState("active");
      const free = chart.getModel().findComponents({ mainType: "parallelAxis" }).every((one) => !one.activeIntervals.length);
      state.brushed = free ? null : new Set(active.map((place) => order[place]));
      selectSoon();
    });
    chart.on("mouseover", (event) => { if (event.seriesType === "parallel") mark(order[event.dataIndex]); });
    chart.on("mouseout", () => mark(null));
    let before = "";
    onSelect.set("coordinates", () => {
      const kept = every.filter((i) => (!state.boxed || state.boxed.has(i)) && matches(i));
      if (before !== (before = kept.length === every.length ? "" : kept.join())) chart.setOption({ series: [{ id: "trials", data: lines(new Set(kept)) }] });
    });
  };
  const offerAxes = () => {
    for (const p of params.length > 1 ? params : []) {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = shownAxes.has(p.name);
      box.addEventListener("change", () => {
        if (box.checked) shownAxes.add(p.name); else shownAxes.delete(p.name);
        state.brushed = null;
        drawCoordinates();
        selectSoon();
      });
      label.append(box, ` ${p.name}`);
      byId("axes").append(label);
    }
  };

  const drawImportance = () => {
    const bars = [...data.importance.filter((one) => !one.dummy).slice(0, 30), ...data.importance.filter((one) => one.dummy)].reverse();
    const seen = (one) => !one.dummy && one.share > one.chance;
    const whisker = (_, api) => {
      const [from, to] = [api.coord([api.value(1), api.value(0)]), api.coord([api.value(2), api.value(0)])];
      const style = { stroke: colours().soft, lineWidth: 1.2 };
      const tick = (at) => ({ type: "line", shape: { x1: at[0], x2: at[0], y1: at[1] - 4, y2: at[1] + 4 }, style });
      return { type: "group", children: [{ type: "line", shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }, style }, tick(from), tick(to)] };
    };
    const told = ({ dataIndex }) => {
      const one = bars[dataIndex];
      return `${one.name}: ${say(one.share)}\n95 % interval ${say(one.low)} to ${say(one.high)}\nchance alone stays below ${say(one.chance)}${seen(one) ? "" : "\nno visible effect"}`;
    };
    draw("importance", {
      xAxis: axis("value", "share of the importance", { min: 0, scale: false }),
      yAxis: axis("category", "", { data: bars.map((one) => one.name), axisLabel: { color: colours().text, formatter: (value) => short(value, 26) } }),
      series: [
        { type: "bar", barMaxWidth: 16, data: bars.map((one) => ({ value: one.share, itemStyle: { color: seen(one) ? STATE.completed : "#8b949e" } })) },
        { type: "custom", renderItem: whisker, data: bars.map((one, k) => [k, one.low, one.high]), encode: { x: [1, 2], y: 0 }, silent: true, z: 5 },
        { type: "scatter", symbol: "rect", symbolSize: [3, 18], itemStyle: { color: colours().mark }, data: bars.map((one, k) => [one.chance, k]), silent: true, z: 6 },
      ],
    }, 80 + 26 * bars.length, told);
  };

  const drawCurves = () => {
    const named = data.curves.filter((curve) => !curve.stopped).map((curve) => `trial ${curve.trial}`);
    draw("curves", {
      legend: { data: named, bottom: 0, textStyle: { color: colours().text }, type: "scroll" },
      grid: { left: 12, right: 16, top: 30, bottom: 54, containLabel: true },
      xAxis: axis("value", "logged values", { minInterval: 1, nameGap: 24 }),
      yAxis: axis("value", metric.name, { nameLocation: "end", nameGap: 6, nameTextStyle: { color: colours().text, align: "left" } }),
      color: [BEST, "#3b7dd8", "#a371f7", "#e16f24", "#1b9e9e"],
      series: data.curves.map((curve) => ({
        type: "line", name: curve.stopped ? `trial ${curve.trial}, stopped` : `trial ${curve.trial}`, data: curve.x.map((x, k) => [x, curve.y[k]]),
        showSymbol: curve.x.length === 1, symbolSize: 6, z: curve.stopped ? 1 : 2,
        lineStyle: curve.stopped ? { color: STATE.stopped, width: 1, opacity: 0.55 } : { width: 2 }, ...(curve.stopped ? { itemStyle: { color: STATE.stopped } } : {}),
      })),
    }, 330);
  };

  const drawTimeline = () => {
    const seen = every.filter((i) => trials.begun[i] !== null);
    const worker = (i) => (data.hosts.length > 1 ? `${trials.host[i]} ${trials.worker[i] ?? ""}` : `worker ${trials.worker[i] ?? "?"}`);
    const workers = [...new Set(seen.map(worker))].sort();
    const rows = new Map(workers.map((name, row) => [name, row]));
    const kinds = [...new Set(seen.map((i) => trials.state[i]))];
    const bar = (_, api) => {
      const [from, to] = [api.coord([api.value(0), api.value(2)]), api.coord([api.value(1), api.value(2)])];
      return { type: "rect", shape: { x: from[0], y: from[1] - 8, width: Math.max(to[0] - from[0] - 0.5, 1), height: 16 }, style: { fill: api.visual("color") } };
    };
    const chart = draw("timeline", {
      legend: { data: kinds, top: 0, textStyle: { color: colours().text } },
      grid: { left: 12, right: 16, top: 36, bottom: 12, containLabel: true },
      xAxis: axis("time", "", { axisLabel: { color: colours().soft, hideOverlap: true } }),
      yAxis: axis("category", "", { data: workers, axisLabel: { color: colours().text, formatter: (value) => short(value, 24) } }),
      series: kinds.map((kind) => ({
        type: "custom", name: kind, renderItem: bar, clip: true, progressive: 0, itemStyle: { color: STATE[kind] || "#8b949e" }, encode: { x: [0, 1], y: 2 },
        data: seen.filter((i) => trials.state[i] === kind).map((i) => [trials.begun[i] * 1000, (trials.ended[i] ?? data.written) * 1000, rows.get(worker(i)), i]),
      })),
    }, 84 + 26 * workers.length, ({ value }) => `${about(value[3])}\n${took(trials.seconds[value[3]])}`);
    chart.on("mouseover", (event) => mark(event.value?.[3] ?? null));
    chart.on("mouseout", () => mark(null));
  };

  // The table

  const columns = [
    { heading: "trial", text: (i) => trials.name[i] + (trials.older[i] ? "*" : ""), value: (i) => (Number.isNaN(Number(trials.name[i])) ? trials.name[i] : Number(trials.name[i])), number: true },
    ...(metric ? [{ heading: metric.name, text: (i) => say(trials.value[i]), value: (i) => trials.value[i], number: true }] : []),
    ...params.map((p) => ({
      heading: p.name, text: (i) => say(valueOf(p, i)), value: (i) => valueOf(p, i),
      number: (p.kinds || p.values).every((value) => value === null || typeof value === "number"),
    })),
    { heading: "time", text: (i) => took(trials.seconds[i]), value: (i) => trials.seconds[i], number: true },
    { heading: "state", text: (i) => trials.state[i] + (trials.note[i] ? `: ${trials.note[i]}` : ""), value: (i) => trials.state[i] },
  ];
  const TERM = /^(.+?)(<=|>=|!=|=|<|>)(.*)$/;
  const COMPARE = {
    "=": (a, b) => a === b, "!=": (a, b) => a !== b, "<": (a, b) => a < b,
    ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b,
  };
  let asked = [];
  const terms = () => state.query.trim().split(/\s+/).filter(Boolean).map((word) => {
    const parts = TERM.exec(word);
    const column = parts && columns.find((one) => one.heading.toLowerCase() === parts[1].toLowerCase());
    return column ? { column, compare: COMPARE[parts[2]], than: parts[3] } : { word: word.toLowerCase() };
  });
  const matches = (i) => asked.every((term) => {
    if (term.word !== undefined) return columns.some((column) => column.text(i).toLowerCase().includes(term.word));
    const value = term.column.value(i);
    if (typeof value === "number") return term.than !== "" && term.compare(value, Number(term.than));
    return value !== null && term.compare(term.column.text(i).toLowerCase(), term.than.toLowerCase());
  });
  const sorted = () => {
    if (state.sort === null) return selection;
    const { value } = columns[state.sort];
    const sign = state.down ? -1 : 1;
    const known = selection.filter((i) => value(i) !== null);
    known.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (typeof x === "number" && typeof y === "number") return sign * (x - y);
      return sign * say(x).localeCompare(say(y));
    });
    return [...known, ...selection.filter((i) => value(i) === null)];
  };
  const fill = () => {
    const order = sorted();
    byId("trials").tBodies[0].replaceChildren(...order.slice(0, state.shown).map((i) => {
      const row = document.createElement("tr");
      row.dataset.trial = i;
      row.tabIndex = 0;
      row.className = best.has(i) ? "best" : trials.state[i] === "failed" ? "failed" : "";
      for (const column of columns) {
        const cell = row.insertCell();
        cell.textContent = column.text(i);
        if (cell.textContent.length > 30) cell.title = cell.textContent;
        if (column.number) cell.className = "number";
      }
      return row;
    }));
    const told = selection.length === every.length ? `${every.length} trials` : `${selection.length} of ${every.length} trials`;
    byId("told").textContent = order.length > state.shown ? `${told}, the first ${state.shown} shown` : told;
    byId("more").hidden = order.length <= state.shown;
    byId("clear").hidden = isWhole();
  };
  const makeTable = () => {
    const table = byId("trials");
    const head = table.createTHead().insertRow();
    columns.forEach((column, place) => {
      const cell = document.createElement("th");
      const button = document.createElement("button");
      cell.scope = "col";
      if (column.number) cell.className = "number";
      button.textContent = column.heading;
      button.addEventListener("click", () => {
        state.down = state.sort === place ? !state.down : column.heading === metric?.name && metric.goal === "maximize";
        state.sort = place;
        for (const other of head.cells) other.removeAttribute("aria-sort");
        cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
        fill();
      });
      cell.append(button);
      head.append(cell);
    });
    const body = table.createTBody();
    const enter = (event) => { const row = event.target.closest("tr[data-trial]"); if (row) mark(Number(row.dataset.trial)); };
    body.addEventListener("mouseover", enter);
    body.addEventListener("focusin", enter);
    body.addEventListener("mouseleave", () => mark(null));
    body.addEventListener("focusout", () => mark(null));
    byId("filter").addEventListener("input", (event) => { state.query = event.target.value; asked = terms(); selectSoon(); });
    byId("more").addEventListener("click", () => { state.shown *= 10; fill(); });
    byId("clear").addEventListener("click", () => {
      Object.assign(state, { query: "", brushed: null, boxed: null });
      asked = [];
      byId("filter").value = "";
      if (byId("coordinates")) drawCoordinates();
      selectSoon();
    });
    fill();
  };

  const PICTURES = { history: drawHistory, curves: drawCurves, coordinates: drawCoordinates, importance: drawImportance, slices: drawSlices, timeline: drawTimeline };
  const drawAll = (night) => {
    theme.night = night;
    for (const [id, picture] of Object.entries(PICTURES)) if (byId(id)) picture();
    charts.forEach((chart) => chart.getZr().flush());
  };
  if (every.length) makeTable();
  byId("copy")?.addEventListener("click", () => navigator.clipboard?.writeText(byId("command").textContent));
  byId("all-slices")?.addEventListener("click", () => { state.slices = params.length; drawSlices(); });
  if (byId("axes")) offerAxes();
  drawAll(dark.matches);
  dark.addEventListener("change", () => drawAll(dark.matches));
  addEventListener("beforeprint", () => drawAll(false));
  addEventListener("afterprint", () => drawAll(dark.matches));
  document.documentElement.dataset.drawn = Math.round(performance.now());
})();
