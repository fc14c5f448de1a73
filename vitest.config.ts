import { configDefaults, defineConfig } from "vitest/config"
import manifest from "./package.json" with { type: "json" }

/** The package's own name means its sources here, as it does with the condition `effect-nfs-source`. */
const alias = Object.entries(manifest.exports).flatMap(([path, target]) =>
  typeof target === "string"
    ? []
    : {
        find: new RegExp(`^${manifest.name}${path.slice(1)}$`),
        replacement: new URL(target["effect-nfs-source"], import.meta.url).pathname
      }
)

/** `npm test`: everything that needs nothing but Node. Outside clients and the kernel have their own runs. */
export default defineConfig({
  resolve: { alias },
  test: {
    allowOnly: false,
    include: ["test/**/*.test.ts", "tools/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "test/clients/**", "test/kernel/**", "test/package/**"],
    globalSetup: "test/support/codeCache.ts",
    maxWorkers: 2,
    testTimeout: 15_000
  }
})
