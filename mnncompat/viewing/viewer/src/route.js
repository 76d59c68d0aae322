// The address of what is shown: #page=graph&node=/head/Gemm&graph=fixed&compare=mnn&overlay=findings&model=2

export function readRoute() {
  const found = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if (found.node !== undefined || found.group !== undefined || found.graph || found.compare || found.overlay) found.page ??= "graph";
  return found;
}

export function writeRoute(route, { replace = false } = {}) {
  const given = Object.entries(route).filter(([, value]) => value !== undefined && value !== "" && value !== null);
  const text = `#${given.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll("%2F", "/")}`).join("&")}`;
  if (text === location.hash) return;
  if (replace) history.replaceState(null, "", text);
  else history.pushState(null, "", text);
}
