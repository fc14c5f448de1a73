import { configDefaults, defineConfig } from "vitest/config"

/** `npm test`: everything that needs nothing but Node. Outside clients and the kernel have their own runs. */
export default defineConfig({
  test: {
    allowOnly: false,
    include: ["test/**/*.test.ts", "tools/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "test/clients/**", "test/kernel/**"],
    maxWorkers: 2,
    testTimeout: 15_000
  }
})
