/**
 * Which files are being changed through us, and which were lately: what was read below while a file changed may be the old or
 * the new, and must not be remembered.
 *
 * Time is counted in changes that have ended. What was read since a moment is good when no change of its file is under way, and
 * none has ended after that moment. Of a change that ended long ago nothing is known but when the last of those was:
 * who began to read before that is told no.
 */

/** Files whose last change is known by itself. */
const REMEMBERED = 1024

export class Changes {
  /** How many have ended. */
  now = 0
  private readonly underWay = new Map<bigint, number>()
  /** When the last change of each file ended, in this order. */
  private readonly ended = new Map<bigint, number>()
  private forgotten = 0

  begin(fileid: bigint): void {
    this.underWay.set(fileid, (this.underWay.get(fileid) ?? 0) + 1)
  }

  end(fileid: bigint): void {
    const left = this.underWay.get(fileid)! - 1
    if (left === 0) this.underWay.delete(fileid)
    else this.underWay.set(fileid, left)
    this.ended.delete(fileid)
    this.ended.set(fileid, ++this.now)
    if (this.ended.size <= REMEMBERED) return
    for (const [oldest, at] of this.ended) {
      this.ended.delete(oldest)
      this.forgotten = at
      return
    }
  }

  /** Whether a file was not changed since a moment, but for `own` changes under way, which are those of who asks. */
  quietSince(moment: number, fileid: bigint, own = 0): boolean {
    return (this.underWay.get(fileid) ?? 0) === own && (this.ended.get(fileid) ?? this.forgotten) <= moment
  }
}
