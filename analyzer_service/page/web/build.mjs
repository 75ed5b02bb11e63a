// Makes one script and one style sheet of each page, with what it needs of the packages in it.
import { build } from "esbuild";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

const OUT = "../static";
const PAGES = ["runs", "run", "compare", "annotate"];

const OPTIONS = {
  outbase: "src",
  outdir: OUT,
  bundle: true,
  format: "esm",
  minify: true,
  target: ["es2022"],
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
};

rmSync(OUT, { recursive: true, force: true });
// Named after what is in it: tabs that are still open after an update have a hub of their own.
const hub = await build({
  ...OPTIONS,
  format: "iife",
  entryPoints: ["src/hub/page.ts"],
  entryNames: "[dir]-[hash]",
});
const { metafile } = await build({
  ...OPTIONS,
  entryPoints: PAGES.map((page) => `src/${page}/page.tsx`),
  entryNames: "[dir]",
  splitting: true,
  chunkNames: "part-[hash]",
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".svg": "dataurl" },
  define: { HUB: JSON.stringify(`/static/${basename(Object.keys(hub.metafile.outputs)[0])}`) },
});

copyFileSync("src/base/favicon.svg", `${OUT}/favicon.svg`);

// The licenses ask for it: whoever gets the scripts gets the licenses of what is in them.
const packages = new Set();
for (const input of Object.keys(metafile.inputs)) {
  const inside = input.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)/);
  if (inside) packages.add(inside[1]);
}
const licenses = [...packages].sort().map((name) => {
  const { version, license } = JSON.parse(readFileSync(`node_modules/${name}/package.json`));
  return `${name} ${version} (${license})\n\n${licenseText(name)}`;
});
writeFileSync(`${OUT}/licenses.txt`, licenses.join(`\n${"-".repeat(80)}\n\n`));

function licenseText(name) {
  for (const file of ["LICENSE", "LICENSE.md", "LICENSE.txt", "license", "LICENCE"]) {
    try {
      return readFileSync(`node_modules/${name}/${file}`, "utf-8");
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
  throw new Error(`${name} ships no license text`);
}
