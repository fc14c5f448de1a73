import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as () => void

/** The second run waits for what the first left to be freed in the background. */
export const collect = (): void => {
  gc()
  gc()
}

/** Bytes that live buffers occupy. */
export const bufferBytes = (): number => {
  collect()
  return process.memoryUsage().arrayBuffers
}

/** Bytes of live objects and buffers. */
export const liveBytes = (): number => {
  collect()
  return usedBytes()
}

/** Bytes of objects and buffers, live or not yet collected. */
export const usedBytes = (): number => {
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
