#!/usr/bin/env node
import { describe, plan } from "./punchcard.mjs";
import { serve } from "./serve.mjs";

serve({ describe, plan });
