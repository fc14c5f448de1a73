/** The guest: a machine of its own under QEMU, see build.sh and image/. */

import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { kill, launch, seconds } from "./processes.ts"

/** All times are in seconds, and generous: the guest is emulated, on cores that it shares. */
const limits = { suite: 1800, boot: 120, afterCheck: 90 }

/** Builds what it boots from when that has not been done before. */
export const build = (): string => {
  const { status, stdout } = spawnSync(join(import.meta.dirname, "build.sh"), {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"]
  })
  if (status !== 0) throw new Error("the guest could not be built")
  return stdout.trim()
}

/** Makes an image of a disk with this project on it, so that the guest can run it. */
export const makeProjectDisk = (image: string) => {
  const { status } = spawnSync(join(import.meta.dirname, "project-disk.sh"), [image], {
    stdio: ["ignore", "inherit", "inherit"]
  })
  if (status !== 0) throw new Error("the disk with the project could not be made")
}

export interface Machine {
  /** The directory that {@link build} gives. */
  readonly image: string
  /** The archive that the guest reads the suite from, and maybe the disk with the project. */
  readonly disks: ReadonlyArray<string>
  readonly console: string
}

const qemuArguments = ({ console, disks, image }: Machine) => {
  const disk = (file: string, more: string) => ["-drive", `file=${file},format=raw,if=virtio,${more}`]
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    // Emulated, even where there is KVM: nested in another machine it often does not work, and QEMU then dies of it.
    // Two processors, for the races that only then can happen.
    ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"],
    ...["-kernel", join(image, "vmlinuz"), "-initrd", join(image, "initrd.gz")],
    ...["-append", "console=ttyS0 quiet panic=-1 mitigations=off log_buf_len=1M"],
    // The root image stays as it was built: what the guest writes goes to a file that vanishes with it.
    ...disk(join(image, "root.img"), "snapshot=on,cache=unsafe"),
    ...disks.flatMap((file) => disk(file, "readonly=on")),
    ...["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"],
    ...["-serial", `file:${console}`, "-serial", "stdio"]
  ]
}

export interface Listeners {
  /** A step has ended. */
  readonly report: (name: string, passed: boolean, more: string) => void
  /** Something for people to read. */
  readonly say: (text: string) => void
  /** What QEMU says. */
  readonly complain: (text: Buffer) => void
  /** Settles when it is of no use to go on. */
  readonly died: Promise<string>
}

/** Boots the guest and passes on what it reports, until it has ended. */
export const run = async (machine: Machine, { complain, died, report, say }: Listeners) => {
  const { child, exited } = launch("qemu-system-x86_64", qemuArguments(machine))
  child.stderr.on("data", complain)
  const giveUp = (why: string) => {
    say(`# ${why}`)
    kill(child)
  }
  void died.then(giveUp)
  const suiteTimer = setTimeout(() => giveUp(`the suite took more than ${limits.suite} s`), seconds(limits.suite))
  let timer = setTimeout(() => giveUp(`the guest did not boot in ${limits.boot} s`), seconds(limits.boot))
  const expectWithin = (limit: number, what: string) => {
    clearTimeout(timer)
    timer = setTimeout(() => giveUp(`the guest hangs in ${what}`), seconds(limit))
  }
  const lines = createInterface({ input: child.stdout })
  lines.on("line", (line) => {
    const [, verb, name = "", took = ""] = /^(begin|ok|not ok|end|\|) ?(\S*) ?(.*)$/.exec(line) ?? []
    if (verb === "begin") expectWithin(Number(took) + limits.afterCheck, name)
    else if (verb === "ok" || verb === "not ok") report(name, verb === "ok", took)
    else if (verb === "end") expectWithin(limits.afterCheck, "shutting down")
    else say(`    ${line.replace(/^\| /, "")}`)
  })
  const drained = new Promise<void>((resolve) => lines.once("close", resolve))
  const how = await exited
  await drained
  clearTimeout(timer)
  clearTimeout(suiteTimer)
  if (how !== "exit status 0") say(`# the guest: ${how}`)
}
