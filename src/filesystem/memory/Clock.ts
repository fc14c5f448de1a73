/** Times of files: the wall clock's, with the digits below a millisecond that `Date.now` lacks. */

import { type Attributes, compareTimes, type Time } from "../Attributes.ts"

/** The finest difference between two times. */
export const RESOLUTION: Time = { seconds: 0, nanoseconds: 1 }

/**
 * A clock that follows `wall` (in milliseconds), wherever it is set, and takes what lies between two of its ticks from
 * `monotonic` (in milliseconds, with fractions).
 */
export const make = (
  wall: () => number = () => Date.now(),
  monotonic: () => number = () => performance.now()
): (() => Time) => {
  let anchorWall = wall()
  let anchorMonotonic = monotonic()
  return () => {
    const tick = wall()
    const counter = monotonic()
    let fraction = counter - anchorMonotonic - (tick - anchorWall)
    if (fraction < 0) {
      // The anchor lay within a tick: each such step brings it closer to where ticks begin.
      anchorWall = tick
      anchorMonotonic = counter
      fraction = 0
    } else if (fraction >= 1) {
      // The monotonic clock is a little faster, or the wall clock was set back.
      anchorMonotonic += fraction - LAST_FRACTION
      fraction = LAST_FRACTION
    }
    const seconds = Math.floor(tick / 1000)
    return { seconds, nanoseconds: (tick - seconds * 1000) * 1_000_000 + Math.floor(fraction * 1_000_000) }
  }
}

/** Of a millisecond; in the middle of its last nanosecond, so that rounding does not lead to the one before. */
const LAST_FRACTION = 0.999_999_5

/** `time`, or when that is not after `previous`, the next possible one: what changes later shall look later. */
export const later = (previous: Time, time: Time): Time => {
  if (compareTimes(time, previous) > 0) return time
  return previous.nanoseconds < 999_999_999
    ? { seconds: previous.seconds, nanoseconds: previous.nanoseconds + 1 }
    : { seconds: previous.seconds + 1, nanoseconds: 0 }
}

/** Whether an access is worth a new atime: the first after a change, or after a day (Linux calls that `relatime`). */
export const accessCounts = ({ atime, ctime, mtime }: Attributes): boolean =>
  compareTimes(atime, mtime) <= 0 || compareTimes(atime, ctime) <= 0 || Date.now() / 1000 - atime.seconds >= DAY

/** Seconds in a day. */
const DAY = 86_400
