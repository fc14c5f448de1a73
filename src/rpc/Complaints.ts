/** Warnings about clients, few of them: who misbehaves ten thousand times a second shall not fill the disk with it. */

/** Milliseconds after a warning in which others like it are only counted. */
const PAUSE = 10_000

export class Complaints {
  private readonly warn: (message: string) => void
  private readonly now: () => number
  /** By subject. */
  private readonly told = new Map<string, { at: number; untold: number }>()

  /** `now`: milliseconds. */
  constructor(warn: (message: string) => void, now: () => number = () => performance.now()) {
    this.warn = warn
    this.now = now
  }

  /** Warns, or counts it for the next warning about this subject, of which there are few. */
  about(subject: string, message: string): void {
    const now = this.now()
    const before = this.told.get(subject)
    if (before !== undefined && now - before.at < PAUSE) {
      before.untold++
      return
    }
    this.told.set(subject, { at: now, untold: 0 })
    const untold = before?.untold ?? 0
    this.warn(untold === 0 ? message : `${message} (${untold} more like this since the last one)`)
  }
}
