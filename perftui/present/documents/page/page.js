"use strict";
(() => {
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(each => { each.open = true; }));
  const charts = document.getElementById("charts");
  if (!charts) return;
  const span = Number(charts.dataset.span), start = Number(charts.dataset.from);
  const plots = [...charts.querySelectorAll(".plot")], out = charts.querySelector("output");
  let from = 0, to = span;
  const clock = at => new Date((start + at) * 1000).toLocaleTimeString([], { hour12: false });
  const show = (first, last) => {
    const least = Math.min(5, span), wide = Math.min(Math.max(last - first, least), span);
    from = Math.min(Math.max(first, 0), span - wide);
    to = from + wide;
    for (const plot of plots) plot.setAttribute("viewBox", `${from} 0 ${wide} 100`);
    for (const axis of charts.querySelectorAll(".axis")) {
      [from, (from + to) / 2, to].forEach((at, place) => { axis.children[place].textContent = clock(at); });
    }
    out.textContent = wide < span ? `${clock(from)} to ${clock(to)}` : "";
  };
  const moves = {
    out: () => show(0, span),
    in: () => show(from + (to - from) / 4, to - (to - from) / 4),
    left: () => show(from - (to - from) / 2, to - (to - from) / 2),
    right: () => show(from + (to - from) / 2, to + (to - from) / 2),
  };
  charts.querySelector(".tools").hidden = false;
  charts.addEventListener("click", event => moves[event.target.dataset.do]?.());
  for (const plot of plots) {
    const at = event => {
      const box = plot.getBoundingClientRect();
      return from + (to - from) * Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    };
    let began = null, picked = null;
    plot.addEventListener("pointerdown", event => {
      began = at(event);
      picked = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      picked.setAttribute("class", "picked");
      picked.setAttribute("height", "100");
      plot.append(picked);
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", event => {
      if (began === null) { out.textContent = clock(at(event)); return; }
      picked.setAttribute("x", Math.min(began, at(event)));
      picked.setAttribute("width", Math.abs(at(event) - began));
    });
    plot.addEventListener("pointerup", event => {
      const ends = at(event), begins = began;
      began = null;
      picked?.remove();
      if (Math.abs(ends - begins) > (to - from) / 50) show(Math.min(begins, ends), Math.max(begins, ends));
    });
    plot.addEventListener("pointercancel", () => { began = null; picked?.remove(); });
    plot.addEventListener("dblclick", moves.out);
  }
})();
