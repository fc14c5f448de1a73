import { defineConfig, mergeConfig } from "vitest/config"
import usual from "./vitest.config.ts"

/** `npm run test:nightly`: the same, each property tried 10,000 times (or as often as `EFFECT_NFS_RUNS` says). */
export default mergeConfig(
  usual,
  defineConfig({ test: { env: { EFFECT_NFS_RUNS: process.env["EFFECT_NFS_RUNS"] ?? "10000" } } })
)
