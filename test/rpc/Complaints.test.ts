import { assert, it } from "@effect/vitest"
import { Complaints } from "../../src/rpc/Complaints.ts"

it("Complaints are made once for each subject in a while, and say how many there were", () => {
  const made: Array<string> = []
  let now = 0
  const complaints = new Complaints(
    (message) => made.push(message),
    () => now
  )
  for (let i = 0; i < 1000; i++) complaints.about("noise", `noise ${i}`)
  complaints.about("smell", "smell")
  assert.deepStrictEqual(made, ["noise 0", "smell"])
  now = 10_000
  complaints.about("noise", "more noise")
  complaints.about("smell", "more smell")
  assert.deepStrictEqual(made.slice(2), ["more noise (999 more like this since the last one)", "more smell"])
})
