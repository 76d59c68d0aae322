// Draws a scene on a canvas: what is visible, in as much detail as its size on the screen allows.
import { clipped, HEAD, nodeLabel } from "./scene.js";
import { groupScore, inkOn } from "./overlays.js";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const READABLE = 0.5; // scale from which on texts of nodes are drawn
const FAMILIES = [
  [/Conv|Pool|Deconv/, "conv"],
  [/MatMul|Gemm|Einsum|LSTM|GRU|RNN|Attention|InnerProduct/, "product"],
  [/Norm|Softmax|LRN|Scale/, "norm"],
  [/Reshape|Transpose|Concat|Slice|Gather|Squeeze|Flatten|Split|Pad|Expand|Shape|Permute|ConvertTensor|Cast|Resize|Tile/, "shape"],
  [/If|Loop|Scan|While/, "flow"],
  [/^(Input|Output)$/, "end"],
];

export function family(op) {
  return FAMILIES.find(([pattern]) => pattern.test(op))?.[1] ?? "math";
}

export function paint(context, scene, view, look) {
  const { width, height, ratio, transform } = view;
  const { k } = transform;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = look.theme.canvas;
  context.fillRect(0, 0, width, height);
  context.setTransform(ratio * k, 0, 0, ratio * k, ratio * transform.x, ratio * transform.y);
  const [x0, y0] = transform.invert([0, 0]);
  const [x1, y1] = transform.invert([width, height]);
  const seen = scene.within(x0, y0, x1, y1);
  paintFrames(context, scene, look, k, [x0, y0, x1, y1]);
  paintLinks(context, seen.links, look, k);
  if (k < 0.08) paintDots(context, seen.boxes, scene, look, k);
  else for (const box of seen.boxes) paintBox(context, box, scene, look, k);
  paintMarks(context, scene, look, k);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  paintHeads(context, scene, look, view, [x0, y0, x1, y1]);
}

function paintFrames(context, scene, look, k, [x0, y0, x1, y1]) {
  for (const box of scene.frames) {
    if (box.x > x1 || box.x + box.w < x0 || box.y > y1 || box.y + box.h < y0) continue;
    context.fillStyle = look.theme.frames[box.depth % look.theme.frames.length];
    context.strokeStyle = look.theme.frameLine;
    context.lineWidth = 1 / k;
    rounded(context, box, 10);
    context.fill();
    context.stroke();
  }
}

// Names of frames keep their size on the screen, and stay in sight while their frame is.
function paintHeads(context, scene, look, view, [x0, y0, x1, y1]) {
  const { k, x, y } = view.transform;
  const labels = scene.graph.groups.label;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.font = `600 12px ${FONT}`;
  for (const box of scene.frames) {
    if (box.x > x1 || box.x + box.w < x0 || box.y > y1 || box.y + box.h < y0 || box.w * k < 60) continue;
    const left = Math.max(box.x * k + x, 0) + 9;
    const right = Math.min((box.x + box.w) * k + x, view.width) - 6;
    const most = Math.floor((right - left) / 7.2);
    if (most < 4) continue;
    context.fillStyle = look.theme.faint;
    context.fillText(`▾ ${clipped(labels[box.group], Math.min(most - 2, 60))}`, left, box.y * k + y + Math.min(HEAD * k, HEAD) / 2 + 2);
  }
}

function paintLinks(context, links, look, k) {
  const faint = [];
  const strong = [];
  const { chosen } = look;
  for (const link of links) {
    if (chosen && (link.from === chosen || link.to === chosen)) strong.push(link);
    else if (k > 0.05 || (link.y1 - link.y0) * k > 1.5) faint.push(link);
  }
  context.lineWidth = Math.max(1.1, 0.8 / k);
  context.strokeStyle = look.theme.link;
  trace(context, faint, k);
  if (k > 0.3) {
    context.fillStyle = look.theme.link;
    for (const link of faint) arrow(context, link);
  }
  if (!strong.length) return;
  context.lineWidth = Math.max(2.2, 1.6 / k);
  context.strokeStyle = context.fillStyle = look.theme.accent;
  trace(context, strong, k);
  for (const link of strong) arrow(context, link);
}

function trace(context, links, k) {
  context.beginPath();
  for (const { path } of links) {
    context.moveTo(path[0][0], path[0][1]);
    for (let at = 1; at < path.length; at++) {
      const [[fromX, fromY], [toX, toY]] = [path[at - 1], path[at]];
      if (k < 0.25 || fromX === toX) context.lineTo(toX, toY);
      else {
        const bend = toY > fromY ? Math.min((toY - fromY) / 2, 60) : 50;
        context.bezierCurveTo(fromX, fromY + bend, toX, toY - bend, toX, toY);
      }
    }
  }
  context.stroke();
}

