// The colours of the canvas, read from the style sheet: they follow the theme.

const FAMILIES = ["conv", "product", "norm", "shape", "flow", "end", "math", "group"];

export function canvasTheme() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    canvas: read("canvas"),
    box: read("box"),
    group: read("group"),
    line: read("line"),
    link: read("link"),
    ink: read("ink"),
    faint: read("faint"),
    accent: read("accent"),
    frameLine: read("frame-line"),
    frames: [read("frame-a"), read("frame-b")],
    families: Object.fromEntries(FAMILIES.map((name) => [name, read(`op-${name}`)])),
  };
}

export function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  window.dispatchEvent(new Event("themechange"));
}
