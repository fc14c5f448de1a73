import { assert, describe, it } from "@effect/vitest"
import { Budget } from "../../src/pool/Budget.ts"

describe("Budget", () => {
  it("admits as many tasks as there is room for, and as much as they may cost", () => {
    const budget = new Budget(3, 100)
    assert.deepStrictEqual(
      [0, 2, 3, 4].map((waiting) => budget.admits(0, waiting)),
      [true, true, false, false]
    )
    budget.cost = 60
    assert.deepStrictEqual(
      [0, 40, 41].map((cost) => budget.admits(cost, 0)),
      [true, true, false]
    )
    budget.cost = 100
    assert.deepStrictEqual(
      [0, 1].map((cost) => budget.admits(cost, 0)),
      [true, false]
    )
  })

  it("admits one task of any cost when there is no other", () => {
    const budget = new Budget(3, 100)
    assert.isTrue(budget.admits(1_000_000, 0))
    budget.cost = 1
    assert.isFalse(budget.admits(100, 0))
  })

  it("shrinks both bounds together, down to one task", () => {
    const budget = new Budget(10, 100)
    const open = (): ReadonlyArray<boolean> => [
      budget.admits(0, 0),
      budget.admits(0, 1),
      budget.admits(0, 4),
      budget.admits(0, 5),
      budget.admits(0, 9)
    ]
    budget.admission = 0.5
    assert.deepStrictEqual(open(), [true, true, true, false, false])
    budget.admission = 0
    assert.deepStrictEqual(open(), [true, false, false, false, false])
    assert.isTrue(budget.admits(1_000, 0))
    budget.cost = 1
    assert.isFalse(budget.admits(0, 0))
    budget.admission = 0.5
    assert.isTrue(budget.admits(49, 0))
    assert.isFalse(budget.admits(50, 0))
    budget.admission = 1
    assert.isTrue(budget.admits(99, 9))
  })

  it("keeps the share between 0 and 1", () => {
    const budget = new Budget(10, 100)
    budget.admission = 7
    assert.strictEqual(budget.admission, 1)
    budget.admission = -7
    assert.strictEqual(budget.admission, 0)
  })
})
