import { assert, describe, it } from "@effect/vitest"
import { Budget } from "../../src/pool/Budget.ts"

const make = (capacity: number, maxCost: number, reserves = true) => new Budget(capacity, maxCost, { reserves })

describe("Budget", () => {
  it("admits as many tasks as there is room for, and as much as they may cost", () => {
    for (const kind of ["reserved", "others"] as const) {
      const budget = make(3, 100, false)
      assert.deepStrictEqual(
        [0, 2, 3, 4].map((waiting) => budget.admits(kind, 0, waiting, waiting)),
        [true, true, false, false]
      )
      budget.add(kind, 60)
      assert.deepStrictEqual(
        [0, 40, 41].map((cost) => budget.admits(kind, cost, 0, 0)),
        [true, true, false]
      )
      budget.add(kind, 40)
      assert.deepStrictEqual(
        [0, 1].map((cost) => budget.admits(kind, cost, 0, 0)),
        [true, false]
      )
      assert.strictEqual(budget.cost, 100)
    }
  })

  it("admits one task of any cost when there is no other of its kind", () => {
    const budget = make(3, 100)
    assert.isTrue(budget.admits("others", 1_000_000, 0, 0))
    budget.add("reserved", 1)
    assert.isTrue(budget.admits("others", 1_000_000, 0, 1))
    assert.isFalse(budget.admits("reserved", 100, 1, 1))
    budget.add("others", 1)
    assert.isFalse(budget.admits("others", 100, 0, 0))
    budget.add("others", -1)
    assert.isTrue(budget.admits("others", 100, 0, 0))
  })

  it("shrinks both bounds together, down to one task", () => {
    const budget = make(10, 100)
    const open = (): ReadonlyArray<boolean> =>
      [0, 1, 4, 5, 9].map((waiting) => budget.admits("reserved", 0, waiting, waiting))
    budget.admission = 0.5
    assert.deepStrictEqual(open(), [true, true, true, false, false])
    budget.admission = 0
    assert.deepStrictEqual(open(), [true, false, false, false, false])
    assert.isTrue(budget.admits("reserved", 1_000, 0, 0))
    budget.add("reserved", 1)
    assert.isFalse(budget.admits("reserved", 0, 0, 0))
    budget.admission = 0.5
    assert.isTrue(budget.admits("reserved", 49, 0, 0))
    assert.isFalse(budget.admits("reserved", 50, 0, 0))
    budget.admission = 1
    assert.isTrue(budget.admits("reserved", 99, 9, 9))
  })

  it("keeps the share between 0 and 1", () => {
    const budget = make(10, 100)
    budget.admission = 7
    assert.strictEqual(budget.admission, 1)
    budget.admission = -7
    assert.strictEqual(budget.admission, 0)
  })

  it("keeps an eighth of both bounds for the reserved classes", () => {
    const budget = make(16, 80)
    assert.deepStrictEqual(
      [13, 14, 15].map((waiting) => budget.admits("others", 0, waiting, waiting)),
      [true, false, false]
    )
    // What the reserved ones take of the rest, they take as anybody.
    assert.deepStrictEqual(
      [15, 16].map((all) => budget.admits("others", 0, 13, all)),
      [true, false]
    )
    assert.deepStrictEqual(
      [15, 16].map((all) => budget.admits("reserved", 0, all, all)),
      [true, false]
    )
    budget.add("others", 60)
    budget.add("reserved", 1)
    assert.deepStrictEqual(
      [10, 11].map((cost) => budget.admits("others", cost, 0, 0)),
      [true, false]
    )
    assert.deepStrictEqual(
      [19, 20].map((cost) => budget.admits("reserved", cost, 0, 0)),
      [true, false]
    )
    // Of a bound for few there is nothing to keep.
    assert.isTrue(make(7, 80).admits("others", 0, 6, 6))
  })
})
