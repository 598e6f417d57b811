// Orders as bars and revenue as a line, drawn as SVG. Knows nothing of where the numbers come from.

const SVG = "http://www.w3.org/2000/svg";
const NARROWEST = 280, HEIGHT = 190, LEFT = 34, RIGHT = 8, TOP = 10, BOTTOM = 22;

function el(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** The smallest round number that is not below. */
export function ceiling(value) {
  let unit = 1;
  for (;;) {
    for (const step of [1, 2, 3, 4, 5, 6, 8]) if (unit * step >= value) return unit * step;
    unit *= 10;
  }
}

/** Every step of the span, also those in which nothing happened. */
export function fill(rows, now, stepMs, count, currency) {
  const last = Math.floor(now / stepMs) * stepMs;
  const points = [];
  for (let index = count - 1; index >= 0; index--) points.push({ at: last - index * stepMs, orders: 0, revenue: 0 });
  const first = points[0].at;
  for (const row of rows) {
    const point = points[Math.round((Date.parse(row.start) - first) / stepMs)];
    if (!point) continue;
    point.orders += row.orders;
    if (row.currency === currency) point.revenue += row.revenue;
  }
  return points;
}

/** Draws into a figure. `money` and `time` make words of numbers. */
export function draw(figure, points, stepMs, money, time) {
  // As wide as its place, so that its letters are as large as all others.
  const WIDTH = Math.max(NARROWEST, figure.clientWidth);
  const orders = points.reduce((sum, point) => sum + point.orders, 0);
  const revenue = points.reduce((sum, point) => sum + point.revenue, 0);
  const most = ceiling(Math.max(1, ...points.map((point) => point.orders)));
  const top = Math.max(1, ...points.map((point) => point.revenue));
  const wide = (WIDTH - LEFT - RIGHT) / points.length;
  const tall = HEIGHT - TOP - BOTTOM;
  const x = (index) => LEFT + index * wide;
  const y = (share) => TOP + tall * (1 - share);
  const grid = [0, 0.5, 1].filter((share) => Number.isInteger(most * share)).flatMap((share) => [
    el("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(share), y2: y(share) }),
    el("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, String(most * share)),
  ]);
  const bars = points.map((point, index) => {
    const height = tall * point.orders / most;
    const bar = { x: x(index) + wide * 0.12, y: TOP + tall - height, width: wide * 0.76, height };
    return el("rect", bar, el("title", {}, `${time(point.at)}: ${point.orders} orders, ${money(point.revenue)}`));
  });
  const line = points.map((point, index) => `${(x(index) + wide / 2).toFixed(1)},${y(point.revenue / top * 0.96).toFixed(1)}`);
  const every = Math.ceil(points.length / Math.max(2, Math.floor(WIDTH / 95)));
  const labels = points.map((point, index) => [point, index]).filter(([, index]) => index % every === 0).map(([point, index]) =>
    el("text", { x: x(index) + wide / 2, y: HEIGHT - 5, "text-anchor": "middle" }, time(point.at)));
  const name = `${orders} orders and ${money(revenue)} in the span shown, by ${stepMs === 60000 ? "minute" : "hour"}`;
  const svg = el("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": name },
    ...grid, el("g", { class: "bars" }, ...bars), el("polyline", { class: "line", points: line.join(" ") }), ...labels);
  const legend = document.createElement("figcaption");
  legend.className = "key-of";
  for (const [kind, text] of [["orders", `${orders} orders`], ["revenue", `${money(revenue)} revenue, at most ${money(top === 1 ? 0 : top)}`]]) {
    const item = document.createElement("span");
    item.className = kind;
    item.append(document.createElement("i"), text);
    legend.append(item);
  }
  figure.replaceChildren(svg, legend);
}
