/** Where state is kept that must outlive the process: by the XDG rules, or where services of the system have theirs. */

import { userInfo } from "node:os"
import { join } from "node:path"

/** The directory of a server that is told none. */
export const stateDir = (): string => {
  const { HOME, XDG_STATE_HOME } = process.env
  // What starts services of the system gives root no home.
  const isService = !HOME && process.geteuid?.() === 0
  return join(XDG_STATE_HOME || (isService ? "/var/lib" : join(HOME || home(), ".local", "state")), "effect-nfs")
}

const home = (): string => {
  try {
    return userInfo().homedir
  } catch {
    // A user that the system does not know. Nothing can be kept there, which is then said.
    return "/nonexistent"
  }
}
