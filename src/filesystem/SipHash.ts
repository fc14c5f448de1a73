/**
 * SipHash-2-4 (Aumasson and Bernstein): a 64-bit message authentication code that is cheap for short messages.
 *
 * 64-bit words are pairs of 32-bit integers, `l` and `h`: bigints would be a hundred times slower.
 */
export class SipHash {
  /** The hash of the last message. */
  low = 0
  high = 0

  private readonly k0l: number
  private readonly k0h: number
  private readonly k1l: number
  private readonly k1h: number

  /** `key`: 16 bytes. */
  constructor(key: Uint8Array) {
    this.k0l = word(key, 0)
    this.k0h = word(key, 4)
    this.k1l = word(key, 8)
    this.k1h = word(key, 12)
  }

  /** Hashes the message `bytes[start, end)`. */
  update(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    let v0l = this.k0l ^ 0x70736575
    let v0h = this.k0h ^ 0x736f6d65
    let v1l = this.k1l ^ 0x6e646f6d
    let v1h = this.k1h ^ 0x646f7261
    let v2l = this.k0l ^ 0x6e657261
    let v2h = this.k0h ^ 0x6c796765
    let v3l = this.k1l ^ 0x79746573
    let v3h = this.k1h ^ 0x74656462
    const whole = length & ~7
    // All words of the message, the rest of it with its length, and the finalisation.
    for (let at = 0; at <= whole + 8; at += 8) {
      let ml = 0
      let mh = 0
      let rounds = 2
      if (at < whole) {
        ml = word(bytes, start + at)
        mh = word(bytes, start + at + 4)
      } else if (at === whole) {
        for (let i = 0; i < 4; i++) {
          if (at + i < length) ml |= bytes[start + at + i]! << (8 * i)
          if (at + 4 + i < length) mh |= bytes[start + at + 4 + i]! << (8 * i)
        }
        mh |= length << 24
      } else {
        v2l ^= 0xff
        rounds = 4
      }
      v3l ^= ml
      v3h ^= mh
      for (let round = 0; round < rounds; round++) {
        let sum = (v0l >>> 0) + (v1l >>> 0)
        v0l = sum | 0
        v0h = (v0h + v1h + carry(sum)) | 0
        let turned = (v1l << 13) | (v1h >>> 19)
        v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h
        v1l = turned ^ v0l
        turned = v0l
        v0l = v0h
        v0h = turned

        sum = (v2l >>> 0) + (v3l >>> 0)
        v2l = sum | 0
        v2h = (v2h + v3h + carry(sum)) | 0
        turned = (v3l << 16) | (v3h >>> 16)
        v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h
        v3l = turned ^ v2l

        sum = (v0l >>> 0) + (v3l >>> 0)
        v0l = sum | 0
        v0h = (v0h + v3h + carry(sum)) | 0
        turned = (v3l << 21) | (v3h >>> 11)
        v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h
        v3l = turned ^ v0l

        sum = (v2l >>> 0) + (v1l >>> 0)
        v2l = sum | 0
        v2h = (v2h + v1h + carry(sum)) | 0
        turned = (v1l << 17) | (v1h >>> 15)
        v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h
        v1l = turned ^ v2l
        turned = v2l
        v2l = v2h
        v2h = turned
      }
      v0l ^= ml
      v0h ^= mh
    }
    this.low = v0l ^ v1l ^ v2l ^ v3l
    this.high = v0h ^ v1h ^ v2h ^ v3h
  }
}

/** The carry of the sum of two unsigned 32-bit integers. */
const carry = (sum: number): number => (sum > 0xffff_ffff ? 1 : 0)

const word = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
