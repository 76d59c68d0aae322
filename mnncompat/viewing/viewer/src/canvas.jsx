// One graph on a canvas: pan, zoom, click, keys.
import { select } from "d3-selection";
import { zoom, zoomIdentity } from "d3-zoom";
import { useEffect, useRef } from "preact/hooks";
import { ROOT } from "./graph.js";
import { paint } from "./paint.js";
import { openTo, Scene } from "./scene.js";
import { canvasTheme } from "./theme.js";

const CLOSEST = 2.5;
const SLOW = 10; // milliseconds of a drawing from which on it is kept as a picture
const SEEN = 0.95; // scale at which a node is shown that was asked for

// The state of one pane outside of what the framework knows: it draws sixty times a second.
class Pane {
  constructor(canvas, graph, open, on) {
    Object.assign(this, { canvas, graph, open, on, overlay: null, selected: null, related: [], hovered: null });
    this.context = canvas.getContext("2d", { alpha: false });
    this.transform = zoomIdentity;
    this.theme = canvasTheme();
    this.zoom = zoom().scaleExtent([0.0005, CLOSEST]).filter((event) => !event.button && event.type !== "dblclick");
    this.zoom.on("zoom", ({ transform }) => {
      this.transform = transform;
      this.moving = performance.now();
      this.draw();
    });
    select(canvas).call(this.zoom);
    this.rebuild();
  }

  rebuild() {
    this.scene = new Scene(this.graph, this.open);
    this.draw();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    this.size = { width, height, ratio };
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    if (!this.fitted) this.fit(true);
    if (this.wanted) this.show(this.wanted);
    this.paint();
  }

  draw() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      if (!this.#shift()) this.paint();
    });
  }

  // While a large graph is moved, its last picture is moved, and drawn anew a few times a second.
  #shift() {
    const now = performance.now();
    if (!this.picture || now - this.moving > 50 || now - this.painted > Math.max(4 * this.took, 200)) return false;
    const { width, height, ratio } = this.size;
    const { transform: was, image } = this.picture;
    const scale = this.transform.k / was.k;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.fillStyle = this.theme.canvas;
    this.context.fillRect(0, 0, width, height);
    this.context.drawImage(image, this.transform.x - was.x * scale, this.transform.y - was.y * scale, width * scale, height * scale);
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.draw(), 80);
    this.canvas.dataset.shifted = String(+(this.canvas.dataset.shifted ?? 0) + 1);
    return true;
  }

  #picture() {
    this.picture = null;
    if (this.took < SLOW) return;
    const image = (this.image ??= document.createElement("canvas"));
    [image.width, image.height] = [this.canvas.width, this.canvas.height];
    image.getContext("2d", { alpha: false }).drawImage(this.canvas, 0, 0);
    this.picture = { image, transform: this.transform };
  }

  paint() {
    if (!this.size || !this.overlay) return;
    const started = performance.now();
    const box = (choice) => (choice ? this.boxOf(choice) : null);
    paint(this.context, this.scene, { ...this.size, transform: this.transform }, {
      theme: this.theme,
      overlay: this.overlay,
      chosen: box(this.selected),
      related: this.related.map((node) => this.scene.boxOf(node)).filter(Boolean).slice(0, 200),
      hovered: this.hovered,
    });
    this.canvas.dataset.painted = String(+(this.canvas.dataset.painted ?? 0) + 1);
    this.painted = performance.now();
    this.took = this.painted - started;
    this.canvas.dataset.took = this.took.toFixed(1);
    this.#picture();
  }

  boxOf({ node, group }) {
    if (node >= 0) return this.scene.boxOf(node);
    return this.scene.ofGroup.get(group) ?? null;
  }

  fit(start = false) {
    if (!this.size) return;
    const { width, height } = this.size;
    const { w, h } = this.scene;
    const whole = Math.min(width / (w + 60), height / (h + 60), 1.1);
    // A long network is shown from its beginning, large enough to be read.
    const k = start ? Math.max(whole, 0.85) : whole;
    this.fitted = true;
    const left = start && w * k > width ? this.#begin() - width / k / 2 : (w - width / k) / 2;
    const top = h * k > height && start ? -30 : (h - height / k) / 2;
    this.move(zoomIdentity.scale(k).translate(-left, -top));
  }

  // Where the first box is, of a graph that is wider than the screen.
  #begin() {
    const first = this.scene.boxes.reduce((least, box) => (box.y < (least?.y ?? Infinity) ? box : least), null);
    return first ? first.x + first.w / 2 : this.scene.w / 2;
  }

  move(transform) {
    select(this.canvas).call(this.zoom.transform, transform);
  }

  show(choice) {
    if (choice.node >= 0) {
      const before = this.open.size;
      openTo(this.graph, this.graph.drawn(choice.node), this.open);
      if (this.open.size !== before) this.rebuild();
    }
    const box = this.boxOf(choice);
    this.wanted = this.size ? null : choice;
    if (!box || !this.size) return;
    const { width, height } = this.size;
    const k = Math.max(Math.min(this.transform.k, 1.4), SEEN);
    const [x, y] = [box.x + box.w / 2, box.y + Math.min(box.h / 2, height / k / 2)];
    this.move(zoomIdentity.translate(width / 2, height / 2).scale(k).translate(-x, -y));
  }

  // Opens or closes a group; what is under the pointer stays there.
  toggle(group) {
    const held = this.scene.ofGroup.get(group);
    if (!held) return;
    const [x, y] = [this.transform.applyX(held.x + held.w / 2), this.transform.applyY(held.y)];
    if (!this.open.delete(group)) this.open.add(group);
    this.rebuild();
    const now = this.scene.ofGroup.get(group);
    const { k } = this.transform;
    this.move(zoomIdentity.translate(x - (now.x + now.w / 2) * k, y - now.y * k).scale(k));
  }

  openAll() {
    this.graph.groups.parent.forEach((_, group) => this.open.add(group));
    this.rebuild();
    this.fit();
  }

  closeAll() {
    this.open.clear();
    this.rebuild();
    this.fit(true);
  }

  at(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const [x, y] = this.transform.invert([event.clientX - bounds.left, event.clientY - bounds.top]);
    return this.scene.at(x, y);
  }

  // The next box in a direction, from the one that is selected.
  neighbour(key) {
    const box = this.selected && this.boxOf(this.selected);
    if (!box) return this.scene.boxes.find((each) => !each.inside);
    const near = (links, side) => links?.map((link) => link[side]).sort((a, b) => Math.abs(a.x - box.x) - Math.abs(b.x - box.x))[0];
    if (key === "ArrowDown") return near(box.out, "to");
    if (key === "ArrowUp") return near(box.in, "from");
    const beside = box.up.inside.filter((each) => each !== box && Math.abs(each.y + each.h / 2 - box.y - box.h / 2) < 30);
    const right = key === "ArrowRight";
    return beside.filter((each) => each.x > box.x === right).sort((a, b) => Math.abs(a.x - box.x) - Math.abs(b.x - box.x))[0];
  }

  close() {
    cancelAnimationFrame(this.pending);
    clearTimeout(this.settling);
    select(this.canvas).on(".zoom", null);
  }
}

