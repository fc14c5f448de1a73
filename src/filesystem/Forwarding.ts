/** What decorators are made of: a filesystem that does everything as another one does, but for what it overrides. */

import type { Operations } from "./Filesystem.ts"

/** `fs` with some operations replaced. Spelled out, since an implementation's operations may be methods of a class. */
export const forward = (fs: Operations, overrides: Partial<Operations>): Operations => ({
  properties: fs.properties,
  root: fs.root,
  resolve: (key) => fs.resolve(key),
  getattr: (file) => fs.getattr(file),
  setattr: (file, guard) => fs.setattr(file, guard),
  lookup: (directory, name, guard) => fs.lookup(directory, name, guard),
  parent: (directory, guard) => fs.parent(directory, guard),
  readlink: (file, guard) => fs.readlink(file, guard),
  read: (file, offset, count, guard, allocate) => fs.read(file, offset, count, guard, allocate),
  write: (file, offset, data, stability, guard) => fs.write(file, offset, data, stability, guard),
  create: (directory, name, how, guard) => fs.create(directory, name, how, guard),
  mkdir: (directory, name, guard) => fs.mkdir(directory, name, guard),
  symlink: (directory, name, target, guard) => fs.symlink(directory, name, target, guard),
  mknod: (directory, name, special, guard) => fs.mknod(directory, name, special, guard),
  remove: (directory, name, guard) => fs.remove(directory, name, guard),
  rmdir: (directory, name, guard) => fs.rmdir(directory, name, guard),
  rename: (from, name, to, newName, guard) => fs.rename(from, name, to, newName, guard),
  link: (file, directory, name, guard) => fs.link(file, directory, name, guard),
  readdir: (directory, request, guard) => fs.readdir(directory, request, guard),
  statfs: (file) => fs.statfs(file),
  commit: (file, offset, count, guard) => fs.commit(file, offset, count, guard),
  ...overrides
})
