// Tables that sort and are searched, pictures that enlarge, light and dark, and the drawing of plots.
"use strict";
(() => {
  const root = document.documentElement;
  const store = {
    get: () => { try { return localStorage.getItem("daxa-report-theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("daxa-report-theme", value); } catch { /* private windows */ } },
  };

  // -- light and dark ----------------------------------------------------------------------
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const name = () => {
    for (const button of document.querySelectorAll(".theme")) {
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
    }
  };
  if (store.get()) root.dataset.theme = store.get();

  // -- plots -------------------------------------------------------------------------------
  let printing = false;
  const colour = (key) => getComputedStyle(root).getPropertyValue(`--${key}`).trim() || "#888";
  const resolved = (value) => {
    if (typeof value === "string" && value.startsWith("@")) return colour(value.slice(1));
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(resolved);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolved(v)]));
    }
    return value;
  };
  const axis = (given) => ({
    gridcolor: colour("faint"), linecolor: colour("line"), zerolinecolor: colour("line"), showline: true,
    ticks: "outside", tickcolor: colour("line"), ticklen: 4, automargin: true,
    spikecolor: colour("soft"), spikethickness: -1, spikedash: "dot",
    ...given, title: { standoff: 8, ...given.title },
  });
  const layoutOf = (figure) => {
    const given = resolved(figure.layout);
    const axes = Object.fromEntries(Object.keys(given).filter((k) => /^[xy]axis/.test(k)).map((k) => [k, axis(given[k])]));
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, hovermode: "x unified",
      font: { family: getComputedStyle(document.body).fontFamily, size: 11.5, color: colour("ink") },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("accent") },
      hoverlabel: { bgcolor: colour("bg"), bordercolor: colour("line"), font: { color: colour("ink") } },
      ...given, ...axes, margin: { l: 52, r: 14, t: 14, b: 40, ...given.margin },
      legend: { bgcolor: "rgba(0,0,0,0)", font: { size: 11 }, ...given.legend },
    };
  };
  const holder = document.getElementById("figures");
  const figures = holder ? JSON.parse(holder.textContent) : {};
  const areas = [...document.querySelectorAll("[data-plot]")];
  const draw = (area) => {
    const figure = figures[area.dataset.plot];
    if (!figure || typeof Plotly === "undefined") return Promise.resolve();
    area.dataset.drawn = "yes";
    return Plotly.react(area, resolved(figure.data), layoutOf(figure), {
      responsive: true, displaylogo: false,
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
      toImageButtonOptions: { format: "svg", filename: area.dataset.plot },
    }).then(() => {
      const size = area.getBoundingClientRect();
      area.style.setProperty("--ratio", `${size.width / Math.max(size.height, 1)}`);
      for (const svg of area.querySelectorAll(".main-svg")) {
        svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
      }
    });
  };
  const drawAll = (wanted) => areas.filter((a) => wanted || a.dataset.drawn).forEach(draw);
  const begin = () => {
    if (!("IntersectionObserver" in window)) { drawAll(true); return; }
    const watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) { watcher.unobserve(entry.target); draw(entry.target); }
      }
    }, { rootMargin: "400px" });
    areas.forEach((a) => watcher.observe(a));
  };
  const changed = () => { name(); drawAll(false); };
  system.addEventListener("change", changed);
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".theme")) return;
    root.dataset.theme = isDark() ? "light" : "dark";
    store.set(root.dataset.theme);
    changed();
  });

  // -- paper -------------------------------------------------------------------------------
  const folded = [];
  addEventListener("beforeprint", () => {
    if (printing) return;
    printing = true;
    for (const part of document.querySelectorAll("details:not([open])")) { part.open = true; folded.push(part); }
    root.dataset.screen = root.dataset.theme || "";
    root.dataset.theme = "light";
    drawAll(true);
  });
  addEventListener("afterprint", () => {
    printing = false;
    while (folded.length) folded.pop().open = false;
    if (root.dataset.screen) root.dataset.theme = root.dataset.screen; else delete root.dataset.theme;
    drawAll(false);
  });

  // -- tables ------------------------------------------------------------------------------
  const key = (row, column) => {
    const cell = row.cells[column];
    const value = cell.dataset.sort ?? cell.textContent.trim();
    const number = Number(value);
    return value === "" ? null : Number.isNaN(number) ? value.toLowerCase() : number;
  };
  const compare = (a, b) => (typeof a === typeof b ? (a > b) - (a < b) : typeof a === "number" ? -1 : 1);
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((h) => h.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
        rows.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null); // what is missing is last
          return down ? compare(b, a) : compare(a, b);
        });
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  }
  for (const input of document.querySelectorAll("input[data-filters]")) {
    const table = document.getElementById(input.dataset.filters);
    const said = input.closest(".search").querySelector("output");
    const filter = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      const all = table.tBodies[0].rows.length;
      said.textContent = shown === all ? `${all} observation${all === 1 ? "" : "s"}` : `${shown} of ${all} observations`;
    };
    input.addEventListener("input", filter);
    filter();
  }

  // -- pictures ----------------------------------------------------------------------------
  const dialog = document.querySelector("dialog");
  const show = (picture) => {
    const place = dialog.querySelector(".large");
    place.replaceChildren(picture.querySelector("svg").cloneNode(true));
    place.append(picture.querySelector("figcaption").cloneNode(true));
    dialog.showModal();
  };
  document.addEventListener("click", (event) => {
    const picture = event.target.closest(".picture");
    if (picture && dialog && !event.target.closest("a")) show(picture);
    if (dialog && (event.target === dialog || event.target.closest(".close"))) dialog.close();
  });

  name();
  begin();
})();
