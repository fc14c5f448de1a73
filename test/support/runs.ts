/**
 * Options of a property: how often it is tried (`EFFECT_NFS_RUNS` of the environment says it for all, 10,000 in a nightly
 * run), how large its values may get, and time enough for that.
 */
export const property = (runs: number, size = 10) => {
  const wanted = Number(process.env["EFFECT_NFS_RUNS"] ?? runs)
  return { arbitrary: { runs: wanted, size }, timeout: 15_000 + wanted * 50 }
}
