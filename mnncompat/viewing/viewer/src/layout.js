// Places the members of one group: rows by the longest path, crossings reduced by a few sweeps of barycentres, and
// horizontal positions by isotonic regression. Every step takes time in proportion to members and connections.

const GAP_X = 22;
const GAP_Y = 38;
const LANE = 14; // width that a connection takes in a row that it passes
const SWEEPS = 3;
const LONGEST = 120; // rows that a connection passes in a lane of its own; a longer one is drawn across

// members: [{w, h}] in the order of computation; links: [from, to] by position.
// Returns {w, h, x, y, lanes}: positions of the members, and for each link the points that it passes.
export function layout(members, links) {
  const rank = ranks(members.length, links);
  const cells = members.map((member, at) => ({ w: member.w, h: member.h, row: rank[at], up: [], down: [], member: at }));
  const lanes = connect(cells, links, rank, 4 * members.length + 4000);
  const rows = inRows(cells);
  order(rows);
  const [w, h] = place(rows);
  return {
    w,
    h,
    x: members.map((_, at) => cells[at].x - cells[at].w / 2),
    y: members.map((_, at) => cells[at].y),
    lanes: lanes.map((lane) => lane.map((cell) => [cell.x, cell.y + cell.h / 2])),
  };
}

function ranks(count, links) {
  const rank = new Int32Array(count);
  const before = Array.from({ length: count }, () => []);
  const after = Array.from({ length: count }, () => []);
  for (const [from, to] of links) {
    if (from < to) {
      before[to].push(from);
      after[from].push(to);
    }
  }
  for (let at = 0; at < count; at++) for (const each of before[at]) rank[at] = Math.max(rank[at], rank[each] + 1);
  for (let at = count - 1; at >= 0; at--) {
    // What nothing is computed before goes next to what reads it.
    if (before[at].length || !after[at].length) continue;
    let least = Infinity;
    for (const each of after[at]) least = Math.min(least, rank[each]);
    rank[at] = Math.max(least - 1, 0);
  }
  return rank;
}

function connect(cells, links, rank, budget) {
  return links.map(([from, to]) => {
    const [top, bottom] = rank[from] < rank[to] ? [from, to] : [to, from];
    const span = rank[bottom] - rank[top];
    if (span === 0) return [];
    if (span - 1 > LONGEST || span - 1 > budget) return [];
    budget -= span - 1;
    const lane = [];
    let last = cells[top];
    for (let row = rank[top] + 1; row < rank[bottom]; row++) {
      const cell = { w: LANE, h: 0, row, up: [], down: [], member: -1 };
      join(last, cell);
      cells.push(cell);
      lane.push(cell);
      last = cell;
    }
    join(last, cells[bottom]);
    return top === from ? lane : lane.toReversed ? lane.toReversed() : [...lane].reverse();
  });
}

function join(upper, lower) {
  upper.down.push(lower);
  lower.up.push(upper);
}

function inRows(cells) {
  const rows = [];
  for (const cell of cells) (rows[cell.row] ??= []).push(cell);
  return Array.from(rows, (row) => row ?? []);
}

function order(rows) {
  for (const row of rows) row.forEach((cell, at) => (cell.at = at));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (let at = 1; at < rows.length; at++) sortBy(rows[at], "up");
    for (let at = rows.length - 2; at >= 0; at--) sortBy(rows[at], "down");
  }
}

function sortBy(row, side) {
  if (row.length < 2) return;
  for (const cell of row) {
    const near = cell[side];
    let sum = 0;
    for (const each of near) sum += each.at;
    cell.key = near.length ? sum / near.length : cell.at;
  }
  row.sort((a, b) => a.key - b.key || a.at - b.at);
  row.forEach((cell, at) => (cell.at = at));
}

function place(rows) {
  for (const row of rows) {
    let x = 0;
    for (const cell of row) {
      cell.x = x + cell.w / 2;
      x += cell.w + GAP_X;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (let at = 1; at < rows.length; at++) align(rows[at], "up");
    for (let at = rows.length - 2; at >= 0; at--) align(rows[at], "down");
  }
  for (let at = 1; at < rows.length; at++) align(rows[at], "up");
  let left = Infinity;
  let right = -Infinity;
  let y = 0;
  for (const row of rows) {
    const height = row.reduce((most, cell) => Math.max(most, cell.h), 0);
    for (const cell of row) {
      cell.y = y + (height - cell.h) / 2;
      left = Math.min(left, cell.x - cell.w / 2);
      right = Math.max(right, cell.x + cell.w / 2);
    }
    y += height + GAP_Y;
  }
  for (const row of rows) for (const cell of row) cell.x -= left;
  return rows.length ? [right - left, y - GAP_Y] : [0, 0];
}

// Moves each cell of a row as near as possible to those that it is connected with on one side: the positions that keep
// the order and the gaps and are nearest in the sense of least squares (pool adjacent violators).
function align(row, side) {
  const pools = [];
  let offset = 0;
  row.forEach((cell, at) => {
    if (at) offset += (row[at - 1].w + cell.w) / 2 + (cell.member < 0 && row[at - 1].member < 0 ? 2 : GAP_X);
    const near = cell[side];
    let sum = 0;
    let weight = 0;
    for (const each of near) {
      const strength = cell.member < 0 && each.member < 0 ? 6 : 1;
      sum += each.x * strength;
      weight += strength;
    }
    const wanted = (weight ? sum / weight : cell.x) - offset;
    let pool = { wanted, weight: weight || 0.05, cells: [[cell, offset]] };
    while (pools.length && pools.at(-1).wanted > pool.wanted) {
      const other = pools.pop();
      const total = other.weight + pool.weight;
      const merged = (other.wanted * other.weight + pool.wanted * pool.weight) / total;
      const [long, short] = other.cells.length >= pool.cells.length ? [other.cells, pool.cells] : [pool.cells, other.cells];
      for (const each of short) long.push(each);
      pool = { wanted: merged, weight: total, cells: long };
    }
    pools.push(pool);
  });
  for (const pool of pools) for (const [cell, shift] of pool.cells) cell.x = pool.wanted + shift;
}
