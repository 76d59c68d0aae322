// What is drawn of a graph: boxes and connections with their positions, for the groups that are open.
import { ROOT } from "./graph.js";
import { layout } from "./layout.js";

const PAD = 18;
const HEAD = 30;
const CELL = 512;
const MOST_LABEL = 30;
const OPENED = 120; // boxes that are shown at first, at most

export function nodeLabel(graph, node) {
  const name = graph.name(node);
  if (graph.isTerminal(node)) return clipped(name);
  const short = name.slice(name.lastIndexOf("/", name.length - 2) + 1) || name;
  // A name that says no more than the operator gives way to the shape of the result.
  if (short.replace(/[_.\d]+$/, "") !== graph.op(node)) return clipped(short);
  const [value] = graph.outputs(node);
  return clipped((value >= 0 && graph.valueType(value)) || short);
}

export function clipped(text, most = MOST_LABEL) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

// The groups to open at first: from the outermost, as long as there is room.
export function firstOpened(graph) {
  const open = new Set();
  let shown = graph.childGroups[0].length + graph.childNodes[0].length;
  const waiting = [...graph.childGroups[0]];
  for (let at = 0; at < waiting.length; at++) {
    const group = waiting[at];
    // One of several blocks alike tells no more when it is open than the others do closed.
    if (graph.groups.kind[group] !== "module" && graph.size > OPENED) continue;
    const inner = graph.childGroups[group + 1].length + graph.childNodes[group + 1].length;
    if (shown + inner - 1 > OPENED) continue;
    shown += inner - 1;
    open.add(group);
    waiting.push(...graph.childGroups[group + 1]);
  }
  return open;
}

// Everything around a node is opened.
export function openTo(graph, node, open) {
  for (let group = graph.group(node); group !== ROOT; group = graph.groups.parent[group]) open.add(group);
}

export class Scene {
  constructor(graph, open) {
    this.graph = graph;
    this.open = open;
    this.boxes = []; // {node | group, x, y, w, h, frame, depth}
    this.ofNode = new Map();
    this.ofGroup = new Map();
    this.#collect();
    this.#link();
    this.#place();
    this.#index();
  }

