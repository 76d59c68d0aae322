// One model of the report: its graphs, which nodes of one are which of another, and what was found about them.
import { Graph } from "./graph.js";

export const KINDS = ["original", "fixed", "mnn"];
export const TITLES = { original: "Original", fixed: "After the rewrites", mnn: "MNN's graph" };
const RANK = { error: 3, warning: 2, info: 1 };

export class Model {
  constructor(raw) {
    this.raw = raw;
    this.name = raw.model;
    this.kinds = KINDS.filter((kind) => raw.graphs[kind]);
    this.graphs = Object.fromEntries(this.kinds.map((kind) => [kind, new Graph(kind, raw.graphs[kind])]));
    this.findings = unpacked(raw.findings);
    this.#link();
    this.result = (name) => raw.results[raw.kinds.indexOf(name)];
    this.parity = this.#find("parity");
    this.diagnosis = this.result("Diagnosis");
    this.backends = raw.results.flatMap((each) => each.backends ?? each.check?.backends ?? []);
  }

  #find(field) {
    return this.raw.results.map((each) => each[field]).find(Boolean);
  }

  #link() {
    this.steps = {}; // kind -> {up: node -> nodes of the kind before, down: node of that -> nodes}
    for (const kind of this.kinds.slice(1)) {
      const [up, down] = [new Map(), new Map()];
      const pairs = this.raw.links[kind]?.pairs ?? [];
      for (let at = 0; at < pairs.length; at += 2) {
        add(up, pairs[at], pairs[at + 1]);
        add(down, pairs[at + 1], pairs[at]);
      }
      const [here, before] = [this.graphs[kind], this.graphs[this.kinds[this.kinds.indexOf(kind) - 1]]];
      linkTerminals(here, before, up, down);
      this.steps[kind] = { up, down };
    }
  }

  // The nodes of another graph that a node is.
  mapped(from, node, to) {
    let found = [node];
    let at = this.kinds.indexOf(from);
    const goal = this.kinds.indexOf(to);
    while (at !== goal && found.length) {
      const side = at > goal ? "up" : "down";
      const kind = side === "up" ? this.kinds[at] : this.kinds[at + 1];
      found = [...new Set(found.flatMap((each) => this.steps[kind][side].get(each) ?? []))];
      at += at > goal ? -1 : 1;
    }
    return found;
  }

  change(kind, node) {
    const links = this.raw.links.fixed;
    if (!links) return "";
    this.changes ??= {
      added: new Set(links.added),
      removed: new Set(links.removed),
      changed: new Set(links.changed),
    };
    const { added, removed, changed } = this.changes;
    if (kind === "original") {
      if (removed.has(node)) return "removed";
      return this.mapped("original", node, "fixed").some((each) => changed.has(each)) ? "changed" : "";
    }
    const nodes = kind === "fixed" ? [node] : this.mapped(kind, node, "fixed");
    if (nodes.some((each) => added.has(each))) return "added";
    return nodes.some((each) => changed.has(each)) ? "changed" : "";
  }

  // Findings about a node, as seen in one graph.
  findingsOf(kind, node) {
    if (!this.byNode) {
      this.byNode = new Map();
      for (const each of this.findings) if (each.node >= 0) add(this.byNode, `${each.graph} ${each.node}`, each);
    }
    const own = this.byNode.get(`${kind} ${node}`) ?? [];
    if (kind === "original") return own;
    const before = this.kinds[this.kinds.indexOf(kind) - 1];
    const already = new Set(own.map((each) => each.code + each.message));
    const others = this.mapped(kind, node, before).flatMap((each) => this.findingsOf(before, each));
    return [...own, ...others.filter((each) => !already.has(each.code + each.message))];
  }

  severity(kind, node) {
    return this.findingsOf(kind, node).reduce((most, each) => Math.max(most, RANK[each.severity]), 0);
  }

  // Layers of the diagnosis that a node is in.
  layersOf(kind, node) {
    const { layers } = this.raw;
    if (!layers || !this.diagnosis) return [];
    if (!this.layerOf) {
      this.layerOf = new Map();
      layers.nodes.forEach((nodes, at) => nodes.forEach((each) => add(this.layerOf, each, at)));
    }
    const nodes = kind === layers.graph ? [node] : this.mapped(kind, node, layers.graph);
    return [...new Set(nodes.flatMap((each) => this.layerOf.get(each) ?? []))];
  }
}

function add(map, key, value) {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

function linkTerminals(here, before, up, down) {
  const named = new Map();
  for (let node = before.real; node < before.size; node++) named.set(before.op(node) + before.name(node), node);
  const link = (node, op) => {
    const other = named.get(op + here.name(node));
    if (other === undefined) return;
    add(up, node, other);
    add(down, other, node);
  };
  for (let node = here.real; node < here.size; node++) link(node, here.op(node));
  if (here.kind === "mnn") for (let node = 0; node < here.real; node++) if (here.op(node) === "Input") link(node, "Input");
}

function unpacked(columns) {
  const { strings } = columns;
  return columns.node.map((node, at) => ({
    at,
    node,
    graph: strings[columns.graph[at]],
    code: strings[columns.code[at]],
    severity: strings[columns.severity[at]],
    category: strings[columns.category[at]],
    status: strings[columns.status[at]],
    message: strings[columns.message[at]],
    hint: strings[columns.hint[at]],
    fix: strings[columns.fix[at]],
    where: strings[columns.where[at]],
    evidence: columns.evidence[at].map((each) => strings[each]),
  }));
}
