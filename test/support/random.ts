/** Chance that can be repeated: the same seed, the same choices. For plain functions that choose often. */

import { Buffer } from "node:buffer"

export class Random {
  private state: number

  /** Several numbers make one seed: that of a run and that of a case in it, for instance. */
  constructor(...seeds: ReadonlyArray<number>) {
    this.state = 0
    for (const seed of seeds) this.state = mix((this.state + seed) | 0) | 0
  }

  /** A number in [0, 1) (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    return mix(this.state) / 0x1_0000_0000
  }

  /** A whole number from 0 to `below` - 1. */
  int(below: number): number {
    return Math.floor(this.next() * below)
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + this.int(most - least + 1)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<A>(values: ReadonlyArray<A>): A {
    return values[this.int(values.length)]!
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.int(256)))
  }

  shuffle<A>(values: ReadonlyArray<A>): Array<A> {
    const shuffled = [...values]
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.int(i + 1)
      ;[shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!]
    }
    return shuffled
  }
}

const mix = (n: number): number => {
  let t = Math.imul(n ^ (n >>> 15), 1 | n)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return (t ^ (t >>> 14)) >>> 0
}
