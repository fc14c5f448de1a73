/** What each server's process does for the bench that started it. */

/** What it says as soon as it listens. */
export interface Announcement {
  readonly port: number
}

/** Tells the port, and ends with the bench, however that ends. */
export const announce = (port: number): void => {
  const announcement: Announcement = { port }
  process.send?.(announcement)
  process.once("disconnect", () => process.exit())
}
