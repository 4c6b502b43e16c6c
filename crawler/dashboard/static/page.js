// Charts out of what the server put into the page, no stream of events for a tab that nobody sees, and a way
// back to the login when a session is over.
// Everything else is htmx, or works without scripts.
"use strict";
(() => {
  const ZONE = "Asia/Shanghai";
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function options(box, kind) {
    const upwards = (_, __, most) => [0, Math.max((most ?? 0) * 1.1, 1)];
    const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 },
      ticks: { show: false }, font: "12px system-ui", size: 46 };
    const time = { ...axis, size: 28, space: 95, values: "{HH}:{mm}", incrs: [60, 300, 600, 900, 1800] };
    const hours = { ...axis, size: 28, space: 95, values: "{MM}-{DD} {HH}:00" };
    const line = (name, scale) => ({ stroke: () => colour(name), width: 1.6, points: { show: false }, scale });
    const bars = { stroke: () => colour("--accent"), fill: () => colour("--accent") + "c0", width: 0,
      points: { show: false }, paths: uPlot.paths.bars({ size: [0.8, 40] }) };
    return {
      width: box.clientWidth, height: box.clientHeight, padding: [10, 4, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), ZONE),
      cursor: { show: false }, legend: { show: false },
      scales: { y: { range: upwards }, second: { range: upwards } },
      axes: kind === "hours" ? [hours, axis] : [time, axis, { ...axis, scale: "second", side: 1, grid: { show: false } }],
      series: kind === "hours" ? [{}, bars] : [{}, line("--accent", "y"), line("--second", "second")],
    };
  }

  function draw(box) {
    const source = document.querySelector(`#${box.dataset.chart} [data-points]`);
    if (!source) return;
    const points = JSON.parse(source.dataset.points);
    box.setAttribute("aria-label", source.dataset.label);
    if (box.plot) box.plot.setData(points);
    else box.plot = new uPlot(options(box, box.dataset.kind), points, box);
  }

  function redraw() {
    for (const box of document.querySelectorAll("[data-chart]")) {
      box.plot?.destroy();
      box.plot = null;
      draw(box);
    }
  }

  // Browsers keep six connections to a host, for all their tabs: one that nobody sees gives its own back.
  let source;
  htmx.createEventSource = (address) => {
    source?.close();
    source = new EventSource(address);
    if (document.hidden) source.close();
    return source;
  };

  function watch() {
    if (document.hidden) source?.close();
    else if (source?.readyState === EventSource.CLOSED)  // htmx connects what it processes, and what listens to it
      for (const item of document.querySelectorAll("[sse-connect], [sse-swap]"))
        htmx.trigger(item, "htmx:afterProcessNode");
  }

  function start() {
    redraw();
    document.addEventListener("visibilitychange", watch);
    let width = innerWidth;
    addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; redraw(); } });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    document.body.addEventListener("htmx:afterSwap", (event) => {
      for (const box of document.querySelectorAll("[data-chart]"))
        if (event.target.closest?.(`#${box.dataset.chart}`) || event.target.contains(box)) draw(box);
    });
    // The first events of a stream repeat what is there: nobody is told of that again.
    document.body.addEventListener("htmx:sseBeforeMessage", (event) => {
      if (event.target.getAttribute("role") === "status" && event.target.innerHTML.trim() === event.detail.data.trim())
        event.preventDefault();
    });
    // A stream that is refused: the session may be over, which the page itself then says.
    document.body.addEventListener("htmx:sseError", (event) => {
      if (event.detail.source.readyState === EventSource.CLOSED)
        fetch("/healthz").then((answer) => answer.ok && location.reload(), () => {});
    });
    document.body.addEventListener("change", (event) => {
      const all = event.target.closest("[data-checks]");
      if (all) for (const box of all.form.elements) if (box.name === all.dataset.checks) box.checked = all.checked;
    });
  }

  document.readyState === "loading" ? addEventListener("DOMContentLoaded", start) : start();
})();
