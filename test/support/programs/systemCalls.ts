/** Says which system calls there are; given a directory and a handle (hexadecimal), also what comes of opening it. */

import { Buffer } from "node:buffer"
import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import { Syscalls } from "../../../src/filesystem/local/Syscalls.ts"
import { make as logs } from "../logs.ts"

const { context, messages } = logs()

const program = Effect.gen(function* () {
  const { handles, name } = yield* Syscalls
  const [directory, handle] = process.argv.slice(2)
  const opened =
    handles === undefined || directory === undefined || handle === undefined
      ? undefined
      : yield* handles.open(fs.openSync(directory, "r"), Buffer.from(handle, "hex")).pipe(
          Effect.as("opened"),
          Effect.catch(({ code }) => Effect.succeed(code))
        )
  process.stdout.write(JSON.stringify({ name, opened, messages }))
})

await Effect.runPromise(program.pipe(Effect.provide(Syscalls.layer), Effect.provideContext(context)))
