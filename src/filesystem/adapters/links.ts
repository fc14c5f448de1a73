/**
 * RENAME of symbolic links where the backend cannot be trusted with it: memfs follows the link and moves what it points to.
 * The link is made anew under its new name, and then the old one removed. That is not one step: for a moment it has both names,
 * and what it replaces is gone before it is there.
 */

import { secondsOf } from "./Backend.ts"
import type { FsPromises, Stats } from "./PromisesFilesystem.ts"

/** `knowsFiles`: what has several names shows it, and is one file under all of them. */
export const renameLink = async (
  promises: FsPromises,
  path: string,
  newPath: string,
  knowsFiles: boolean
): Promise<void> => {
  const stats = (await promises.lstat(path, { bigint: true })) as Stats
  const target = await promises.readlink(path, { encoding: "utf8" })
  await clear(promises, newPath)
  if (knowsFiles && stats.nlink > 1) {
    // It got its other name by `link`, which gives it one more.
    await promises.link(path, newPath)
  } else {
    await promises.symlink(target, newPath)
    await resemble(promises, newPath, stats)
  }
  try {
    await promises.unlink(path)
  } catch (error) {
    await promises.unlink(newPath)
    throw error
  }
}

const clear = async (promises: FsPromises, path: string): Promise<void> => {
  try {
    await promises.unlink(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
  }
}

/** Gives a link the owner of another one, and its times, which memfs moves with the owner. A link is as good without. */
const resemble = async (promises: FsPromises, path: string, stats: Stats): Promise<void> => {
  await promises.lchown?.(path, Number(stats.uid), Number(stats.gid)).catch(() => {})
  await promises.lutimes?.(path, seconds(stats.atimeMs), seconds(stats.mtimeMs)).catch(() => {})
}

const seconds = (milliseconds: number | bigint): number =>
  secondsOf(BigInt(Math.floor(Number(milliseconds))) * 1_000_000n)
