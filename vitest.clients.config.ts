import { defineConfig } from "vitest/config"

/** `npm run test:clients`: real clients of others against this server. One file at a time: some of them share port 111. */
export default defineConfig({
  test: {
    allowOnly: false,
    include: ["test/clients/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})