function arrow(context, { path }) {
  const [x, y] = path.at(-1);
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - 3.6, y - 7);
  context.lineTo(x + 3.6, y - 7);
  context.fill();
}

function colorOf(box, scene, look) {
  const { overlay } = look;
  const score = box.node >= 0 ? overlay.score(scene.graph.kind, box.node) : groupScore(overlay, scene.graph, box.group);
  return [score, overlay.color(score)];
}

function paintDots(context, boxes, scene, look, k) {
  const least = 1.2 / k;
  for (const box of boxes) {
    const [, color] = colorOf(box, scene, look);
    context.fillStyle = color ?? look.theme.families[box.node >= 0 ? family(scene.graph.op(box.node)) : "group"];
    context.fillRect(box.x, box.y, Math.max(box.w, least), Math.max(box.h, least));
  }
}

function paintBox(context, box, scene, look, k) {
  const { theme } = look;
  const isGroup = box.node < 0;
  const kind = isGroup ? "group" : family(scene.graph.op(box.node));
  const [score, color] = colorOf(box, scene, look);
  context.lineWidth = Math.max(1, 0.7 / k);
  if (isGroup && k > 0.2) {
    context.fillStyle = context.strokeStyle = theme.line;
    rounded(context, { x: box.x + 3, y: box.y + 3, w: box.w, h: box.h }, 8);
    context.fill();
  }
  context.fillStyle = color ?? (isGroup ? theme.group : theme.box);
  context.strokeStyle = box === look.hovered ? theme.accent : theme.line;
  rounded(context, box, kind === "end" ? 18 : 7);
  context.fill();
  context.stroke();
  if (!color && !isGroup && kind !== "end") {
    context.fillStyle = theme.families[kind];
    context.fillRect(box.x + 1, box.y + 8, 4, box.h - 16);
  }
  if (k >= READABLE) label(context, box, scene, color ? inkOn(color) : theme.ink, color ? inkOn(color) : theme.faint);
  const mark = look.overlay.mark(score);
  if (mark && k > 0.25) paintMark(context, box, mark, color, theme);
}

function label(context, box, scene, ink, faint) {
  const { graph } = scene;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const middle = box.x + box.w / 2;
  const texts = box.node >= 0
    ? [graph.op(box.node), nodeLabel(graph, box.node)]
    : [clipped(graph.groups.label[box.group]), `▸ ${graph.counts[box.group].toLocaleString("en")} nodes${alike(graph, box.group)}`];
  context.font = `600 12px ${FONT}`;
  context.fillStyle = ink;
  context.fillText(clipped(texts[0]), middle, box.y + box.h / 2 - 7, box.w - 14);
  context.font = `10.5px ${FONT}`;
  context.fillStyle = faint;
  context.fillText(texts[1], middle, box.y + box.h / 2 + 9, box.w - 14);
}

// How many groups have the same structure.
function alike(graph, group) {
  const like = graph.groups.like[group];
  if (like < 0) return "";
  graph.likes ??= graph.groups.like.reduce((counts, each) => counts.set(each, (counts.get(each) ?? 0) + 1), new Map());
  return `, alike: ${graph.likes.get(like)}`;
}

function paintMark(context, box, mark, color, theme) {
  const [x, y] = [box.x + box.w - 2, box.y + 2];
  context.beginPath();
  context.arc(x, y, 9, 0, 7);
  context.fillStyle = theme.box;
  context.fill();
  context.strokeStyle = color ?? theme.line;
  context.lineWidth = 2;
  context.stroke();
  context.fillStyle = theme.ink;
  context.font = `700 12px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(mark, x, y + 0.5);
}

function paintMarks(context, scene, look, k) {
  for (const [box, dashed] of [...look.related.map((each) => [each, true]), [look.chosen, false]]) {
    if (!box) continue;
    const out = Math.max(3, 3 / k);
    context.strokeStyle = look.theme.accent;
    context.lineWidth = Math.max(2.5, 2.5 / k);
    context.setLineDash(dashed ? [6 / k, 4 / k] : []);
    rounded(context, { x: box.x - out, y: box.y - out, w: box.w + 2 * out, h: box.h + 2 * out }, 9);
    context.stroke();
    context.setLineDash([]);
  }
}

function rounded(context, { x, y, w, h }, radius) {
  context.beginPath();
  context.roundRect(x, y, w, h, Math.min(radius, h / 2));
}
