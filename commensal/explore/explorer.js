"use strict";
// One front end for the shared page, whose numbers are inside it, and for the live one, which asks
// the program that serves it. No framework, no network beyond that program.

const DATA = JSON.parse(document.getElementById("data").textContent);
const STATUS = ["limit", "unstable", "untrusted", "biased"];
const SVG = "http://www.w3.org/2000/svg";
const CIVIDIS = ["#00224e", "#12356f", "#3b496c", "#575d6d", "#6f7173", "#8a8678", "#a59c74", "#c3b369",
  "#e1cc55", "#fee838"];
// six steps below 1 and six above, finer near 1
const GROWTH = [0, 0.25, 0.5, 0.75, 0.9, 0.98, 1, 1.01, 1.05, 1.2, 1.5, 2];
const RED_BLUE = ["#05305f", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#eef4f8",
  "#fbeee7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f"];
const LINES = ["var(--line-1)", "var(--line-2)", "var(--line-3)", "var(--line-4)", "var(--line-5)",
  "var(--line-6)"];
const DASHES = ["", "7 4", "2 3", "9 3 2 3", "4 2", "1 4"];

// ---- light and dark ------------------------------------------------------------------------------

// The system's choice, or inside a page of the documentation that page's, which has a switch.
function follow(scheme = matchMedia("(prefers-color-scheme: dark)")) {
  const root = document.documentElement;
  let outside = null;
  try {
    outside = window.parent === window ? null : window.parent.document.documentElement;
  } catch { /* a page of another site, whose choice is its own */ }
  const look = () => { root.dataset.scheme = outside?.dataset.theme ?? (scheme.matches ? "dark" : "light"); };
  scheme.addEventListener("change", look);
  if (outside) new MutationObserver(look).observe(outside, { attributeFilter: ["data-theme"] });
  look();
}
follow();

// ---- small tools --------------------------------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const inside = ["svg", "g", "path", "line", "text", "circle", "rect", "defs", "pattern", "tspan"];
  const element = inside.includes(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function number(value, digits = 3) {
  if (value === null || Number.isNaN(value)) return "not defined";
  if (!Number.isFinite(value)) return "unbounded";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-4) {
    const [mantissa, power] = value.toExponential(digits - 1).split("e");
    const raised = String(Number(power)).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻");
    return `${Number(mantissa)} × 10${raised}`;
  }
  return String(Number(value.toPrecision(digits)));
}

const percent = (share) => `${number(100 * share, 2)} %`;
const state = new URLSearchParams(location.hash.slice(1));

function keep(name, value) {
  state.set(name, value);
  history.replaceState(null, "", `#${state}`);
}

