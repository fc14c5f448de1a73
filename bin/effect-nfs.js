#!/usr/bin/env node
// The entry point: a checkout runs its sources, a package its build. Old versions of Node have to be able to read this
// file, so that they can say what is missing: no static imports, no new syntax.

// Compiled code is kept, so that the next start is twice as fast and takes less memory. In the user's own cache: what is in
// it is executed, so it must not be a place that others can write to, as Node's default is.
const cacheCode = async () => {
  const { enableCompileCache } = await import("node:module")
  const { userInfo } = await import("node:os")
  const { join } = await import("node:path")
  try {
    const cache = process.env.XDG_CACHE_HOME || join(process.env.HOME || userInfo().homedir, ".cache")
    enableCompileCache(join(cache, "effect-nfs", "code"))
  } catch {
    // Whoever has no home directory starts more slowly.
  }
}

// Node.js makes the threads that wait for disks when it first needs one: four, unless it is told otherwise before. Eight are
// as fast, and twice as many fsyncs may wait; sixteen are slower (docs/performance.md).
if (!process.env.UV_THREADPOOL_SIZE) process.env.UV_THREADPOOL_SIZE = "8"

const start = async () => {
  const { existsSync } = await import("node:fs")
  const exists = (path) => existsSync(new URL(path, import.meta.url))
  const checkout = exists("../src/main.ts")

  const missing = () => {
    const [major, minor] = process.versions.node.split(".").map(Number)
    if (major < 22 || (major === 22 && minor < 19)) {
      const wanted = "it needs Node.js 22.19 or newer, and this is " + process.versions.node
      return checkout
        ? wanted + ": run `npm ci`, which brings a fitting one, then `npm start`"
        : wanted + ": install Node.js 22.19 or newer (24 is recommended)"
    }
    if (!checkout) return undefined
    if (!exists("../node_modules/effect")) return "its packages are not installed: run `npm ci`, then `npm start`"
    // On by default since 22.18 and 23.6.
    if (!process.features.typescript)
      return "this Node.js does not run TypeScript: start it with --experimental-strip-types"
    return undefined
  }

  const problem = missing()
  if (problem === undefined) {
    await cacheCode()
    await import(checkout ? "../src/main.ts" : "../dist/main.js")
  } else {
    console.error("effect-nfs cannot start: " + problem)
    process.exitCode = 1
  }
}

void start()
