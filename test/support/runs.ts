/**
 * Options of a property: how often it is tried (`EFFECT_NFS_RUNS` of the environment says it for all, 10,000 in a nightly
 * run), how large its values may get, how many times as long as others one try takes, and time enough for all.
 */
export const property = (runs: number, size = 10, slowness = 1) => {
  const nightly = process.env["EFFECT_NFS_RUNS"]
  const wanted = nightly === undefined ? runs : Math.ceil(Number(nightly) / slowness)
  return { arbitrary: { runs: wanted, size }, timeout: 15_000 + wanted * slowness * 50 }
}
