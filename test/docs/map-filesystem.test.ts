/** The writable filesystem of docs/writing-a-filesystem.md passes the whole suite. */

import { filesystemConformance } from "effect-nfs/testing"
import * as MapFilesystem from "../../docs/examples/map-filesystem.ts"

filesystemConformance("docs/examples/map-filesystem.ts", MapFilesystem.layer, { lacks: ["hardLinks", "specialFiles"] })
