import { assert, describe, it } from "@effect/vitest"
import { Budget } from "../../src/pool/Budget.ts"

describe("Budget", () => {
  it("admits as many tasks as there is room for, and as much as they may cost", () => {
    const budget = new Budget(3, 100)
    assert.deepStrictEqual(
      [0, 2, 3, 4].map((waiting) => budget.admits(0, waiting, false)),
      [true, true, false, false]
    )
    budget.cost = 60
    assert.deepStrictEqual(
      [0, 40, 41].map((cost) => budget.admits(cost, 0, false)),
      [true, true, false]
    )
    budget.cost = 100
    assert.deepStrictEqual(
      [0, 1].map((cost) => budget.admits(cost, 0, false)),
      [true, false]
    )
  })

  it("admits one task of any cost when there is no other", () => {
    const budget = new Budget(3, 100)
    assert.isTrue(budget.admits(1_000_000, 0, false))
    budget.cost = 1
    assert.isFalse(budget.admits(100, 0, false))
  })

  it("shrinks both bounds together, down to one task", () => {
    const budget = new Budget(10, 100)
    const open = (): ReadonlyArray<boolean> => [
      budget.admits(0, 0, false),
      budget.admits(0, 1, false),
      budget.admits(0, 4, false),
      budget.admits(0, 5, false),
      budget.admits(0, 9, false)
    ]
    budget.admission = 0.5
    assert.deepStrictEqual(open(), [true, true, true, false, false])
    budget.admission = 0
    assert.deepStrictEqual(open(), [true, false, false, false, false])
    assert.isTrue(budget.admits(1_000, 0, false))
    budget.cost = 1
    assert.isFalse(budget.admits(0, 0, false))
    budget.admission = 0.5
    assert.isTrue(budget.admits(49, 0, false))
    assert.isFalse(budget.admits(50, 0, false))
    budget.admission = 1
    assert.isTrue(budget.admits(99, 9, false))
  })

  it("keeps the share between 0 and 1", () => {
    const budget = new Budget(10, 100)
    budget.admission = 7
    assert.strictEqual(budget.admission, 1)
    budget.admission = -7
    assert.strictEqual(budget.admission, 0)
  })

  it("keeps an eighth of both bounds where it shall", () => {
    const budget = new Budget(16, 80)
    assert.deepStrictEqual(
      [13, 14, 15].map((waiting) => budget.admits(0, waiting, true)),
      [true, false, false]
    )
    assert.deepStrictEqual(
      [15, 16].map((waiting) => budget.admits(0, waiting, false)),
      [true, false]
    )
    budget.cost = 60
    assert.deepStrictEqual(
      [10, 11].map((cost) => budget.admits(cost, 0, true)),
      [true, false]
    )
    assert.deepStrictEqual(
      [20, 21].map((cost) => budget.admits(cost, 0, false)),
      [true, false]
    )
    // Of a bound for few there is nothing to keep.
    assert.isTrue(new Budget(7, 80).admits(0, 6, true))
  })
})
