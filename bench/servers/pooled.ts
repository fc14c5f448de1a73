/** This server as it is: every request through the worker pool. */

import { serve } from "./serve.ts"

serve()
