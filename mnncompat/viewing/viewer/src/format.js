// Numbers and sizes as the other reports write them. NaN is null in the data, infinities are words.

export function number(value) {
  if (value === "Infinity") return Infinity;
  if (value === "-Infinity") return -Infinity;
  return value === null || value === undefined ? NaN : value;
}

export function decibel(value) {
  const found = number(value);
  if (Number.isNaN(found)) return "–";
  return found === Infinity ? "exact" : `${found.toFixed(1)} dB`;
}

export function distance(value) {
  const found = number(value);
  if (Number.isNaN(found)) return "–";
  return found === 0 ? "0" : Number.isFinite(found) ? found.toExponential(1) : "∞";
}

export function brief(value) {
  const found = number(value);
  if (Number.isNaN(found)) return "–";
  if (!Number.isFinite(found)) return found > 0 ? "∞" : "−∞";
  return found !== 0 && (Math.abs(found) >= 1e6 || Math.abs(found) < 1e-3) ? found.toExponential(3) : String(+found.toPrecision(5));
}

export function share(value) {
  const found = number(value);
  return Number.isNaN(found) ? "–" : `${Math.floor(found * 1e4) / 1e2}%`;
}

export function bytes(count) {
  let value = count;
  for (const unit of ["bytes", "kB", "MB"]) {
    if (value < 1000) return unit === "bytes" ? counted(count, "byte") : `${value.toFixed(1)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} GB`;
}

export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

export function shape(dims) {
  return dims ? `[${dims.join(", ")}]` : "–";
}

export function microseconds(seconds) {
  return seconds < 1e-3 ? `${(seconds * 1e6).toPrecision(3)} µs` : `${(seconds * 1e3).toPrecision(3)} ms`;
}

export function milliseconds(seconds) {
  return `${(seconds * 1e3).toPrecision(3)} ms`;
}
