// The figures with sliders of crbm_lite/plotting/interactive/explorer.py in a page: no kernel, no network.
window.crbmExplorer ??= (() => {
  "use strict";
  const W = 300, H = 240; // of a panel, in its own units
  const BOX = { left: 58, right: 16, top: 26, bottom: 46 };
  const MISSING = 65535, STEPS = 65534;

  function svg(tag, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  const short = (x) => String(Number(x.toPrecision(3))).replace("-", "−");

  function round(low, high) { // three to six numbers for an axis
    const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((s) => s * power >= rough * 0.99);
    const ticks = [];
    for (let x = Math.ceil(low / step) * step; x <= high + step / 1e6; x += step) ticks.push(x);
    return ticks.map((x) => (Math.abs(x) < step / 1e6 ? 0 : x));
  }

  function mix(colors, share) {
    const at = Math.min(Math.max(share, 0), 1) * (colors.length - 1);
    const k = Math.min(Math.floor(at), colors.length - 2);
    const part = (color, c) => parseInt(color.slice(1 + 2 * c, 3 + 2 * c), 16);
    const rgb = [0, 1, 2].map((c) =>
      Math.round(part(colors[k], c) * (k + 1 - at) + part(colors[k + 1], c) * (at - k)));
    return { css: `rgb(${rgb})`, bright: 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2] > 125 };
  }

  function frame(panel) {
    const root = svg("svg", {
      viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": panel.title,
      style: "width:100%;max-width:420px;overflow:visible;font:11px sans-serif;fill:currentColor",
    });
    const middle = (BOX.left + W - BOX.right) / 2, height = (BOX.top + H - BOX.bottom) / 2;
    root.append(
      svg("text", { x: middle, y: 15, "text-anchor": "middle", "font-size": 12 }, panel.title),
      svg("text", { x: middle, y: H - 8, "text-anchor": "middle" }, panel.xlabel),
      svg("text", {
        x: 12, y: height, "text-anchor": "middle", transform: `rotate(-90 12 ${height})`,
      }, panel.ylabel));
    return root;
  }

  const across = (share) => BOX.left + share * (W - BOX.left - BOX.right);
  const up = (share) => H - BOX.bottom - share * (H - BOX.top - BOX.bottom);

  function xText(root, share, text) {
    const place = { x: across(share), y: H - BOX.bottom + 14, "text-anchor": "middle" };
    root.append(svg("text", place, text));
  }

  // Names of places, as many as do not touch.
  function xNames(root, names, share) {
    const every = Math.ceil(names.join("").length * 7 / (W - BOX.left - BOX.right));
    names.forEach((name, k) => { if (k % every === 0) xText(root, share(k), name); });
  }

  function border(root, d) {
    root.append(svg("path", {
      stroke: "currentColor", "stroke-opacity": 0.5, fill: "none", d,
    }));
  }

  function yText(root, share, text) {
    root.append(svg("text", { x: BOX.left - 5, y: up(share) + 4, "text-anchor": "end" }, text));
  }

  function drawLines(root, panel, values, colors) {
    const [low, high] = panel.limits;
    const [x0, x1] = [panel.x[0], panel.x.at(-1)];
    const place = (x) => (x - x0) / (x1 - x0);
    border(root, `M${across(0)} ${up(1)}V${up(0)}H${across(1)}`);
    if (low < 0 && high > 0) {
      const zero = up(-low / (high - low));
      border(root, `M${across(0)} ${zero}h4M${across(1) - 4} ${zero}h4`);
    }
    if (panel.x_texts.length) xNames(root, panel.x_texts, (k) => place(panel.x[k]));
    else round(x0, x1).forEach((x) => xText(root, place(x), short(x)));
    round(low, high).forEach((y) => yText(root, (y - low) / (high - low), short(y)));
    for (let r = 0; r < panel.rows; r++) {
      const color = colors[r % colors.length];
      const line = Array.from(values.subarray(r * panel.columns, (r + 1) * panel.columns));
      const there = line.filter((q) => q !== MISSING).length;
      let path = "", open = false;
      line.forEach((q, k) => {
        if (q === MISSING) { open = false; return; }
        const [x, y] = [across(place(panel.x[k])), up(q / STEPS)];
        if (there === 1) root.append(svg("circle", { cx: x, cy: y, r: 5, fill: color }));
        path += `${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
        open = true;
      });
      if (there > 1) {
        root.append(svg("path", { d: path, stroke: color, "stroke-width": 2, fill: "none" }));
      }
    }
  }

  function drawCells(root, panel, values, frameIndex, dark) {
    const [low, high] = panel.limits;
    const [least, most] = panel.color_limits[frameIndex];
    // what there is most of stands out most, on either ground
    const colors = dark && !panel.signed ? [...panel.colors].reverse() : panel.colors;
    const { rows, columns } = panel;
    const written = rows * columns <= 100;
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const q = values[r * columns + c];
        if (q === MISSING) continue;
        const value = low + (q / STEPS) * (high - low);
        const { css, bright } = mix(colors, (value - least) / (most - least));
        const [x, y] = [across(c / columns), up(1 - r / rows)];
        const size = { width: across((c + 1) / columns) - x, height: up(1 - (r + 1) / rows) - y };
        root.append(svg("rect", { x, y, ...size, fill: css, stroke: css, "stroke-width": 0.3 }));
        if (written) {
          root.append(svg("text", {
            x: x + size.width / 2, y: y + size.height / 2 + 4, "text-anchor": "middle",
            fill: bright ? "#000" : "#fff",
          }, short(Math.round(1e4 * value) / 1e4)));
        }
      }
    }
    border(root, `M${across(0)} ${up(0)}H${across(1)}V${up(1)}H${across(0)}Z`);
    xNames(root, panel.x_texts, (c) => (c + 0.5) / columns);
    panel.y_texts.forEach((text, r) => yText(root, 1 - (r + 0.5) / rows, text));
  }

  function mount(id) {
    const box = document.getElementById(id);
    const data = JSON.parse(box.dataset.figure);
    const inputs = [...box.querySelectorAll("input, select")];
    const place = box.querySelector(".crbm-explorer-panels");
    const panels = data.panels.map((panel) => ({
      ...panel,
      steps: new Uint16Array(Uint8Array.from(atob(panel.values), (c) => c.charCodeAt(0)).buffer),
    }));
    const draw = () => {
      const at = inputs.map((input) => Number(input.value));
      const frameIndex = at.reduce((sum, k, d) => sum * data.shape[d] + k, 0);
      inputs.forEach((input, d) => {
        if (input.type !== "range") return;
        input.setAttribute("aria-valuetext", data.texts[d][at[d]]);
        input.nextElementSibling.textContent = data.texts[d][at[d]].replace("-", "−");
      });
      const text = getComputedStyle(box).color.match(/[\d.]+/g).map(Number);
      const dark = text[0] + text[1] + text[2] > 382; // bright text is on a dark ground
      place.replaceChildren(...panels.map((panel) => {
        const size = panel.rows * panel.columns;
        const values = panel.steps.subarray(frameIndex * size, (frameIndex + 1) * size);
        const root = frame(panel);
        if (panel.kind === "lines") drawLines(root, panel, values, dark ? data.dark : data.light);
        else drawCells(root, panel, values, frameIndex, dark);
        return root;
      }));
      box.querySelector(".crbm-explorer-note").textContent = data.notes[frameIndex];
      box.dataset.shown = frameIndex;
    };
    inputs.forEach((input) => input.addEventListener("input", draw));
    new MutationObserver(draw).observe(
      document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    draw();
  }

  return { mount };
})();
