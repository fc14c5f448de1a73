// Before `npm test`: installs the packages of a checkout that has none yet. Any Node.js can run this.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
if (!existsSync(`${root}/node_modules/.bin/vitest`)) {
  const shell = process.platform === "win32"
  process.exitCode = spawnSync("npm", ["ci"], { cwd: root, shell, stdio: "inherit" }).status ?? 1
}
