"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const id = (name) => document.getElementById(name);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const stage = id("stage"), scrub = id("scrub"), wipe = id("wipe"), tip = id("tip");
  const count = data.numbers.length;
  const titles = { reconstruction: "Reconstruction", edit: "Edit" };
  const state = { at: 0, lower: data.frames.edit ? "edit" : "reconstruction", over: "", difference: false, timer: 0 };

  stage.style.setProperty("--ratio", data.ratio);
  for (const tick of all(".tick")) tick.style.top = tick.dataset.share + "%";

  const named = (n) => {
    const own = data.own && data.own[n] !== data.numbers[n] ? `, ${data.own[n]} in the source` : "";
    return `${data.numbers[n]}${own}`;
  };
  const decibels = (value) => (value === null ? "?" : value.toFixed(1) + " dB");
  const swap = (image, kind) => {
    const uri = data.frames[kind][state.at];
    if (image.getAttribute("src") !== uri) image.src = uri;
  };

  function show() {
    const n = state.at;
    swap(id("upper"), "shot");
    swap(id("lower"), state.lower);
    const over = id("over");
    over.hidden = !state.over;
    if (state.over) swap(over, state.over);
    id("upper").alt = `The shot, frame ${data.numbers[n]}`;
    id("lower").alt = `${titles[state.lower]}, frame ${data.numbers[n]}`;
    id("tag").textContent = state.difference
      ? `Shot minus ${titles[state.lower].toLowerCase()}, × 4` : titles[state.lower];
    stage.classList.toggle("difference", state.difference);
    scrub.value = n;
    scrub.setAttribute("aria-valuetext", `Frame ${named(n)}, ${decibels(data.psnr[n])}`);
    const now = id("now"), bold = document.createElement("b");
    bold.textContent = `Frame ${named(n)}`;
    now.replaceChildren(bold, ` · ${decibels(data.psnr[n])} · ${decibels(data.unlit[n])} without light`);
    const x = (data.numbers[n] / Math.max(data.last, 1)) * data.chart[0];
    id("cursor").setAttribute("x1", x);
    id("cursor").setAttribute("x2", x);
    document.body.dataset.frame = data.numbers[n];
  }

  function go(n) {
    state.at = Math.min(Math.max(n, 0), count - 1);
    show();
  }

  function nearest(frame) {
    let best = 0;
    data.numbers.forEach((number, n) => {
      if (Math.abs(number - frame) < Math.abs(data.numbers[best] - frame)) best = n;
    });
    return best;
  }

  function play(on) {
    clearInterval(state.timer);
    state.timer = on
      ? setInterval(() => go((state.at + 1) % count), Math.max(1000 / data.fps, 15)) : 0;
    id("play").textContent = on ? "❚❚ Pause" : "▶ Play";
    id("play").setAttribute("aria-pressed", String(on));
  }

  function press(buttons, chosen) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
  }

  function compare(kind) {
    const button = document.querySelector(`[data-lower="${kind}"]`);
    if (button.disabled) return;
    press(all("[data-lower]"), button);
    state.lower = kind;
    show();
  }

  function overlay(kind) {
    press(all("[data-over]"), document.querySelector(`[data-over="${kind}"]`));
    state.over = kind;
    id("legend").hidden = kind !== "heat";
    show();
  }

  function difference(on) {
    state.difference = on;
    id("difference").setAttribute("aria-pressed", String(on));
    show();
  }

  function wiped(percent) {
    const value = Math.min(Math.max(percent, 0), 100);
    wipe.value = value;
    stage.style.setProperty("--wipe", value + "%");
  }

  function textures(kind) {
    press(all("[data-texture]"), document.querySelector(`[data-texture="${kind}"]`));
    for (const figure of all(".textures figure")) {
      const images = [...figure.querySelectorAll("img")];
      const chosen = images.find((image) => image.dataset.kind === kind) || images[0];
      for (const image of images) image.hidden = image !== chosen;
    }
    id("hatched").hidden = kind !== "seen";
    id("ramped").hidden = kind !== "heat";
  }

  function fill() {
    if (document.fullscreenElement) document.exitFullscreen();
    else id("full").closest(".viewer").querySelector(".stagebox").requestFullscreen();
  }

  // the wipe: dragged on the picture, or moved by its own slider
  const drag = (event) => {
    const box = stage.getBoundingClientRect();
    wiped((100 * (event.clientX - box.left)) / box.width);
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || state.difference) return;
    stage.setPointerCapture(event.pointerId);
    drag(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) drag(event);
  });
  wipe.addEventListener("input", () => wiped(Number(wipe.value)));

  // the curve
  const curve = id("curve"), hover = id("hover");
  const pointAt = (event) => {
    const box = curve.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * data.chart[0];
    return data.points.reduce((a, b) => (Math.abs(b[3] - x) < Math.abs(a[3] - x) ? b : a));
  };
  curve.addEventListener("pointermove", (event) => {
    const point = pointAt(event), box = curve.getBoundingClientRect();
    hover.setAttribute("x1", point[3]);
    hover.setAttribute("x2", point[3]);
    hover.setAttribute("visibility", "visible");
    tip.hidden = false;
    tip.textContent =
      `Frame ${point[0]}: ${decibels(point[1])}, ${decibels(point[2])} without light`;
    const left = curve.offsetLeft || box.left - curve.parentElement.getBoundingClientRect().left;
    const x = left + (point[3] / data.chart[0]) * box.width;
    const half = tip.offsetWidth / 2;
    tip.style.left = Math.min(Math.max(x, half), left + box.width - half) + "px";
  });
  curve.addEventListener("pointerleave", () => {
    tip.hidden = true;
    hover.setAttribute("visibility", "hidden");
  });
  curve.addEventListener("click", (event) => go(nearest(pointAt(event)[0])));

  scrub.addEventListener("input", () => go(Number(scrub.value)));
  id("play").addEventListener("click", () => play(!state.timer));
  id("full").addEventListener("click", fill);
  id("difference").addEventListener("click", () => difference(!state.difference));
  for (const button of all("[data-lower]"))
    button.addEventListener("click", () => compare(button.dataset.lower));
  for (const button of all("[data-over]"))
    button.addEventListener("click", () => overlay(button.dataset.over));
  for (const button of all("[data-texture]"))
    button.addEventListener("click", () => textures(button.dataset.texture));
  for (const button of all("[data-frame]"))
    button.addEventListener("click", () => go(nearest(Number(button.dataset.frame))));

  const keys = {
    ArrowLeft: (event) => go(state.at - (event.shiftKey ? 10 : 1)),
    ArrowRight: (event) => go(state.at + (event.shiftKey ? 10 : 1)),
    Home: () => go(0),
    End: () => go(count - 1),
    " ": () => play(!state.timer),
    "[": () => wiped(Number(wipe.value) - 5),
    "]": () => wiped(Number(wipe.value) + 5),
    1: () => compare("reconstruction"),
    2: () => compare("edit"),
    d: () => difference(!state.difference),
    m: () => overlay(state.over === "mattes" ? "" : "mattes"),
    f: fill,
    h: () => overlay(state.over === "heat" ? "" : "heat"),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End";
    if (event.target === wipe && moves) return; // its own
    if (event.key === " " && event.target.closest("button, summary")) return;
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act(event);
  });

  show();
})();
