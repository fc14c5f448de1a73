/** This server as it is: every request through the worker pool. */

import * as WorkerPool from "../../src/pool/WorkerPool.ts"
import { serve } from "./serve.ts"

serve(WorkerPool.layer())
