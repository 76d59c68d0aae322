// One graph of the data: nodes, values and groups by number, with what is asked of them often.

export const ROOT = -1;

export class Graph {
  constructor(kind, raw) {
    this.kind = kind;
    this.title = raw.title;
    this.strings = raw.strings;
    this.raw = raw;
    this.real = raw.nodes.op.length; // the nodes of the model; its inputs and outputs follow as nodes of their own
    this.terminals = [
      ...raw.inputs.map((value) => ({ op: "Input", value })),
      ...raw.outputs.map((value) => ({ op: "Output", value })),
    ];
    this.size = this.real + this.terminals.length;
    this.groups = raw.groups;
    this.placed = raw.placed ?? {};
    this.#connect();
    this.#arrange();
  }

  #connect() {
    const values = this.raw.values.name.length;
    this.producer = new Int32Array(values).fill(-1);
    this.consumers = Array.from({ length: values }, () => []);
    for (let node = 0; node < this.size; node++) {
      for (const value of this.outputs(node)) this.producer[value] = node;
    }
    for (let node = 0; node < this.size; node++) {
      for (const value of new Set(this.inputs(node))) if (value >= 0) this.consumers[value].push(node);
    }
  }

  #arrange() {
    const { parent } = this.groups;
    this.childGroups = Array.from({ length: parent.length + 1 }, () => []);
    this.childNodes = Array.from({ length: parent.length + 1 }, () => []);
    parent.forEach((up, group) => this.childGroups[up + 1].push(group));
    const { group, hidden } = this.raw.nodes;
    for (let node = 0; node < this.size; node++) {
      if (!hidden[node]) this.childNodes[(group[node] ?? ROOT) + 1].push(node);
    }
    this.first = new Float64Array(parent.length).fill(Infinity); // the first node inside of each group
    this.counts = new Int32Array(parent.length);
    for (let each = parent.length - 1; each >= 0; each--) {
      for (const node of this.childNodes[each + 1]) {
        this.counts[each]++;
        this.first[each] = Math.min(this.first[each], node);
      }
      for (const inner of this.childGroups[each + 1]) {
        this.counts[each] += this.counts[inner];
        this.first[each] = Math.min(this.first[each], this.first[inner]);
      }
    }
    // A graph inside of a node comes before it: it gives the node what that gives.
    for (let node = 0; node < this.real; node++) {
      for (const value of this.raw.nodes.held[node]) {
        let inside = this.producer[value] < 0 ? ROOT : group[this.producer[value]];
        while (inside !== ROOT && this.groups.kind[inside] !== "body") inside = parent[inside];
        if (inside !== ROOT && parent[inside] === group[node]) this.first[inside] = node - 0.5;
      }
    }
  }

  isTerminal(node) {
    return node >= this.real;
  }

  op(node) {
    return this.isTerminal(node) ? this.terminals[node - this.real].op : this.strings[this.raw.nodes.op[node]];
  }

  name(node) {
    if (this.isTerminal(node)) return this.valueName(this.terminals[node - this.real].value);
    return this.strings[this.raw.nodes.name[node]];
  }

  inputs(node) {
    if (!this.isTerminal(node)) return this.raw.nodes.in[node];
    const { op, value } = this.terminals[node - this.real];
    return op === "Output" ? [value] : [];
  }

  // What a node reads, and what the graphs inside of it give.
  sources(node) {
    const held = this.isTerminal(node) ? [] : this.raw.nodes.held[node];
    return held.length ? [...this.inputs(node), ...held] : this.inputs(node);
  }

  outputs(node) {
    if (!this.isTerminal(node)) return this.raw.nodes.out[node];
    const { op, value } = this.terminals[node - this.real];
    return op === "Input" ? [value] : [];
  }

  attributes(node) {
    const flat = this.isTerminal(node) ? [] : this.raw.nodes.attrs[node];
    const found = [];
    for (let at = 0; at < flat.length; at += 2) found.push([this.strings[flat[at]], this.strings[flat[at + 1]]]);
    return found;
  }

  bytes(node) {
    return this.isTerminal(node) ? 0 : this.raw.nodes.bytes[node];
  }

  isHidden(node) {
    return !this.isTerminal(node) && !!this.raw.nodes.hidden[node];
  }

  group(node) {
    return this.isTerminal(node) ? ROOT : this.raw.nodes.group[node];
  }

  valueName(value) {
    return this.strings[this.raw.values.name[value]];
  }

  valueType(value) {
    return this.strings[this.raw.values.type[value]];
  }

  valueBytes(value) {
    return this.raw.values.bytes[value];
  }

  // A node that is drawn: that of a weight is the one that reads it.
  drawn(node) {
    if (!this.isHidden(node)) return node;
    for (const value of this.outputs(node)) {
      const reader = this.consumers[value].find((each) => !this.isHidden(each));
      if (reader !== undefined) return reader;
    }
    return node;
  }

  byName(name) {
    if (!this.named) {
      this.named = new Map();
      for (let node = this.size - 1; node >= 0; node--) this.named.set(this.name(node), node);
    }
    return this.named.get(name);
  }

  // All nodes inside of a group, at any depth.
  nodesOf(group) {
    const found = [];
    const waiting = [group];
    while (waiting.length) {
      const each = waiting.pop();
      for (const node of this.childNodes[each + 1]) found.push(node);
      for (const inner of this.childGroups[each + 1]) waiting.push(inner);
    }
    return found;
  }

  groupPath(group) {
    const found = [];
    for (let each = group; each !== ROOT; each = this.groups.parent[each]) found.unshift(this.groups.label[each]);
    return found;
  }
}
