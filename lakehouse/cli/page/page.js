"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 40rem)");

  function layoutOf(figure) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const size = narrow.matches ? 11 : 12;
    const layout = {
      ...figure.layout,
      autosize: true,
      height: figure.layout.height || 320,
      margin: { l: 50, r: 20, t: 10, b: 50 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      colorway: colour("--colours").split(/\s+/),
      font: { color: colour("--ink"), family: getComputedStyle(document.body).fontFamily, size },
      hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
      hovermode: "closest",
      dragmode: false,
      showlegend: figure.data.length > 1,
      legend: { orientation: "h", traceorder: "normal", x: 0, y: 1.02, yanchor: "bottom" },
      separators: ". ",
      bargap: 0.3,
    };
    for (const axis of ["xaxis", "yaxis", "yaxis2"]) {
      if (axis in layout) {
        layout[axis] = {
          automargin: true, fixedrange: true, gridcolor: colour("--line"), zerolinecolor: colour("--line"),
          linecolor: colour("--line"), separatethousands: true, ...layout[axis],
        };
      }
    }
    return layout;
  }

  function draw() {
    for (const [key, figure] of Object.entries(figures)) {
      const place = document.getElementById("plot-" + key);
      Plotly.react(place, structuredClone(figure.data), layoutOf(figure), { responsive: true, displayModeBar: false });
    }
  }

  draw();
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
  document.documentElement.dataset.drawn = Object.keys(figures).length;
})();