async function copy(text, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // where the clipboard's interface is refused, as within some frames
    const area = make("textarea", { readonly: "", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  told(button, done ? "copied" : "the browser refuses to copy");
}

function told(button, text) {
  const before = button.dataset.text ?? (button.dataset.text = button.textContent);
  button.textContent = text;
  setTimeout(() => { button.textContent = before; }, 1500);
}

function download(name, blob) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function unpack(text, bytes) {
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  if (bytes === 1) return planes;
  const count = planes.length / 4, mixed = new Uint8Array(planes.length);
  for (let plane = 0; plane < 4; plane++)
    for (let i = 0; i < count; i++) mixed[4 * i + plane] = planes[plane * count + i];
  return new Float32Array(mixed.buffer); // little-endian, as every browser's machine is
}

function ticks(low, high, most = 5) {
  const rough = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((one) => one * power >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

// ---- controls -----------------------------------------------------------------------------------

class Controls {
  constructor(list, prefix, changed) {
    this.list = list;
    this.prefix = prefix;
    this.changed = changed;
    this.at = list.map((one) => {
      const kept = state.get(prefix + one.name);
      const place = one.values.findIndex((value) => String(value) === kept);
      return place >= 0 ? place : one.start;
    });
    this.element = make("form", { class: "controls", onsubmit: (event) => event.preventDefault() });
    list.forEach((one, i) => one.values.length > 1 && this.element.append(this.row(one, i)));
  }

  row(one, i) {
    const id = `${this.prefix}${one.name}`;
    const label = make("label", { for: id }, one.label);
    if (typeof one.values[0] === "string") {
      const select = make("select", { id, onchange: () => this.set(i, select.selectedIndex) },
        ...one.values.map((value) => make("option", {}, value)));
      select.selectedIndex = this.at[i];
      return make("div", { class: "control" }, label, select);
    }
    const shown = make("output", { for: id }, number(one.values[this.at[i]]));
    const slider = make("input", { type: "range", id, min: 0, max: one.values.length - 1, step: 1,
      value: this.at[i], "aria-valuetext": number(one.values[this.at[i]]) });
    slider.addEventListener("input", () => {
      shown.textContent = number(one.values[slider.value]);
      slider.setAttribute("aria-valuetext", shown.textContent);
      this.set(i, Number(slider.value));
    });
    return make("div", { class: "control" }, label, slider, shown);
  }

  set(i, place) {
    this.at[i] = place;
    keep(this.prefix + this.list[i].name, this.list[i].values[place]);
    this.changed();
  }

  value(name) {
    const i = this.list.findIndex((one) => one.name === name);
    return i < 0 ? undefined : this.list[i].values[this.at[i]];
  }

  // place of the chosen system among all of them
  offset() {
    return this.list.reduce((sum, one, i) => sum * one.values.length + this.at[i], 0);
  }

  query() {
    return new URLSearchParams(this.list.map((one, i) => [one.name, one.values[this.at[i]]]));
  }
}

// ---- the map ------------------------------------------------------------------------------------

const LEFT = 52, TOP = 8, SIZE = 350, WIDTH = 412, HEIGHT = 462;

class MapView {
  constructor(part) {
    this.part = part;
    this.alpha = part.alpha;
    this.beta = part.beta;
    this.edges = [this.alpha, this.beta].map(edges);
    this.controls = new Controls(part.controls, "", () => this.load());
    const named = state.get("show");
    this.followed = new Controls(part.followed ?? [], "", () => this.follow());
    this.shown = part.quantities.find((one) => one.name === named) ?? part.quantities[0];
    const kept = (name, axis) => {
      const wanted = Number(state.get(name) ?? 0.5);
      return nearest(axis, Number.isFinite(wanted) ? wanted : 0.5);
    };
    this.i = kept("alpha", this.alpha);
    this.j = kept("beta", this.beta);
    this.build();
  }

  build() {
    const quantity = make("select", { id: "show", onchange: () => {
      this.shown = this.part.quantities[quantity.selectedIndex];
      keep("show", this.shown.name);
      this.draw();
    } }, ...this.part.quantities.map((one) => make("option", {}, one.label)));
    quantity.selectedIndex = this.part.quantities.indexOf(this.shown);
    this.controls.element.prepend(make("div", { class: "control" },
      make("label", { for: "show" }, "shown on the map"), quantity));
    this.canvas = make("canvas", { width: 2 * SIZE, height: 2 * SIZE, "aria-hidden": "true" });
    this.svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
    this.map = make("div", { id: "map", class: "map", tabindex: 0, role: "application",
      "aria-describedby": "said",
      onkeydown: (event) => this.key(event),
      onpointerdown: (event) => this.point(event),
      onpointermove: (event) => event.buttons && this.point(event) }, this.canvas, this.svg);
    this.said = make("div", { id: "said", class: "said", "aria-live": "polite" });
    this.numbers = make("tbody");
    this.sliders = [["alpha", "α, weight of newly collected data"],
      ["beta", "β, weight of private data within the real data"]].map(([name, label]) => {
      const axis = this[name], id = `at-${name}`;
      const slider = make("input", { id, type: "range", min: 0, max: axis.length - 1, step: 1,
        oninput: () => (name === "alpha" ? this.go(Number(slider.value), this.j)
          : this.go(this.i, Number(slider.value))) });
      const shown = make("output", { for: id });
      return { axis, slider, shown, row: make("div", { class: "control" },
        make("label", { for: id }, label), slider, shown) };
    });
    const button = (text, act) => {
      const one = make("button", { type: "button", onclick: () => act(one) }, text);
      return one;
    };
    this.more = make("div");
    const buttons = [
      button("Go to the best mix", () => this.toBest()),
      button("Copy numbers (CSV)", (one) => copy(this.csv(), one)),
      button("Copy the command", (one) => copy(this.part.live ? this.sweepCommand() : this.part.command, one)),
      button("Save picture", () => this.save()),
    ];
    this.ofReplace = [buttons[0], buttons[2]]; // what is known with memory "replace" alone
    if (this.part.live)
      this.ofReplace.push(buttons[buttons.push(button("Save data (NetCDF)", () => { location.href = `${this.part.live}.nc?${admitted(this.query())}`; })) - 1]);
    this.element = make("div", { class: "view" }, this.controls.element,
      make("div", { class: "columns" },
        make("figure", {}, this.map, make("figcaption", { class: "soft" },
          "Click, drag, or use the arrow keys (with Shift: five cells). Hatched: unstable.")),
        make("div", {}, this.said, ...this.sliders.map((one) => one.row),
          make("div", { class: "buttons" }, ...buttons),
          make("details", {}, make("summary", {}, "Numbers of this cell"),
            make("table", {}, this.numbers)),
          make("details", {}, make("summary", {}, "Command that simulates this cell"),
            this.command = make("pre", {})))),
      this.followed.list.length ? this.followed.element : null, this.more);
    if (!this.followed.list.length) this.more.remove();
  }

  async load() {
    if (this.part.live) return this.ask();
    if (!this.all) {
      this.all = {};
      for (const one of this.part.quantities) this.all[one.name] = await unpack(one.data, 4);
      this.all.status = await unpack(this.part.status, 1);
    }
    const size = this.alpha.length * this.beta.length, start = this.controls.offset() * size;
    this.now = Object.fromEntries(Object.entries(this.all)
      .map(([name, values]) => [name, values.subarray(start, start + size)]));
    this.system = this.part.systems[this.controls.offset()];
    this.draw();
  }

  query() {
    return this.controls.query();
  }

  memory() {
    return this.controls.value("memory") ?? "replace";
  }

  go(i, j) {
    this.i = Math.min(Math.max(i, 0), this.alpha.length - 1);
    this.j = Math.min(Math.max(j, 0), this.beta.length - 1);
    keep("alpha", this.alpha[this.i]);
    keep("beta", this.beta[this.j]);
    this.mark();
    this.say();
  }

  toBest() {
    const { alpha, beta } = this.system.best;
    if (alpha !== null) this.go(nearest(this.alpha, alpha), nearest(this.beta, beta));
  }

  key(event) {
    const step = event.shiftKey ? 5 : 1;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step],
      ArrowDown: [0, -step], Home: [-1e9, 0], End: [1e9, 0] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    this.go(this.i + move[0], this.j + move[1]);
  }

  point(event) {
    const box = this.svg.getBoundingClientRect(), scale = WIDTH / box.width;
    const x = ((event.clientX - box.left) * scale - LEFT) / SIZE;
    const y = 1 - ((event.clientY - box.top) * scale - TOP) / SIZE;
    if (x < -0.02 || x > 1.02 || y < -0.02 || y > 1.02) return;
    this.go(within(this.edges[0], x), within(this.edges[1], y));
  }

  at(name) {
    return this.now[name]?.[this.j * this.alpha.length + this.i] ?? NaN;
  }

  draw() {
    const values = this.now[this.shown.name], status = this.now.status;
    const scale = scaleOf(this.shown.name, values);
    const pen = this.canvas.getContext("2d");
    const [xs, ys] = this.edges.map((edge) => edge.map((value) => Math.round(2 * SIZE * place(edge, value))));
    pen.fillStyle = "#d9d9d9";
    pen.fillRect(0, 0, 2 * SIZE, 2 * SIZE);
    for (let j = 0, n = 0; j < this.beta.length; j++)
      for (let i = 0; i < this.alpha.length; i++, n++) {
        if (Number.isNaN(values[n])) continue;
        pen.fillStyle = scale.colour(values[n]);
        pen.fillRect(xs[i], 2 * SIZE - ys[j + 1], xs[i + 1] - xs[i], ys[j + 1] - ys[j]);
      }
    this.svg.replaceChildren(
      make("defs", {}, hatch("hatch", "M-2 2L2 -2M0 8L8 0M6 10L10 6"),
        hatch("cross", "M-2 2L2 -2M0 8L8 0M6 10L10 6M-2 6L2 10M0 0L8 8M6 -2L10 2")),
      this.area(status, 1, "url(#hatch)"), this.area(status, 2, "url(#cross)"),
      ...this.contour(), ...this.axes(), ...bar(scale, this.shown.label),
      this.marks = make("g"));
    this.mark();
    this.say();
  }

  x(value) { return LEFT + SIZE * place(this.edges[0], value); }
  y(value) { return TOP + SIZE * (1 - place(this.edges[1], value)); }

  area(status, kind, fill) {
    let outline = "";
    const [xs, ys] = this.edges, wide = this.alpha.length;
    for (let j = 0; j < this.beta.length; j++)
      for (let i = 0; i < wide; i++) {
        const start = i;
        while (i < wide && status[j * wide + i] === kind) i++;
        if (i > start)
          outline += `M${this.x(xs[start])} ${this.y(ys[j])}H${this.x(xs[i])}V${this.y(ys[j + 1])}H${this.x(xs[start])}z`;
      }
    return make("path", { d: outline, fill });
  }

  // where ρ = 1: marching squares between the centres of cells
  contour() {
    const level = 1 + 1e-6, wide = this.alpha.length, values = this.now.spectral_radius;
    let path = "";
    for (let j = 0; j + 1 < this.beta.length; j++)
      for (let i = 0; i + 1 < wide; i++) {
        const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
        const heights = corners.map(([a, b]) => values[b * wide + a] - level);
        if (heights.some(Number.isNaN)) continue;
        const crossings = [];
        for (let c = 0; c < 4; c++) {
          const d = (c + 1) % 4, [p, q] = [heights[c], heights[d]];
          if ((p < 0) === (q < 0)) continue;
          const t = p / (p - q), [from, to] = [corners[c], corners[d]];
          const mix = (axis, k) => axis[from[k]] + t * (axis[to[k]] - axis[from[k]]);
          crossings.push(`${this.x(mix(this.alpha, 0)).toFixed(1)} ${this.y(mix(this.beta, 1)).toFixed(1)}`);
        }
        for (let c = 0; c + 1 < crossings.length; c += 2) path += `M${crossings[c]}L${crossings[c + 1]}`;
      }
    return [make("path", { d: path, class: "halo" }), make("path", { d: path, class: "contour" })];
  }

  axes() {
    const found = [make("rect", { x: LEFT, y: TOP, width: SIZE, height: SIZE, class: "frame" })];
    const ends = this.edges.map((edge) => [edge[0], edge[edge.length - 1]]);
    for (const value of ticks(...ends[0], 5))
      found.push(make("text", { x: this.x(value), y: TOP + SIZE + 16, class: "middle" }, number(value)),
        make("line", { x1: this.x(value), x2: this.x(value), y1: TOP + SIZE, y2: TOP + SIZE + 4 }));
    for (const value of ticks(...ends[1], 5))
      found.push(make("text", { x: LEFT - 7, y: this.y(value) + 4, class: "end" }, number(value)),
        make("line", { x1: LEFT - 4, x2: LEFT, y1: this.y(value), y2: this.y(value) }));
    found.push(
      make("text", { x: LEFT + SIZE / 2, y: TOP + SIZE + 35, class: "middle" }, "α: weight of new data"),
      make("text", { transform: `translate(13 ${TOP + SIZE / 2}) rotate(-90)`, class: "middle" },
        "β: weight of private data"));
    return found;
  }

  mark() {
    const [xs, ys] = this.edges, { alpha, beta } = this.system.best;
    const box = { x: this.x(xs[this.i]), y: this.y(ys[this.j + 1]),
      width: this.x(xs[this.i + 1]) - this.x(xs[this.i]), height: this.y(ys[this.j]) - this.y(ys[this.j + 1]) };
    const wider = { x: box.x - 2, y: box.y - 2, width: box.width + 4, height: box.height + 4 };
    this.marks.replaceChildren(
      ...(alpha === null ? [] : [make("path", { class: "star", d: star(this.x(alpha), this.y(beta), 8) })]),
      make("rect", { ...wider, class: "chosen outer" }), make("rect", { ...wider, class: "chosen" }));
    for (const { axis, slider, shown } of this.sliders) {
      const value = axis === this.alpha ? this.i : this.j;
      slider.value = value;
      shown.textContent = number(axis[value], 4);
      slider.setAttribute("aria-valuetext", shown.textContent);
    }
    this.map.setAttribute("aria-label", `Map of ${this.shown.label} over α and β; at α = ` +
      `${number(this.alpha[this.i], 4)}, β = ${number(this.beta[this.j], 4)}`);
  }

  say() {
    const cell = Object.fromEntries(Object.keys(this.now).map((name) => [name, this.at(name)]));
    const lines = sentences(this, cell);
    this.said.replaceChildren(
      make("p", { class: "where soft" }, this.where()),
      make("p", { class: `verdict ${lines.kind}` }, lines.verdict),
      ...lines.rest.map((line) => make("p", {}, line)));
    this.numbers.replaceChildren(...this.part.quantities.map((one) => make("tr", {},
      make("th", { scope: "row" }, one.label),
      make("td", { "data-name": one.name, "data-value": cell[one.name] }, number(cell[one.name], 6)))));
    this.command.textContent = this.cellCommand();
    for (const one of this.ofReplace) one.disabled = this.memory() !== "replace";
    if (this.part.live) this.follow();
  }

  where() {
    // the worst case has data of its own
    const unused = this.controls.value("prompts") === "worst case" ? ["rank", "seed"] : [];
    for (const name of ["rank", "seed"]) {
      const slider = document.getElementById(name);
      if (slider) slider.disabled = unused.includes(name);
    }
    const set = this.controls.list
      .filter((one) => one.values.length > 1 && one.name !== "models" && !unused.includes(one.name))
      .map((one) => `${one.label}: ${typeof this.controls.value(one.name) === "number"
        ? number(this.controls.value(one.name)) : this.controls.value(one.name)}`);
    return [`K = ${this.controls.value("models")} models, α = ${number(this.alpha[this.i], 4)}, ` +
      `β = ${number(this.beta[this.j], 4)}`, ...set].join("; ");
  }

  cellCommand() {
    const options = { models: this.controls.value("models"), alpha: this.alpha[this.i], beta: this.beta[this.j] };
    return command("commensal simulate regression", this.part, this.controls, options);
  }

  sweepCommand() {
    return command("commensal sweep regression", this.part, this.controls,
      { models: this.controls.value("models"), alpha: `0:1:${this.alpha.length}`, beta: `0:1:${this.beta.length}` });
  }

  csv() {
    const names = this.part.quantities.map((one) => one.name);
    const set = this.controls.list.map((one, i) => [one.name, one.values[this.controls.at[i]]]);
    const rows = [[...set.map(([name]) => name), "alpha", "beta", ...names, "status"].join(",")];
    for (let j = 0, n = 0; j < this.beta.length; j++)
      for (let i = 0; i < this.alpha.length; i++, n++)
        rows.push([...set.map(([, value]) => value), this.alpha[i], this.beta[j],
          ...names.map((name) => this.now[name][n]), STATUS[this.now.status[n]]].join(","));
    return `${rows.join("\n")}\n`;
  }

  save() {
    picture(this.svg, WIDTH, HEIGHT, "map.png",
      (pen, zoom) => pen.drawImage(this.canvas, LEFT * zoom, TOP * zoom, SIZE * zoom, SIZE * zoom));
  }
}

function command(name, part, controls, options) {
  const set = Object.fromEntries(controls.list.map((one, i) => [one.name, one.values[controls.at[i]]]));
  const all = { ...part.options, ...set, ...options };
  const [memory, window] = (all.memory ?? "replace").split(" ");
  delete all.memory; // which sweeps do not know
  if (memory !== "replace" && name.includes("simulate")) Object.assign(all, { memory }, window ? { window } : {});
  if (all.prompts === "worst case") all.design = "misaligned";
  if (all.design === "misaligned") for (const unused of ["dim", "rank", "prompts", "public_rank"]) delete all[unused];
  const given = Object.entries(all).filter(([key, value]) => value !== part.defaults[key]);
  const quoted = (value) => (/^[\w.:,+-]+$/.test(value) ? value : `'${value}'`);
  return [name, ...given.map(([key, value]) => `--${key.replaceAll("_", "-")} ${quoted(String(value))}`)].join(" ");
}

function sentences(view, cell) {
  const kind = STATUS[cell.status], { best, bound } = view.system, rho = number(cell.spectral_radius);
  const alpha = view.alpha[view.i], rest = [];
  if (view.memory() !== "replace") return remembering(view, cell);
  let verdict = `✓ Stable: of an error, ${percent(cell.spectral_radius)} is left after a generation (ρ = ${rho}).`;
  if (kind === "untrusted") verdict = "? Not known: rounding may have spoilt the numbers of this cell.";
  else if (kind === "unstable") {
    verdict = `✗ Unstable: errors grow by the factor ρ = ${rho} in every generation`;
    verdict += alpha < 1 ? ", although every model also trains on real data." : ".";
    if (Math.abs(cell.spectral_radius - 1) < 1e-6)
      verdict = "✗ Not stable: errors never fade (ρ = 1), and each generation adds its own.";
  } else if (alpha === 0) verdict = "✓ Stable: nobody reads the web (α = 0), so that errors do not travel (ρ = 0).";
  if (bound === null) rest.push("No bound holds for this network: with other data ρ could be as large as you like.");
  else rest.push(bound <= 1 + 1e-9 ? "No data can make this system unstable: ρ is at most 1 whatever they are."
    : `Whatever the data, ρ is at most ${number(bound)}: the bound (1 + √${view.system.readers})/2.`);
  const humans = view.controls.value("human_share") ?? view.part.options.human_share ?? 0;
  if (humans > 0 && bound > 1)
    rest.push(`If the human data are as rich as the web's, ρ is at most 1 − φ times that: ${number((1 - humans) * bound)}.`);
  if (view.lacking) {
    rest.push("Errors, efficiency and the best mix are being computed …");
    return { verdict, rest, kind: kind === "unstable" ? "bad" : kind === "untrusted" ? "open" : "good" };
  }
  if (kind === "biased") rest.push("Some model is biased for ever: it never sees some direction, so that it has no efficiency.");
  else if (kind === "limit") {
    const times = 1 / cell.efficiency;
    rest.push(times >= 1
      ? `Against pooling all real data, you lose: a model's efficiency is ${number(cell.efficiency)}, its error ${number(times)} times as large.`
      : `Efficiency ${number(cell.efficiency)}: more than all real data of the start would give, since humans keep adding to them.`);
  }
  if (cell.error_others / cell.error_own > 0)
    rest.push(`On the others' tasks a model's error is ${number(cell.error_others / cell.error_own)} times that on its own.`);
  if (!Number.isNaN(cell.homogenisation) && view.controls.value("models") > 1)
    rest.push(cell.homogenisation < 1e-6 ? "In the end the models are all alike."
      : `In the end the models are ${number(cell.homogenisation)} apart (0: all alike).`);
  if (best.alpha === null) rest.push("No mix on this grid is stable.");
  else {
    const there = `the best mix, α = ${number(best.alpha)}, β = ${number(best.beta)} (★)`;
    const here = view.i === nearest(view.alpha, best.alpha) && view.j === nearest(view.beta, best.beta);
    const gain = 1 - best.error / cell.error;
    const biased = best.efficiency === null ? ", though some model stays biased" : "";
    if (here || (kind === "limit" && gain < 5e-4)) rest.push(`This is ${there} of the grid${here ? biased : ", or as good"}.`);
    else if (kind === "limit") rest.push(`Moving to ${there}, would cut the mean error by ${percent(gain)}${biased}.`);
    else rest.push(`Go to ${there}: it is stable${biased || `, with efficiency ${number(best.efficiency)}`}.`);
  }
  return { verdict, rest, kind: kind === "unstable" ? "bad" : kind === "untrusted" ? "open" : "good" };
}

// what is known of a cell where more than the last generation is read
function remembering(view, cell) {
  const kind = STATUS[cell.status], growth = number(cell.spectral_radius);
  const [memory, window] = view.memory().split(" ");
  const rest = [], alike = view.controls.value("reads") === "uniform";
  let verdict;
  if (kind === "untrusted") verdict = "? Not known: how errors grow with this memory is not known for this cell.";
  else if (memory === "accumulate") {
    verdict = "✓ No error grows without end: everything is kept, so that none is multiplied in every generation.";
    rest.push("Each generation has the weight α, so that in the end the web outweighs real data: errors are not multiplied, and not forgotten.");
  } else if (kind === "unstable")
    verdict = `✗ Unstable: errors grow by the factor ${growth} in every generation, although the last ${window} are read.`;
  else verdict = `✓ Stable: of an error, ${percent(cell.spectral_radius)} is left after a generation, with the last ${window} read.`;
  if (memory === "window") {
    rest.push("A window slows growth down, and keeps what is stable stable: it makes stable only what turns to and fro.");
    if (!alike) rest.push("With this network an upper bound where errors fade, and not known where they may grow.");
  }
  rest.push("The map has growth alone for this memory; the errors of this cell are followed below, exactly.");
  return { verdict, rest, kind: kind === "unstable" ? "bad" : kind === "untrusted" ? "open" : "good" };
}

function edges(centres) {
  if (centres.length === 1) return [Math.max(0, centres[0] - 0.05), Math.min(1, centres[0] + 0.05)];
  const found = centres.slice(1).map((value, i) => (value + centres[i]) / 2), last = found.length - 1;
  const clip = (value) => Math.min(Math.max(value, 0), 1);
  return [clip(2 * centres[0] - found[0]), ...found, clip(2 * centres[centres.length - 1] - found[last])];
}

const place = (edge, value) => (value - edge[0]) / (edge[edge.length - 1] - edge[0]);

function within(edge, share) {
  const value = edge[0] + share * (edge[edge.length - 1] - edge[0]);
  const found = edge.findIndex((one) => one > value);
  return found < 0 ? edge.length - 2 : Math.max(found - 1, 0);
}

function nearest(axis, value) {
  return axis.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(axis[best] - value) - 1e-12 ? i : best), 0);
}

function star(x, y, size) {
  const points = Array.from({ length: 10 }, (_, i) => {
    const angle = (i * Math.PI) / 5, reach = i % 2 ? 0.42 * size : size;
    return `${(x + reach * Math.sin(angle)).toFixed(1)} ${(y - reach * Math.cos(angle)).toFixed(1)}`;
  });
  return `M${points.join("L")}z`;
}

function hatch(id, d) {
  return make("pattern", { id, width: 8, height: 8, patternUnits: "userSpaceOnUse" },
    make("path", { d, class: "hatching" }));
}

function mixed(stops, share) {
  const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
  const part = (stop, i) => parseInt(stops[stop].slice(1 + 2 * i, 3 + 2 * i), 16);
  return `rgb(${[0, 1, 2].map((i) => Math.round(part(low, i) + (at - low) * (part(low + 1, i) - part(low, i))))})`;
}

function scaleOf(name, values) {
  if (name === "spectral_radius")
    return { steps: GROWTH, colour: (value) =>
      RED_BLUE[GROWTH.findLastIndex((step) => Number(value.toFixed(6)) >= step)] ?? RED_BLUE[0] };
  const finite = Array.from(values).filter(Number.isFinite);
  if (name.startsWith("error")) {
    const low = Math.min(...(finite.length ? reduced(finite) : [1])), high = 32 * low;
    return { low, high, log: true,
      colour: (value) => mixed(CIVIDIS, Math.log(value / low) / Math.log(high / low)) };
  }
  const high = finite.length ? Math.max(...reduced(finite)) || 1 : 1;
  return { low: 0, high, colour: (value) => mixed(CIVIDIS, value / high) };
}

// Math.min(...values) takes no more than some ten thousand
function reduced(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function bar(scale, label) {
  const top = TOP + SIZE + 50, high = 12, found = [];
  const tick = (x, text) => make("text", { x, y: top + high + 14, class: "middle small" }, text);
  if (scale.steps) {
    const wide = SIZE / scale.steps.length;
    scale.steps.forEach((step, i) => {
      found.push(make("rect", { x: LEFT + i * wide, y: top, width: wide + 0.3, height: high, fill: RED_BLUE[i] }));
      found.push(tick(LEFT + i * wide, number(step)));
    });
  } else {
    const parts = 70, wide = SIZE / parts;
    for (let i = 0; i < parts; i++)
      found.push(make("rect", { x: LEFT + i * wide, y: top, width: Math.min(wide + 1, SIZE - i * wide), height: high,
        fill: mixed(CIVIDIS, (i + 0.5) / parts) }));
    const shares = scale.log ? [0, 0.2, 0.4, 0.6, 0.8, 1] : ticks(0, 1, 5);
    for (const share of shares) {
      const value = scale.log ? scale.low * (scale.high / scale.low) ** share : share * scale.high;
      found.push(tick(LEFT + share * SIZE, (scale.log && share === 1 ? "≥ " : "") + number(value, 2)));
    }
  }
  found.push(make("rect", { x: LEFT, y: top, width: SIZE, height: high, class: "frame" }),
    make("text", { x: LEFT + SIZE / 2, y: top + high + 32, class: "middle" }, label));
  return found;
}

function picture(svg, width, height, name, before = () => {}) {
  const zoom = 2, whole = svg.cloneNode(true), looks = getComputedStyle(document.documentElement);
  const colours = [...document.querySelectorAll("style")].map((one) => one.textContent).join("\n");
  whole.setAttribute("xmlns", SVG);
  whole.setAttribute("data-scheme", document.documentElement.dataset.scheme);
  whole.setAttribute("width", width * zoom);
  whole.setAttribute("height", height * zoom);
  whole.setAttribute("style", `color: ${looks.getPropertyValue("--ink")}; font: 12px system-ui, sans-serif`);
  whole.prepend(make("defs", {}, Object.assign(document.createElementNS(SVG, "style"), { textContent: colours })));
  const image = new Image();
  image.onload = () => {
    const canvas = make("canvas", { width: width * zoom, height: height * zoom }), pen = canvas.getContext("2d");
    pen.fillStyle = looks.getPropertyValue("--paper");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    before(pen, zoom);
    pen.drawImage(image, 0, 0);
    canvas.toBlob((blob) => download(name, blob));
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(whole))}`;
}

// ---- charts -------------------------------------------------------------------------------------

const WIDE = 430, TALL = 270, PAD = { left: 58, right: 12, top: 10, bottom: 42 };

function chart(one) {
  const lines = one.series, all = lines.flatMap((line) => [...line.y, ...(line.low ?? []), ...(line.high ?? [])]);
  const known = all.filter((value) => value !== null && (!one.log || value > 0));
  const across = lines.flatMap((line) => line.x);
  if (!known.length) return make("p", { class: "soft" }, `${one.title}: nothing to draw.`);
  let [low, high] = reduced(known);
  const [first, last] = reduced(across);
  const up = one.log ? Math.log10 : (value) => value;
  if (one.log) [low, high] = [Math.max(low, high * 1e-12), high];
  else if (low > 0 && low < 0.5 * high) low = 0;
  let [bottom, top] = [up(low), up(high)];
  if (top - bottom < 1e-12) [bottom, top] = [bottom - 0.5 * (Math.abs(bottom) || 1), top + 0.5 * (Math.abs(top) || 1)];
  if (!one.log && low !== 0) bottom -= 0.04 * (top - bottom);
  top += 0.04 * (top - bottom);
  const x = (value) => PAD.left + ((value - first) / (last - first || 1)) * (WIDE - PAD.left - PAD.right);
  const y = (value) => TALL - PAD.bottom - ((up(value) - bottom) / (top - bottom)) * (TALL - PAD.bottom - PAD.top);
  const fine = (value) => value !== null && (!one.log || value > 0);
  const svg = make("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, role: "img",
    "aria-label": `${one.title}: ${lines.map((line) => line.name).join(", ")} over ${one.x}` });
  for (const value of one.log ? decades(bottom, top) : ticks(bottom, top, 5))
    svg.append(make("line", { class: "grid", x1: PAD.left, x2: WIDE - PAD.right, y1: y(value), y2: y(value) }),
      make("text", { class: "end small", x: PAD.left - 6, y: y(value) + 4 }, number(value)));
  for (const value of ticks(first, last, 6))
    svg.append(make("text", { class: "middle small", x: x(value), y: TALL - PAD.bottom + 16 }, number(value)));
  svg.append(make("path", { class: "frame", d: `M${PAD.left} ${PAD.top}V${TALL - PAD.bottom}H${WIDE - PAD.right}` }),
    make("text", { class: "middle", x: (PAD.left + WIDE - PAD.right) / 2, y: TALL - 6 }, one.x));
  lines.forEach((line, i) => {
    const { colour, dash, thin } = penOf(line, i);
    if (line.low) {
      const seen = line.x.map((value, j) => [value, line.low[j], line.high[j]])
        .filter(([, from, to]) => from !== null && fine(to));
      const floor = (value) => Math.min(fine(value) ? y(value) : Infinity, TALL - PAD.bottom);
      const ahead = seen.map(([at, , to]) => `${x(at)} ${y(to)}`);
      const back = seen.map(([at, from]) => `${x(at)} ${floor(from)}`).reverse();
      if (seen.length) svg.append(make("path", { class: "band", style: `fill: ${colour}`, d: `M${[...ahead, ...back].join("L")}z` }));
    }
    let path = "", drawing = false, dots = [];
    line.x.forEach((value, j) => {
      if (!fine(line.y[j])) { drawing = false; return; }
      path += `${drawing ? "L" : "M"}${x(value).toFixed(1)} ${y(line.y[j]).toFixed(1)}`;
      drawing = true;
      dots.push([x(value), y(line.y[j])]);
    });
    if (!line.points) svg.append(make("path", { class: "curve", style: `stroke: ${colour}; stroke-dasharray: ${dash}; stroke-width: ${thin ? 1 : 2}`, d: path }));
    if (line.points || dots.length < 3 || thin)
      svg.append(...dots.map(([cx, cy]) => dot(cx, cy, colour, thin)));
  });
  const legend = make("ul", { class: "legend" }, ...lines.map((line, i) => make("li", {},
    make("svg", { viewBox: "0 0 30 10", "aria-hidden": "true" }, ...sample(line, i)),
    line.name)));
  const csv = () => ["series,x,y,low,high", ...lines.flatMap((line) => line.x.map((value, j) =>
    [`"${line.name}"`, value, line.y[j] ?? "", line.low?.[j] ?? "", line.high?.[j] ?? ""].join(",")))].join("\n") + "\n";
  const copied = make("button", { type: "button", onclick: () => copy(csv(), copied) }, "Copy numbers (CSV)");
  const saved = make("button", { type: "button", onclick: () => picture(svg, WIDE, TALL, "chart.png") }, "Save picture");
  return make("section", {}, make("h2", {}, one.title), svg, legend, make("div", { class: "buttons" }, copied, saved));
}

// colour and dashes of a line; theory beside a measurement has its colour, thin, with rings
function penOf(line, i) {
  const thin = line.beside !== null && line.beside !== undefined;
  return { colour: LINES[(thin ? line.beside : i) % LINES.length], dash: thin ? "" : DASHES[i % 6], thin };
}

function dot(cx, cy, colour, ring = false) {
  const style = ring ? `fill: var(--paper); stroke: ${colour}; stroke-width: 1.5` : `fill: ${colour}`;
  return make("circle", { cx, cy, r: ring ? 3 : 3.2, style });
}

function sample(line, i) {
  const { colour, dash, thin } = penOf(line, i), stroke = `stroke: ${colour}; stroke-dasharray: ${dash}; stroke-width: ${thin ? 1 : 2}`;
  const curve = line.points ? [] : [make("path", { class: "curve", d: "M0 5H30", style: stroke })];
  return line.points || thin ? [...curve, dot(15, 5, colour, thin)] : curve;
}

function decades(bottom, top) {
  const found = [];
  const step = Math.max(1, Math.ceil((top - bottom) / 6));
  for (let i = Math.ceil(bottom); i <= top; i += step) found.push(10 ** i);
  return found.length > 1 ? found : ticks(10 ** bottom, 10 ** top, 4).filter((value) => value > 0);
}

function panel(one) {
  const table = one.rows.length ? make("div", { class: "wide" }, make("table", {},
    make("thead", {}, make("tr", {}, ...one.rows[0].map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...one.rows.slice(1).map((row) => make("tr", {}, ...row.map((text) => make("td", {}, text))))))) : null;
  const copied = one.command ? make("button", { type: "button", onclick: () => copy(one.command, copied) }, "Copy the command") : null;
  return [make("div", { class: "said short", "aria-live": "polite" }, ...one.said.map((line, i) =>
    make("p", { class: i ? "" : "verdict" }, line))),
  one.command ? make("div", { class: "buttons" }, make("code", {}, one.command), copied) : null,
  make("div", { class: "charts" }, ...one.charts.map(chart)), table].filter(Boolean);
}

class PanelView {
  constructor(part) {
    this.part = part;
    this.controls = new Controls(part.controls, `${part.name}-`, () => this.load());
    this.inside = make("div");
    this.element = make("div", { class: "view" }, this.controls.element, this.inside);
  }

  async load() {
    if (!this.part.live) {
      this.inside.replaceChildren(...panel(this.part.panels[this.controls.offset()]));
      return;
    }
    const query = this.controls.query();
    for (const [name, value] of Object.entries(this.part.fixed ?? {})) query.set(name, value);
    const found = await ask(this, this.part.live, query);
    if (found) this.inside.replaceChildren(...panel(found));
  }
}

// Any run that the program can see, by its folder.
class RunsView {
  constructor(part) {
    this.part = part;
    const id = "run-path", list = "run-folders";
    this.path = make("input", { id, type: "text", list, value: state.get("run") ?? "", autocomplete: "off", spellcheck: "false" });
    this.folders = make("datalist", { id: list });
    this.inside = make("div");
    this.known = make("p", { class: "soft" });
    const form = make("form", { class: "opener", onsubmit: (event) => { event.preventDefault(); this.open(); } },
      make("label", { for: id }, "folder of a run"), this.path, this.folders, make("button", {}, "Open"));
    this.element = make("div", { class: "view" }, form, this.known, this.inside);
  }

  async load() {
    const found = await ask(this, "/api/runs", new URLSearchParams());
    if (!found) return;
    this.folders.replaceChildren(...found.runs.map((value) => make("option", { value })));
    this.known.textContent = found.runs.length
      ? `Runs under the folder that the program was started in: ${found.runs.join(", ")}.`
      : "There is no run under the folder that the program was started in: type the path of one.";
    // who has begun to name a run is not interrupted: text put in here would stand before theirs
    if (document.activeElement === this.path) return;
    if (!this.path.value) this.path.value = found.runs[0] ?? "";
    if (this.path.value) await this.open();
  }

  async open() {
    const path = this.path.value.trim();
    const found = await ask(this, this.part.live, new URLSearchParams({ path }));
    if (!found) return;
    keep("run", path);
    const views = [[found.title, new PanelView(found)]];
    if (found.texts.length)
      views.push(["What the models wrote", new PanelView({ name: "texts", controls: found.texts, live: "/api/texts", fixed: { path } })]);
    this.inside.replaceChildren(...views.flatMap(([title, view]) => [make("h2", {}, title), view.element]));
    for (const [, view] of views) await view.load();
  }
}

// ---- the program that serves the page -----------------------------------------------------------

// Ask for what one view shows; an older question of the same view is dropped.
async function ask(view, address, query) {
  view.asking?.abort();
  const asking = (view.asking = new AbortController());
  const slow = setTimeout(() => busy("computing; what is new is compiled first, once, which takes some seconds …"), 400);
  try {
    const answer = await fetch(`${address}?${admitted(query)}`, { signal: asking.signal });
    const found = await answer.json();
    if (found.error) throw new Error(found.error);
    busy("");
    return found;
  } catch (error) {
    if (error.name === "AbortError") return null;
    busy(error instanceof TypeError ? "The program that computes has been stopped: start commensal explore again." : error.message, true);
    return null;
  } finally {
    clearTimeout(slow);
  }
}

// Add the token of the page's own address, where it has one.
function admitted(query) {
  const token = new URLSearchParams(location.search).get("token");
  if (token) query.set("token", token);
  return query;
}

function busy(text, bad = false) {
  const line = document.getElementById("status");
  line.textContent = text;
  line.className = bad ? "alarm" : "soft";
}

Object.assign(MapView.prototype, {
  // what is there sooner comes first: a map of every fifth row and column, and ρ before all numbers
  stages() {
    const growth = this.shown.name === "spectral_radius" && this.controls.value("reads") === "uniform";
    const first = growth ? ["sketch", "stability"] : ["draft"];
    return this.memory() === "replace" ? [...first, "whole"] : ["sketch", "stability"];
  },

  async ask() {
    const began = performance.now(), looks = document.documentElement.dataset;
    this.seen ??= new Map();
    const known = String(this.query()), stages = this.seen.has(known) ? ["last"] : this.stages();
    this.done = false;
    ["first", "stability"].forEach((one) => delete looks[one]);
    for (const stage of stages) {
      const query = this.query();
      query.set("stage", stage);
      const found = this.seen.get(known) ?? (await ask(this, this.part.live, query));
      if (!found) return;
      this.done = stage === stages.at(-1);
      await this.take(found);
      if (known !== String(this.query())) return;
      looks[stage] = performance.now() - began;
      looks.first ??= looks[stage];
      if (this.done) looks.whole = performance.now() - began;
      if (this.done) this.seen.set(known, found);
    }
    this.follow();
  },

  async take(found) {
    const now = { status: await unpack(found.status, 1) };
    for (const { name } of this.part.quantities)
      now[name] = found.quantities[name] ? await unpack(found.quantities[name], 4)
        : new Float32Array(found.alpha.length * found.beta.length).fill(NaN);
    this.lacking = Object.keys(now).length > Object.keys(found.quantities).length + 1;
    Object.assign(this, { now, system: found.system, alpha: found.alpha, beta: found.beta,
      edges: [edges(found.alpha), edges(found.beta)] });
    this.i = nearest(this.alpha, Number(state.get("alpha") ?? 0.5));
    this.j = nearest(this.beta, Number(state.get("beta") ?? 0.5));
    [this.alpha, this.beta].forEach((axis, i) => {
      this.sliders[i].axis = axis;
      this.sliders[i].slider.max = axis.length - 1;
    });
    this.draw();
  },

  // the trajectory of the chosen cell, once the reader rests on it
  follow() {
    clearTimeout(this.resting);
    if (!this.done) return;
    this.resting = setTimeout(async () => {
      this.path ??= { asking: null };
      const query = this.query();
      query.set("alpha", this.alpha[this.i]);
      query.set("beta", this.beta[this.j]);
      for (const [name, value] of this.followed.query()) query.set(name, value);
      const found = await ask(this.path, "/api/cell", query);
      if (found) this.more.replaceChildren(...panel(found));
    }, 300);
  },
});

// ---- the page -----------------------------------------------------------------------------------

async function start() {
  const main = document.getElementById("parts"), views = [];
  main.replaceChildren();
  const several = DATA.parts.length > 1;
  const list = make("div", { role: "tablist", "aria-label": "What to explore" });
  const shownFirst = DATA.parts.findIndex((part) => part.name === state.get("tab"));
  const show = async (at, focus) => {
    views.forEach((one, i) => {
      one.tab.setAttribute("aria-selected", i === at);
      one.tab.tabIndex = i === at ? 0 : -1;
      one.panel.hidden = i !== at;
    });
    if (focus) views[at].tab.focus();
    if (several) keep("tab", DATA.parts[at].name);
    if (!views[at].begun) {
      views[at].begun = true;
      await views[at].view.load();
    }
  };
  DATA.parts.forEach((part, i) => {
    const view = new ({ map: MapView, panel: PanelView, runs: RunsView })[part.kind](part);
    const id = part.name ?? "map";
    const tab = make("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`,
      onclick: () => show(i), onkeydown: (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (step) show((i + step + DATA.parts.length) % DATA.parts.length, true);
      } }, part.title ?? "Map");
    const holder = make("div", { id: `panel-${id}`, role: several && "tabpanel", "aria-labelledby": several && `tab-${id}` }, view.element);
    views.push({ view, tab, panel: holder, begun: false });
    list.append(tab);
  });
  if (several) main.append(list);
  main.append(make("p", { id: "status", class: "soft", role: "status" }), ...views.map((one) => one.panel));
  await show(Math.max(shownFirst, 0));
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  document.getElementById("parts").append(make("p", { class: "alarm" },
    typeof DecompressionStream === "undefined"
      ? "This browser is too old to read the numbers in this page: any browser of 2023 or later can."
      : `The page cannot be shown: ${error.message}`));
  throw error;
});
