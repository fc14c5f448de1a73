/** Names on their way into a path. */

const NUL = 0
const SLASH = 0x2f

/** Whether a name stays one entry of its directory in a path: not empty, and without what ends a name or a path. */
export const isEntry = (name: Uint8Array): boolean => name.length > 0 && !name.includes(NUL) && !name.includes(SLASH)
