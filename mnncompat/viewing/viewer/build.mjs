// Builds the page's program and style into ../bundle: `npm ci && npm run build`.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const result = await build({
  entryPoints: { viewer: "src/main.jsx" },
  outdir: "../bundle",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome100", "firefox100", "safari15.4"],
  charset: "ascii",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  metafile: true,
});

// What it was built from: a test compares it with the sources.
const sources = ["package.json", "package-lock.json", "build.mjs", ...readdirSync("src").sort().map((name) => `src/${name}`)];
const digest = createHash("sha256");
for (const name of sources) digest.update(name + "\0").update(readFileSync(name)).update("\0");
const bundle = createHash("sha256");
for (const name of ["viewer.js", "viewer.css"]) bundle.update(readFileSync(`../bundle/${name}`));
writeFileSync("../bundle/built-from.json", `${JSON.stringify({ sources: digest.digest("hex"), bundle: bundle.digest("hex") })}\n`);

const used = new Set(
  Object.keys(result.metafile.inputs).map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]).filter(Boolean),
);
const notices = [...used].sort().map((name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  return `${name} ${version} (${license})\n\n${readFileSync(`${folder}/${file}`, "utf8").trim()}\n`;
});
writeFileSync("../bundle/LICENSES.txt", `Parts of viewer.js are these libraries.\n\n${notices.join(`\n${"-".repeat(72)}\n\n`)}`);