  #collect() {
    const { graph } = this;
    this.root = { group: ROOT, inside: [], depth: 0, up: null, first: 0 };
    const waiting = [this.root];
    while (waiting.length) {
      const frame = waiting.pop();
      for (const group of graph.childGroups[frame.group + 1]) {
        const box = { group, node: -1, depth: frame.depth + 1, up: frame, first: graph.first[group] };
        if (this.open.has(group)) {
          box.inside = [];
          waiting.push(box);
        } else {
          box.w = Math.max(130, 34 + 7.2 * clipped(graph.groups.label[group]).length);
          box.h = 46;
        }
        this.ofGroup.set(group, box);
        frame.inside.push(box);
      }
      for (const node of graph.childNodes[frame.group + 1]) {
        const longest = Math.max(graph.op(node).length * 7.6, nodeLabel(graph, node).length * 6.2);
        const box = { group: ROOT, node, depth: frame.depth + 1, up: frame, w: Math.min(Math.max(84, 30 + longest), 230), h: 40 };
        box.first = graph.isTerminal(node) ? (graph.op(node) === "Input" ? -1 : graph.size) : node;
        this.ofNode.set(node, box);
        frame.inside.push(box);
      }
    }
  }

  // The box that stands for a node: its own, or that of the outermost closed group around it.
  boxOf(node) {
    const own = this.ofNode.get(this.graph.drawn(node));
    if (own) return own;
    let found;
    for (let group = this.graph.group(node); group !== ROOT; group = this.graph.groups.parent[group]) {
      const box = this.ofGroup.get(group);
      if (box && !box.inside) found = box;
    }
    return found;
  }

  #link() {
    const { graph } = this;
    const stand = Array.from({ length: graph.size }, (_, node) => (graph.isHidden(node) ? undefined : this.boxOf(node)));
    const seen = new Map();
    this.links = [];
    for (let node = 0; node < graph.size; node++) {
      const to = stand[node];
      if (!to) continue;
      for (const value of graph.sources(node)) {
        const from = value < 0 || graph.producer[value] < 0 ? undefined : stand[graph.producer[value]];
        if (!from || from === to) continue;
        let targets = seen.get(from);
        if (!targets) seen.set(from, (targets = new Map()));
        const link = targets.get(to);
        if (link) link.count++;
        else {
          const made = { from, to, value, count: 1 };
          targets.set(to, made);
          this.links.push(made);
        }
      }
    }
    for (const link of this.links) this.#lift(link);
  }

  // Which two members of a frame a link connects: those that hold its ends.
  #lift(link) {
    let { from, to } = link;
    while (from.depth > to.depth) from = from.up;
    while (to.depth > from.depth) to = to.up;
    while (from.up !== to.up) [from, to] = [from.up, to.up];
    if (from === to) return; // the end is a frame around the other end
    const frame = from.up;
    frame.lifted ??= new Map();
    let targets = frame.lifted.get(from);
    if (!targets) frame.lifted.set(from, (targets = new Map()));
    if (!targets.has(to)) targets.set(to, []);
    targets.get(to).push(link);
  }

  #place() {
    const frames = [];
    const waiting = [this.root];
    while (waiting.length) {
      const frame = waiting.pop();
      frames.push(frame);
      for (const box of frame.inside) if (box.inside) waiting.push(box);
    }
    for (let at = frames.length - 1; at >= 0; at--) this.#placeInside(frames[at]);
    this.root.x = this.root.y = 0;
    for (const frame of frames) {
      const [dx, dy] = frame === this.root ? [0, 0] : [frame.x + PAD + (frame.slack ?? 0), frame.y + HEAD + PAD];
      for (const box of frame.inside) {
        box.x += dx;
        box.y += dy;
        this.boxes.push(box);
      }
      for (const link of frame.passed ?? []) link.points = link.points.map(([x, y]) => [x + dx, y + dy]);
    }
    this.w = this.root.w;
    this.h = this.root.h;
    for (const link of this.links) this.#route(link);
  }

  #placeInside(frame) {
    frame.inside.sort((a, b) => a.first - b.first);
    frame.inside.forEach((box, at) => (box.at = at));
    const pairs = [];
    const carried = [];
    for (const [from, targets] of frame.lifted ?? []) {
      for (const [to, links] of targets) {
        pairs.push([from.at, to.at]);
        carried.push(links);
      }
    }
    const found = layout(frame.inside, pairs);
    frame.inside.forEach((box, at) => {
      box.x = found.x[at];
      box.y = found.y[at];
    });
    frame.passed = [];
    carried.forEach((links, at) => {
      for (const link of links) {
        link.points = found.lanes[at];
        frame.passed.push(link);
      }
    });
    if (frame === this.root) [frame.w, frame.h] = [found.w, found.h];
    else {
      const least = 60 + 7.4 * clipped(this.graph.groups.label[frame.group], 40).length;
      frame.w = Math.max(found.w + 2 * PAD, least);
      frame.slack = (frame.w - found.w) / 2 - PAD;
      frame.h = found.h + 2 * PAD + HEAD;
    }
  }

  #route(link) {
    const { from, to } = link;
    const [start, end] = [[from.x + from.w / 2, from.y + from.h], [to.x + to.w / 2, to.y]];
    const path = [start, ...(link.points ?? []), end];
    link.path = path;
    link.x0 = link.y0 = Infinity;
    link.x1 = link.y1 = -Infinity;
    for (const [x, y] of path) {
      link.x0 = Math.min(link.x0, x);
      link.x1 = Math.max(link.x1, x);
      link.y0 = Math.min(link.y0, y);
      link.y1 = Math.max(link.y1, y);
    }
    (from.out ??= []).push(link);
    (to.in ??= []).push(link);
  }

  #index() {
    this.cells = new Map();
    this.long = [];
    for (const box of this.boxes) if (!box.inside) this.#enter(box, box.x, box.y, box.x + box.w, box.y + box.h, "boxes");
    this.frames = this.boxes.filter((box) => box.inside);
    for (const link of this.links) this.#enter(link, link.x0, link.y0, link.x1, link.y1, "links");
  }

  #enter(item, x0, y0, x1, y1, kind) {
    const [left, right, top, bottom] = [x0, x1, y0, y1].map((each) => Math.floor(each / CELL));
    if (kind === "links" && (right - left + 1) * (bottom - top + 1) > 12) {
      this.long.push(item);
      return;
    }
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const key = row * 1e6 + column;
        let cell = this.cells.get(key);
        if (!cell) this.cells.set(key, (cell = { boxes: [], links: [] }));
        cell[kind].push(item);
      }
    }
  }

  // Boxes and links in a rectangle; each once.
  within(x0, y0, x1, y1) {
    const stamp = (this.stamp = (this.stamp ?? 0) + 1);
    const [boxes, links] = [[], []];
    const take = (list, item) => {
      if (item.stamp === stamp) return;
      item.stamp = stamp;
      list.push(item);
    };
    const rows = [Math.floor(y0 / CELL), Math.floor(y1 / CELL)];
    const columns = [Math.floor(x0 / CELL), Math.floor(x1 / CELL)];
    if ((rows[1] - rows[0] + 1) * (columns[1] - columns[0] + 1) > this.cells.size) {
      for (const cell of this.cells.values()) {
        for (const box of cell.boxes) take(boxes, box);
        for (const link of cell.links) take(links, link);
      }
    } else {
      for (let row = rows[0]; row <= rows[1]; row++) {
        for (let column = columns[0]; column <= columns[1]; column++) {
          const cell = this.cells.get(row * 1e6 + column);
          if (!cell) continue;
          for (const box of cell.boxes) take(boxes, box);
          for (const link of cell.links) take(links, link);
        }
      }
    }
    for (const link of this.long) {
      if (link.x1 >= x0 && link.x0 <= x1 && link.y1 >= y0 && link.y0 <= y1) links.push(link);
    }
    return { boxes, links };
  }

  // What is at a point: the innermost box, or the head of a frame.
  at(x, y) {
    const inside = (box) => x >= box.x && x <= box.x + box.w && y >= box.y && y <= box.y + box.h;
    const hit = this.within(x, y, x, y).boxes.find(inside);
    if (hit) return hit;
    return this.frames.filter((box) => inside(box) && y <= box.y + HEAD).sort((a, b) => b.depth - a.depth)[0];
  }
}

export { HEAD };
