// The 3-D brain viewer of crbm_lite/plotting/interactive/viewer.py in a page: no kernel, no network.
window.crbmViewer ??= (() => {
  "use strict";
  const KINDS = {
    i1: Int8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array,
  };
  const SATURATED = 0.05; // as color_limit of crbm_lite/plotting/interactive/viewer_figure.py
  const PLAY_MS = 1500; // from one assembly to the next
  const waiting = {}; // id -> what to do with the data when their script has run
  const scripts = {}; // address -> promise of a loaded script

  const decode = (text, kind) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new KINDS[kind](bytes.buffer);
  };

  function load(address) {
    scripts[address] ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`cannot load ${address}`));
      document.head.append(script);
    });
    return scripts[address];
  }

  async function getPlotly(address) {
    if (!window.Plotly) {
      const root = document.documentElement.dataset.content_root ?? "";
      await load(address ?? `${root}_static/vendor/plotly.min.js`);
    }
    return window.Plotly;
  }

  // Typed arrays of everything; places in the unit of the coordinates.
  function unpack(data) {
    const n = data.neurons;
    const steps = decode(data.places, "u2");
    const place = [0, 1, 2].map((d) =>
      Float32Array.from(steps.subarray(d * n, (d + 1) * n), (s) => data.low[d] + data.step[d] * s));
    const lines = decode(data.outline, "f4");
    const p = lines.length / 3;
    const outline = [0, 1, 2].map((d) =>
      Array.from(lines.subarray(d * p, (d + 1) * p), (x) => (Number.isNaN(x) ? null : x)));
    const corners = data.triangles ? decode(data.triangles, "u4") : [];
    const f = corners.length / 3;
    const triangles = ["i", "j", "k"].map((_, d) => corners.slice(d * f, (d + 1) * f));
    const model = {
      ...data, place, outline, triangles,
      weightNeurons: decode(data.weight_neurons, data.index),
      weightSteps: decode(data.weights, "i1"),
      labelNeurons: decode(data.label_neurons, data.index),
      activitySteps: decode(data.activity, "i1"),
      regionsOf: new Map(),
    };
    data.regions.forEach((name, r) => {
      for (let k = data.label_starts[r]; k < data.label_starts[r + 1]; k++) {
        const i = model.labelNeurons[k];
        const before = model.regionsOf.get(i);
        model.regionsOf.set(i, before ? `${before}, ${name}` : name);
      }
    });
    return model;
  }

  // Each neuron's weight of largest modulus, over all assemblies, and the unit that it belongs to,
  // -1 for none; made when first needed.
  function strongest(model) {
    if (!model.strongest) {
      model.strongest = new Float32Array(model.neurons);
      model.owner = new Int32Array(model.neurons).fill(-1);
      model.units.forEach((_, mu) => {
        for (let k = model.weight_starts[mu]; k < model.weight_starts[mu + 1]; k++) {
          const w = model.weightSteps[k] * model.weight_step[mu];
          const i = model.weightNeurons[k];
          if (Math.abs(w) > Math.abs(model.strongest[i])) {
            model.strongest[i] = w;
            model.owner[i] = mu;
          }
        }
      });
    }
    return model.strongest;
  }

  function select(model, choice) {
    const nUnits = model.units.length;
    if (choice < nUnits) {
      const [a, b] = [model.weight_starts[choice], model.weight_starts[choice + 1]];
      const step = model.weight_step[choice];
      return {
        unit: choice,
        neurons: Array.from(model.weightNeurons.subarray(a, b)),
        weights: Array.from(model.weightSteps.subarray(a, b), (q) => q * step),
      };
    }
    const region = choice - nUnits;
    const neurons = Array.from(
      model.labelNeurons.subarray(model.label_starts[region], model.label_starts[region + 1]));
    const all = strongest(model);
    return {
      unit: model.unit_of_region[region], neurons, weights: neurons.map((i) => all[i]),
      owners: neurons.map((i) => model.owner[i]),
    };
  }

  function traces(model, choice) {
    const { unit, neurons, weights, owners } = select(model, choice);
    const sizes = Float32Array.from(weights, Math.abs).sort();
    const limit = sizes[Math.floor((1 - SATURATED) * (sizes.length - 1))] || sizes.at(-1) || 1;
    const [outline, background, chosen, line] = model.figure.data;
    const at = (indices, d) => Float32Array.from(indices, (i) => model.place[d][i]);
    const y = Array.from(
      model.activitySteps.subarray(unit * model.frames, (unit + 1) * model.frames),
      (q) => q * model.activity_step[unit]);
    if (!model.still) {
      const some = [];
      for (let i = 0; i < model.neurons; i += model.stride) some.push(i);
      const [ox, oy, oz] = model.outline;
      const [i, j, k] = model.triangles;
      model.still = [
        { ...outline, x: ox, y: oy, z: oz, ...(i.length ? { i, j, k } : {}) },
        { ...background, x: at(some, 0), y: at(some, 1), z: at(some, 2) },
      ];
      model.time = Array.from({ length: model.frames }, (_, t) => t / model.rate_hz);
    }
    const marker = {
      ...chosen.marker, color: weights, cmin: -limit, cmax: limit,
      size: weights.map((w) => 2 + 4 * Math.min(Math.abs(w) / limit, 1)),
    };
    let text = neurons.map((i) => model.regionsOf.get(i) ?? "no region");
    let { hovertemplate } = chosen;
    if (owners) { // a region: each neuron has the colour of its strongest unit
      marker.color = owners.map((mu) => model.unit_colors[mu + 1]);
      for (const name of ["cmin", "cmax", "colorscale", "colorbar"]) delete marker[name];
      marker.showscale = false;
      text = text.map((region, k) => {
        const name = owners[k] < 0 ? "no unit" : model.units[owners[k]];
        return `${region}<br>${name}, weight ${weights[k].toFixed(3)}`;
      });
      hovertemplate = model.region_hover;
    }
    return [
      ...model.still,
      {
        ...chosen, marker, hovertemplate, text,
        customdata: model.names ? neurons.map((i) => model.names[i]) : neurons,
        x: at(neurons, 0), y: at(neurons, 1), z: at(neurons, 2),
      },
      { ...line, x: model.time, y },
    ];
  }

  function start(box, Plotly, data) {
    const model = unpack(data);
    const plot = box.querySelector(".crbm-viewer-plot");
    const menu = box.querySelector("select");
    const note = box.querySelector(".crbm-viewer-note");
    const layout = model.figure.layout;
    delete layout.height; // that of the box counts, also when a page is resized
    const ratio = { ...layout.scene.aspectratio };
    const { eye, ...camera } = layout.scene.camera;
    const fit = () => { // the brain fits into a phone, too
      const small = Math.min(1, (plot.clientWidth - 140) / 660);
      for (const d of ["x", "y", "z"]) layout.scene.aspectratio[d] = small * ratio[d];
      const shorter = ratio.x < ratio.y ? "xaxis" : "yaxis"; // whose numbers would collide
      layout.scene[shorter].nticks = small < 0.6 ? 3 : 6;
      const upright = small >= 0.6; // on a phone lying numbers would be cut off
      layout.scene[shorter].tickangle = upright ? 0 : "auto";
      const room = upright ? 0.08 : 0; // for upright numbers on the left
      const by = shorter === "xaxis" ? { x: 0, y: room, z: 0 } : { x: -room, y: 0, z: 0 };
      const moved = { x: eye.x + by.x, y: eye.y + by.y, z: eye.z };
      layout.scene.camera = { ...camera, eye: moved, center: by };
      return plot.clientWidth;
    };
    let width = fit();
    const colour = () => (layout.font = { ...layout.font, color: getComputedStyle(box).color });
    const draw = () => {
      const choice = Number(menu.value);
      const config = { responsive: true, displaylogo: false };
      return Plotly.react(plot, traces(model, choice), structuredClone(layout), config).then(() => {
        note.textContent = model.notes[choice];
        box.dataset.shown = choice;
      });
    };
    const go = (choice) => {
      menu.value = (choice + model.units.length) % model.units.length;
      return draw();
    };
    const step = (by) => {
      const now = Number(menu.value);
      const inside = now < model.units.length;
      return go(inside ? now + by : by > 0 ? 0 : model.units.length - 1);
    };
    const player = box.querySelector("button[data-play]");
    let isPlaying = false, timer = 0;
    const next = () => step(1).then(() => { if (isPlaying) timer = setTimeout(next, PLAY_MS); });
    const play = (on) => {
      clearTimeout(timer);
      isPlaying = on;
      player.textContent = on ? "Pause" : "Play";
      player.setAttribute("aria-pressed", on);
      if (on) next();
    };
    player.addEventListener("click", () => play(!isPlaying));
    menu.addEventListener("change", () => { play(false); draw(); });
    box.querySelectorAll("button[data-step]").forEach((button) =>
      button.addEventListener("click", () => { play(false); step(Number(button.dataset.step)); }));
    const keys = {
      ArrowLeft: () => step(-1), ArrowRight: () => step(1),
      Home: () => go(0), End: () => go(model.units.length - 1),
    };
    box.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      play(false);
      keys[event.key]();
    });
    const repaint = () => { colour(); draw(); };
    new MutationObserver(repaint).observe(
      document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    new ResizeObserver(() => {
      if (plot.clientWidth !== width) { width = fit(); draw(); }
    }).observe(plot);
    colour();
    return draw();
  }

  // The box holds {scene}, or the {source} of a script that calls receive(id, scene); {plotly} is
  // the address of plotly.js, if it is given.
  function mount(id) {
    const box = document.getElementById(id);
    const given = JSON.parse(box.dataset.figure);
    const show = async () => {
      const note = box.querySelector(".crbm-viewer-note");
      try {
        const Plotly = await getPlotly(given.plotly);
        let { scene } = given;
        if (!scene) {
          const received = new Promise((resolve) => (waiting[id] = resolve));
          await load(given.source);
          scene = await received;
        }
        await start(box, Plotly, scene);
      } catch (error) {
        note.textContent = `The viewer cannot be shown: ${error.message}.`;
      }
    };
    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      show();
    }, { rootMargin: "300px" }).observe(box);
  }

  const receive = (id, data) => waiting[id]?.(data);
  return { mount, receive };
})();
