import { defineConfig } from "vitest/config"

/** `npm run test:package`: the package as others get it. It is packed, and installed elsewhere with npm. */
export default defineConfig({
  test: {
    allowOnly: false,
    include: ["test/package/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 300_000
  }
})
