/** How often a property is tried: `EFFECT_NFS_RUNS` of the environment (10,000 in a nightly run), else `standard`. */
export const runs = (standard: number): number => Number(process.env["EFFECT_NFS_RUNS"] ?? standard)