export function GraphCanvas({ graph, open, overlay, selected, related, label, onSelect, onReady }) {
  const canvas = useRef(null);
  const pane = useRef(null);

  useEffect(() => {
    const made = (pane.current = new Pane(canvas.current, graph, open));
    const resized = new ResizeObserver(() => made.resize());
    resized.observe(canvas.current);
    const retheme = () => {
      made.theme = canvasTheme();
      made.draw();
    };
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", retheme);
    addEventListener("themechange", retheme);
    onReady?.(made);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", retheme);
      removeEventListener("themechange", retheme);
      made.close();
      onReady?.(null);
    };
  }, [graph, open]);

  useEffect(() => {
    Object.assign(pane.current, { overlay, selected, related });
    pane.current.draw();
  }, [graph, open, overlay, selected, related]);

  const choose = (box) => onSelect(box ? { node: box.node, group: box.node >= 0 ? ROOT : box.group } : null);
  const click = (event) => {
    if (!event.defaultPrevented) choose(pane.current.at(event));
  };
  const double = (event) => {
    const box = pane.current.at(event);
    if (box && box.node < 0) pane.current.toggle(box.group);
  };
  const hover = (event) => {
    if (event.buttons) return;
    const box = pane.current.at(event) ?? null;
    canvas.current.style.cursor = box ? "pointer" : "grab";
    if (box === pane.current.hovered) return;
    pane.current.hovered = box;
    pane.current.draw();
  };
  const key = (event) => {
    const now = pane.current;
    const { zoom: zooming } = now;
    const actions = {
      Enter: () => now.selected?.group >= 0 && now.toggle(now.selected.group),
      Escape: () => onSelect(null),
      f: () => now.fit(),
      "+": () => select(canvas.current).call(zooming.scaleBy, 1.4),
      "=": () => select(canvas.current).call(zooming.scaleBy, 1.4),
      "-": () => select(canvas.current).call(zooming.scaleBy, 1 / 1.4),
    };
    if (event.key.startsWith("Arrow")) {
      const next = now.neighbour(event.key);
      if (next) {
        choose(next);
        now.show({ node: next.node, group: next.group });
      }
    } else if (actions[event.key] && !event.ctrlKey && !event.metaKey) actions[event.key]();
    else return;
    event.preventDefault();
  };
  return (
    <canvas
      ref={canvas}
      class="graph-canvas"
      tabIndex={0}
      role="application"
      aria-label={label}
      onClick={click}
      onDblClick={double}
      onPointerMove={hover}
      onKeyDown={key}
    />
  );
}
